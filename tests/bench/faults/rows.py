"""What a row of the catalogue is: a fault as data, the ways in which it is met, and the right end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.servers.faults import hold_after
from tests.servers.files import Fault, FileSpec, On

if TYPE_CHECKING:
    from tests.servers.fault_server import Route
    from tests.servers.messages import Request

SIZE: Final = 2_000_000
HALF: Final = SIZE // 2
#: Enough for a second connection to be worth it, at a rate that makes it so.
LARGE: Final = 16 * 1024 * 1024
SLOW: Final = 8_000_000
PATH: Final = "/file.bin"
#: What is asked for again before the place where a download goes on.
OVERLAP: Final = 64 * 1024

MakeFaults = Callable[[On], tuple[Fault, ...]]


class Mode(Enum):
    """How a fault is met."""

    FRESH = "fresh"
    """From the first request on."""
    RESUMED = "resumed"
    """From the second on: the first brought half of the file, then there was a pause."""
    SEGMENTED = "segmented"
    """From the second on, while the first goes on: by connections that bring parts."""


class End(Enum):
    """What has to come of it."""

    WHOLE = "the whole file"
    FAILS = "an error, and no file"
    WAITS = "a wait that is told"

    @property
    def statuses(self) -> frozenset[Status]:
        """The statuses that it may be seen by."""
        return {
            End.WHOLE: frozenset({Status.COMPLETED}),
            End.FAILS: frozenset({Status.ERROR}),
            End.WAITS: frozenset({Status.RUNNING}),
        }[self]


ALL: Final = frozenset(Mode)
NOT_SEGMENTED: Final = frozenset({Mode.FRESH, Mode.RESUMED})
LATER: Final = frozenset({Mode.RESUMED, Mode.SEGMENTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A fault, and what has to come of it.

    Attributes
    ----------
    name, fault:
        The number in the catalogue, with a letter where a number has several; and the fault in words.
    faults:
        Makes the faults for the requests that are given to it.
    lasts:
        Whether one request meets it or all from there on.
    end, ends:
        The right end, and where it is another one in a mode.
    file:
        Fields of the `FileSpec` that are not as usual.
    routes:
        Further routes of the server, by path.
    settings, options:
        What the downloader and the download are told beside the defaults.
    most_requests, most_twice, seconds:
        What it may cost: requests, bytes sent twice, time.
    for_peers:
        Whether others can be shown the same thing.
    """

    name: str
    fault: str
    faults: MakeFaults = lambda _: ()
    lasts: Literal["once", "always"] = "once"
    end: End = End.WHOLE
    ends: Mapping[Mode, End] = field(default_factory=dict)
    file: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    modes: frozenset[Mode] = ALL
    schemes: tuple[str, ...] = ("http", "https")
    most_requests: int = 6
    most_twice: int = OVERLAP
    seconds: float = 15.0
    for_peers: bool = True

    def end_in(self, mode: Mode) -> End:
        """Return the right end in a mode: parts that cannot be had are brought by who has the rest."""
        return self.ends.get(mode, End.WHOLE if mode is Mode.SEGMENTED else self.end)

    def most_twice_in(self, mode: Mode) -> int:
        """Return how many bytes may be sent twice: a pause has its own overlap, and whoever splits a file its seams."""
        more = {Mode.FRESH: 0, Mode.RESUMED: OVERLAP, Mode.SEGMENTED: LARGE}
        return self.most_twice + more[mode]

    def file_in(self, mode: Mode) -> FileSpec:
        """Return the file as its server has it in a mode."""
        usual: dict[str, Any] = {"size": LARGE, "rate": SLOW} if mode is Mode.SEGMENTED else {"size": SIZE}
        plain = FileSpec(**{**usual, **self.file})
        begins = () if mode is not Mode.RESUMED else (hold_after(HALF, until="never", on=1),)
        return replace(plain, faults=(*begins, *self.faults(self._on(mode))))

    def versions_in(self, mode: Mode) -> frozenset[str]:
        """Return the digests of everything that may rightly be had: each is one version that is served."""
        spec = self.file_in(mode)
        changed = [fault.changes_file(spec) for fault in spec.faults if fault.changes_file is not None]
        flipped = [spec.next_version()] if spec.flip_after is not None else []
        return frozenset(each.sha256 for each in [spec, *changed, *flipped])

    def _on(self, mode: Mode) -> On:
        first = 1 if mode is Mode.FRESH else 2
        return first if self.lasts == "once" else _From(first)


@dataclass(frozen=True, slots=True)
class _From:
    """All requests from a number on."""

    first: int

    def __call__(self, request: Request) -> bool:
        return request.number >= self.first
