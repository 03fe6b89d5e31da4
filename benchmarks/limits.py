"""How exactly a limit is kept: so many bytes per second for all transfers, and for a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.amounts import measure
from benchmarks.results import Result
from benchmarks.scratch import emptied

if TYPE_CHECKING:
    from benchmarks.workloads import Setting

# Without a limit it must be so much faster: else it is the machine that is measured.
_EASE: Final = 1.25
_FILES: Final = 2


def limits(setting: Setting) -> Result:
    """Fetch two files at once under each limit, of all transfers and of their group."""
    seconds = setting.sizes.limited_seconds
    result = Result(workload="limits", title=f"two files at once under a limit, {seconds:g} s each")
    free = _rate(setting, None, setting.sizes.large, in_group=False)
    result.measures["without a limit, MB/s"] = free / 1e6
    kept = []
    for rate in setting.sizes.limits:
        if rate * _EASE > free:
            result.notes.append(f"{rate:,} bytes/s is more than this machine reaches: not measured.")
            continue
        for in_group, words in ((False, "of all"), (True, "of a group")):
            share = _rate(setting, rate, int(rate * seconds), in_group=in_group) / rate
            result.measures[f"{rate:,} bytes/s {words}, measured over the limit"] = share
            kept.append(abs(share - 1))
    if kept:
        result.measures["farthest from its limit"] = max(kept)
    result.notes.append("From the first call to the end of both, in a process that has fetched a small file before.")
    return result


def _rate(setting: Setting, limit: int | None, size: int, *, in_group: bool) -> float:
    """Return the bytes per second at which so many came in all."""
    with emptied(setting.folder / "limited") as folder, emptied(setting.nginx.root / "limited") as served:
        (served / "first.bin").write_bytes(bytes(1000))
        name = f"{limit}-{in_group}.bin"  # its own: nginx would serve an earlier file of the same name
        with (served / name).open("wb") as file:
            file.truncate(max(1, size // _FILES))
        urls = [setting.nginx.plain(f"limited/{name}?{number}") for number in range(_FILES)]
        first = setting.nginx.plain("limited/first.bin")
        measured = measure(folder, "limit", urls=urls, first=first, limit=limit, in_group=in_group)
    return size / float(measured["seconds"])
