"""The frozen values that a notebook is given: progress, ranges, what the server answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgdl_jupyter.status import BackgroundTransferStatus

if TYPE_CHECKING:
    from bgdl_jupyter.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundDownloadProgress:
    """
    How far a download is: ``Windows.Networking.BackgroundTransfer.BackgroundDownloadProgress``.

    Parameters
    ----------
    bytes_received:
        Bytes in the file.
    total_bytes_to_receive:
        The size of the whole; None while it is unknown.
    has_response_changed, has_restarted:
        Whether the server's answer is another one than at first; whether the transfer began again at byte 0.
    """

    bytes_received: int = 0
    total_bytes_to_receive: int | None = None
    status: BackgroundTransferStatus = BackgroundTransferStatus.IDLE
    has_response_changed: bool = False
    has_restarted: bool = False

    @property
    def fraction(self) -> float | None:
        """The part that is there, 0 to 1; None while the size is unknown."""
        if self.status.is_success:
            return 1.0
        if self.total_bytes_to_receive is None:
            return None
        return self.bytes_received / self.total_bytes_to_receive if self.total_bytes_to_receive else 0.0


@dataclass(frozen=True, slots=True)
class BackgroundTransferFileRange:
    """Bytes that have arrived: ``Windows.Networking.BackgroundTransfer.BackgroundTransferFileRange``."""

    offset: int
    length: int


class Headers(Mapping[str, str]):
    """The headers of a response; names are found whatever their case, several of one name joined by a comma."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._names.setdefault(key, name)
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseInformation:
    """What the server answered: ``Windows.Networking.BackgroundTransfer.ResponseInformation``."""

    actual_uri: str
    headers: Headers
    is_resumable: bool
    status_code: int

    @classmethod
    def of(cls, resource: Resource) -> ResponseInformation:
        """Return what is told of a resource; ``actual_uri`` is the one after all redirects, redacted."""
        return cls(
            actual_uri=resource.actual_uri,
            headers=Headers(resource.headers),
            is_resumable=resource.validator is not None and resource.accepts_ranges is not False,
            status_code=resource.status_code,
        )
