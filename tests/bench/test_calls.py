from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.bench import calls
from tests.bench.stage import Stage
from tests.counterparts import require

require("gcc")
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("bench", "count"), [(calls.kills, 8), (calls.kills_of_recovery, 5), (calls.errors, 8)])
def test_a_sample_of_the_calls_is_survived(bench, count):
    """`python -m tests.bench kills_at_calls` and its like do all of them."""
    family = bench(count, seed=7)
    assert list(family.failures) == []
    assert family.passed == family.n >= count


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("bench", [calls.kills, calls.kills_of_recovery, calls.errors])
def test_every_call_is_survived(bench):
    family = bench()
    assert list(family.failures) == []


def test_what_is_drawn_is_spread_evenly():
    numbers = calls.chosen(1000, 10, random.Random(1))
    assert [number // 100 for number in numbers] == list(range(10))
    assert calls.chosen(3, None, random.Random(1)) == calls.chosen(3, 9, random.Random(1)) == [0, 1, 2]


@pytest.mark.timeout(240)
def test_no_call_goes_past_the_shim(tmp_path):
    """What strace sees and the shim does not would be no place for a kill."""
    names = "pwrite64,fdatasync,fsync,ftruncate,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
    under = [require("strace"), "-f", "-y", "-e", f"trace={names}", "-o", tmp_path / "trace"]
    with Stage(under=under) as stage, stage.performance() as folder:
        played = stage.play("begin", folder)
        root = str(folder)
    assert played.end == "over"
    # A call that was interrupted has a second line, which does not begin with its name.
    lines = [line.split(maxsplit=1)[1] for line in (tmp_path / "trace").read_text(errors="replace").splitlines()]
    by_strace = Counter(_kind(line) for line in lines if f"{root}/" in line and "-shm" not in line)
    shared = {call.inode for call in played.calls if call.path.endswith("-shm")}
    by_shim = Counter(call.call for call in played.calls if call.inode not in shared)
    assert by_strace["pwrite"] > 100
    for kind in ("pwrite", "fdatasync", "fsync", "link", "rename", "unlink", "mkdir"):
        assert by_shim[kind] >= by_strace[kind], (kind, by_shim, by_strace)


def _kind(line: str) -> str:
    """Return the name of the call of a line of strace, as the shim calls it."""
    return line.partition("(")[0].removesuffix("64").removesuffix("2").removesuffix("at")
