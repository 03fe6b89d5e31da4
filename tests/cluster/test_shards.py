from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.cluster.shards import FEWEST, MOST, Line, cut, files_in_shard

HOSTS = st.sampled_from(["a", "b", "c", "d"])
LINES = st.lists(st.tuples(HOSTS, st.integers(0, 50)), max_size=200).map(
    lambda drawn: [
        Line(number=number, host=host, size=size, request={"uri": f"http://{host}/{number}"})
        for number, (host, size) in enumerate(drawn, 1)
    ]
)


@given(LINES, st.integers(1, 20), st.integers(1, 300), st.integers(1, 50))
def test_every_line_is_in_one_shard_and_every_shard_is_of_one_host(lines, most_files, most_bytes, most_open):
    shards = list(cut(lines, most_files=most_files, most_bytes=most_bytes, most_open=most_open))
    assert sorted(line.number for shard in shards for line in shard.lines) == [line.number for line in lines]
    assert all(line.host == shard.host for shard in shards for line in shard.lines)
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert all(1 <= len(shard.lines) <= most_files for shard in shards)


@given(LINES, st.integers(1, 300))
def test_a_shard_is_above_its_bytes_by_less_than_its_last_file(lines, most_bytes):
    for shard in cut(lines, most_files=1000, most_bytes=most_bytes):
        assert shard.size - shard.lines[-1].size < most_bytes


@given(LINES, st.integers(1, 20))
def test_the_lines_of_a_host_stay_in_their_order(lines, most_open):
    seen: dict[str, int] = {}
    for shard in cut(lines, most_files=7, most_open=most_open):
        for line in shard.lines:
            assert line.number > seen.get(shard.host, 0)
            seen[shard.host] = line.number


def test_very_many_hosts_do_not_keep_all_lines_in_memory():
    taken = 0

    def lines():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Line(number=number, host=f"host{number}", size=0, request={})

    first = next(cut(lines(), most_files=10, most_open=50))
    assert len(first.lines) == 1
    assert taken == 50


def test_there_are_shards_for_all_slots_until_shortly_before_the_end():
    assert files_in_shard(20_000, 2) == 200
    assert files_in_shard(10**6, 50) == 1000
    assert files_in_shard(10**8, 100) == MOST
    assert files_in_shard(10, 2) == FEWEST
