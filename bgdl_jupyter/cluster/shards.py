"""Cutting a stream of lines into shards by host and size. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The least and the most files of a shard whose size is chosen here.
FEWEST: Final = 100
MOST: Final = 10_000
#: Bytes, where lines say how many they are at most.
MOST_BYTES: Final = 100 * 10**9
#: How many shards each slot of a cluster gets at least: the last ones to run are a small part of all.
_PER_SLOT: Final = 20
_LEAST_SHARDS: Final = 100
#: Lines that wait for others of their host; what is open is in memory.
_MOST_OPEN: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One file that is to be had: its place in the manifest, its host, its bytes if known, and what it asks for."""

    number: int
    host: str
    size: int
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Files of one host that one worker fetches."""

    number: int
    host: str
    lines: tuple[Line, ...]

    @property
    def size(self) -> int:
        """The bytes that its lines speak of."""
        return sum(each.size for each in self.lines)


def files_in_shard(files: int, slots: int) -> int:
    """Return how many files a shard gets, so that there is a shard for every slot until shortly before the end."""
    return max(FEWEST, min(MOST, files // max(_LEAST_SHARDS, _PER_SLOT * slots)))


def cut(
    lines: Iterable[Line], *, most_files: int, most_bytes: int = MOST_BYTES, most_open: int = _MOST_OPEN
) -> Iterator[Shard]:
    """
    Give the shards of a manifest, each of one host, in an order that the same lines always have.

    Lines of a host stay in their order. Where very many hosts are open at once, the fullest is cut early, so that
    memory does not grow with the number of lines.
    """
    waiting: dict[str, list[Line]] = {}
    sizes: Counter[str] = Counter()
    number = count = 0
    for line in lines:
        waiting.setdefault(line.host, []).append(line)
        sizes[line.host] += line.size
        count += 1
        host = line.host
        if len(waiting[host]) < most_files and sizes[host] < most_bytes:
            if count < most_open:
                continue
            host = max(waiting, key=lambda each: len(waiting[each]))
        yield Shard(number=number, host=host, lines=tuple(waiting[host]))
        number += 1
        count -= len(waiting.pop(host))
        del sizes[host]
    for number, (host, rest) in enumerate(waiting.items(), number):  # noqa: B020 (goes on from where it is)
        yield Shard(number=number, host=host, lines=tuple(rest))
