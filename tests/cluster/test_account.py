from __future__ import annotations

from bgdl_jupyter.cluster.account import Account
from bgdl_jupyter.cluster.ledger import Indexed, Marker
from bgdl_jupyter.cluster.ticket import Beat

INDEX = [Indexed(host="h", files=10, size=0)] * 4


def marker(shard: int, *, failed: int = 0, round_: int = 1) -> Marker:
    return Marker(shard=shard, round=round_, completed=10 - failed, failed=failed, size=100)


def test_what_has_a_marker_is_done_and_what_failed_is_to_do_in_the_next_round():
    markers = [marker(0), marker(1, failed=3)]
    assert Account(INDEX, markers, round_=1).to_do == [2, 3]
    assert Account(INDEX, markers, round_=2).to_do == [1, 2, 3]


def test_a_shard_that_was_tried_again_counts_once():
    account = Account(INDEX, [marker(0, failed=3)], round_=2)
    account.put(marker(0, round_=2))
    progress = account.progress((), is_paused=False, is_canceled=False)
    assert (progress.completed, progress.failed, progress.queued, progress.total) == (10, 0, 30, 40)
    assert not account.has_failed


def test_what_runs_counts_by_what_it_says():
    account = Account(INDEX, [marker(0), marker(1, failed=3)], round_=2)
    beats = [Beat(shard=1, completed=8, running=2, size=150, rate=5.0), Beat(shard=2, completed=1, running=4, size=9)]
    progress = account.progress(beats, is_paused=False, is_canceled=False)
    assert (progress.completed, progress.failed, progress.running, progress.queued) == (19, 0, 6, 15)
    assert (progress.bytes_received, progress.rate) == (259, 5.0)


def test_what_stands_still_is_paused_and_what_was_given_up_is_canceled():
    account = Account(INDEX, [marker(0)], round_=1)
    assert account.progress((), is_paused=True, is_canceled=False).paused == 30
    assert account.progress((), is_paused=False, is_canceled=True).canceled == 30


def test_a_shard_that_cannot_run_has_failed_as_a_whole_and_says_why():
    account = Account(INDEX, [marker(0)], round_=1)
    account.broken[2] = "no room on the disk"
    assert account.to_do == [1, 3]
    assert account.progress((), is_paused=False, is_canceled=False).failed == 10
    assert "no room on the disk" in account.in_words((), 1)
