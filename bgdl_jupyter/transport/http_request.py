"""What we send: the header fields of one request, and its body."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from multidict import CIMultiDict

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.resource import ValidatorKind
from bgdl_jupyter.secret import Credential, Secret, is_secret_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from io import BufferedReader
    from pathlib import Path

    from bgdl_jupyter.transport.base import Request
    from bgdl_jupyter.transport.http_attempt import Attempt
    from bgdl_jupyter.transport.redirects import Hop
    from bgdl_jupyter.uris import Origin

_CHUNK: Final = 256 * 1024
_CONDITIONS: Final = frozenset({ValidatorKind.ETAG, ValidatorKind.LAST_MODIFIED})


def headers_of(request: Request, hop: Hop) -> CIMultiDict[str]:
    """Return the header fields for a hop, but for the part: the user's at home only, ours everywhere and last."""
    headers: CIMultiDict[str] = CIMultiDict()
    if hop.is_home:
        for name, value in request.headers:
            headers.add(name, value.reveal() if isinstance(value, Secret) else value)
    headers["Accept-Encoding"] = "identity"
    return headers


def range_fields(request: Request) -> dict[str, str]:
    """Return the header fields that ask for a part."""
    wanted = range_header(request.start, request.stop)
    if wanted is None:
        return {}
    if request.condition is None or request.condition.kind not in _CONDITIONS:
        return {"Range": wanted}
    return {"Range": wanted, "If-Range": request.condition.value}


def range_header(start: int | None, stop: int | None) -> str | None:
    """Return the ``Range`` for half-open bounds; None for everything, however it is said."""
    first = start or 0
    if stop is None:
        return f"bytes={first}-" if first else None
    return f"bytes={first}-{stop - 1}"  # inclusive on the wire


@lru_cache(maxsize=1)
def own_headers() -> Mapping[str, str]:
    """Return what every request says of us where the user says nothing else."""
    try:
        name = f"bgdl_jupyter/{version('bgdl-jupyter')}"
    except PackageNotFoundError:
        name = "bgdl_jupyter"
    return MappingProxyType({"User-Agent": name, "Accept": "*/*"})


def secrets_of(request: Request, hop: Hop) -> tuple[Secret, ...]:
    """Return the secrets among the user's header fields that the hop bears."""
    if not hop.is_home or not request.headers:
        return ()
    return tuple(
        value if isinstance(value, Secret) else Secret(value)
        for name, value in request.headers
        if isinstance(value, Secret) or is_secret_header(name)
    )


def credential_of(user_info: Secret | None) -> Credential | None:
    """Return the credential in the user information of a URI, decoded once."""
    if user_info is None:
        return None
    user_name, _, password = user_info.reveal().partition(":")
    return Credential(unquote(user_name), Secret(unquote(password)))


@dataclass(slots=True, eq=False)
class Journey:
    """A request on its way through redirects and challenges, and whether a byte of its body has left."""

    request: Request
    home: Origin
    has_sent_body: bool = False


class RequestBody:
    """The file that is sent with one request, opened afresh."""

    def __init__(self, file: BufferedReader, size: int, journey: Journey, attempt: Attempt) -> None:
        self._file = file
        self._journey = journey
        self._attempt = attempt
        self.size = size

    @classmethod
    async def open(cls, path: Path, journey: Journey, attempt: Attempt) -> RequestBody:
        """
        Open the file.

        Raises
        ------
        TransferFailed
            It is gone or cannot be read.
        """
        try:
            file = await asyncio.to_thread(path.open, "rb")
            size = await asyncio.to_thread(file.seek, 0, 2)
            await asyncio.to_thread(file.seek, 0)
        except OSError as error:
            raise TransferFailed(f"The file with the request's body cannot be read: {error.strerror}.") from error
        return cls(file, size, journey, attempt)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes; what was yielded may have been sent."""
        left = self.size
        while left:
            chunk = await asyncio.to_thread(self._file.read, min(_CHUNK, left))
            if not chunk:
                self._attempt.flaw = TransferFailed("The file with the request's body got shorter while it was sent.")
                raise self._attempt.flaw
            left -= len(chunk)
            await self._hear()
            self._journey.has_sent_body = True
            yield chunk
            if self._attempt.watch is not None:
                self._attempt.watch.start_timer()

    async def _hear(self) -> None:
        """
        Let the loop read an answer that is there already.

        A server that has refused closes; a write would then break the connection with its answer unread.
        """
        watch = self._attempt.watch
        if watch is not None and watch.has_unread():
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._file.close)
