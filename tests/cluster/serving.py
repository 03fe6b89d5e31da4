"""A server of very many small files, whose contents follow from their numbers, and what was asked of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fault_server import FaultServer


def content(number: int) -> bytes:
    """Return what the file of this number holds."""
    return f"{number:08d}".encode() * (1 + number % 7)


class Serving:
    """Starts servers; `lines` is what a manifest says of them."""

    def __init__(self, start: Any) -> None:
        self._start = start
        self.server: FaultServer

    def lines(self, count: int, *, latency: float = 0.0, missing: tuple[int, ...] = ()) -> list[dict[str, str]]:
        """Serve so many files but those that are missing, and return the lines of all."""
        routes = {
            f"/{number}": FileSpec(body=content(number), latency=latency)
            for number in range(count)
            if number not in missing
        }
        self.server = self._start(routes)
        return [
            {"uri": self.server.url(f"/{number}"), "destination": f"{number % 5}/{number}.bin"}
            for number in range(count)
        ]

    def asked(self) -> Counter[str]:
        """Return how often each path was asked for."""
        return Counter(each.target for each in self.server.requests())

    @staticmethod
    def wrong(folder: Path, count: int) -> list[int]:
        """Return the numbers of the files that are not there, or not right."""
        places = ((number, folder / str(number % 5) / f"{number}.bin") for number in range(count))
        return [number for number, path in places if not path.is_file() or path.read_bytes() != content(number)]
