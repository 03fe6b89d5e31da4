"""What there is to show, at the cost of what changed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.events import Event, OperationsAdded, StatusChanged
from bgdl_jupyter.frontends.ledger import Ledger
from bgdl_jupyter.frontends.tally import Entry, Tally
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.model.process import current_runner
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

KINDS = ("running", "failed", "queued", "paused", "completed", "canceled")
IDS = [uuid.UUID(int=number) for number in range(8)]


def entry(number: int, kind: str = "running", **changes: Any) -> Entry:
    values = {
        "operation": SimpleNamespace(application="/a", group="g", guid=uuid.UUID(int=number)),
        "received": 0,
        "total": None,
        "rate": 0,
        "share": None,
        "allowed": frozenset(),
        "is_old": False,
    }
    return Entry(number=number, kind=kind, **{**values, **changes})


def listening_ledger() -> Ledger:
    runner = current_runner()
    ledger = runner.place.call(Ledger, runner.registry)

    def note(event: Event) -> None:
        ledger.note(event)

    runner.place.call(runner.events.subscribe, note)
    return ledger


entries = st.builds(
    entry,
    st.integers(0, 7),
    st.sampled_from(KINDS),
    received=st.integers(0, 10**12),
    total=st.none() | st.integers(0, 10**12),
    rate=st.integers(0, 10**9),
    share=st.none() | st.integers(0, 10**6),
    allowed=st.frozensets(st.sampled_from(Verb)),
    is_old=st.booleans(),
)


@given(st.lists(st.tuples(st.sampled_from(IDS), st.none() | entries), max_size=40))
def test_sums_kept_by_differences_are_the_sums_of_all(steps):
    tally = Tally()
    kept: dict[uuid.UUID, Entry] = {}
    for operation_id, change in steps:
        if change is None:
            tally.drop(operation_id)
            kept.pop(operation_id, None)
        else:
            tally.put(operation_id, change)
            kept[operation_id] = change
    wanted = [each for each in kept.values() if each.kind != "canceled"]
    totals = [each.total for each in wanted]
    progress = tally.progress
    assert progress.bytes_received == sum(each.received for each in wanted)
    assert progress.total_bytes_to_receive == (None if None in totals else sum(each or 0 for each in totals))
    assert progress.rate == sum(each.rate for each in wanted)
    assert [getattr(progress, kind) for kind in KINDS] == [
        sum(each.kind == kind for each in kept.values()) for kind in KINDS
    ]
    assert tally.is_shown == any(not each.is_old for each in kept.values())


def test_the_running_and_the_failed_come_before_the_waiting_and_the_done():
    tally = Tally()
    for number in range(30):
        tally.put(uuid.UUID(int=number), entry(number, "completed"))
    for number, kind in ((40, "queued"), (41, "failed"), (42, "running"), (43, "paused")):
        tally.put(uuid.UUID(int=number), entry(number, kind))
    assert [each.number for each in tally.first(3)] == [40, 41, 42]
    assert [each.number for each in tally.first(2)] == [41, 42]


def test_rows_keep_their_order_when_states_change():
    tally = Tally()
    for number in range(5):
        tally.put(uuid.UUID(int=number), entry(number, "queued"))
    tally.put(uuid.UUID(int=3), entry(3, "running"))
    tally.put(uuid.UUID(int=1), entry(1, "completed"))
    assert [each.number for each in tally.first(20)] == [0, 1, 2, 3, 4]


def test_without_all_sizes_the_bar_counts_files_each_with_its_part():
    tally = Tally()
    tally.put(IDS[0], entry(0, "completed", share=1_000_000))
    tally.put(IDS[1], entry(1, "running", share=500_000))
    tally.put(IDS[2], entry(2, "queued"))
    assert tally.share == pytest.approx(0.5)


def test_one_file_without_a_size_has_no_share():
    tally = Tally()
    tally.put(IDS[0], entry(0, "running", received=5))
    assert tally.share is None


def test_a_group_is_retried_for_what_failed_only():
    tally = Tally()
    tally.put(IDS[0], entry(0, "canceled", allowed=frozenset({Verb.RETRY})))
    assert tally.allowed == frozenset()
    tally.put(IDS[1], entry(1, "failed", allowed=frozenset({Verb.RETRY})))
    assert tally.allowed == {Verb.RETRY}
    assert [each.guid for each in tally.who_allows(Verb.RETRY)] == [IDS[1]]


def test_the_ledger_says_of_real_downloads_what_the_group_says(fault_server, downloader, seen, work):
    server = fault_server(
        {
            "/a": FileSpec(size=10_000),
            "/held": FileSpec(size=200_000, faults=(hold_after(30_000, until="go"),)),
            "/gone": FileSpec(faults=(status(404),)),
        }
    )
    runner = current_runner()
    ledger = listening_ledger()
    group = downloader.download_many([server.url(path) for path in ("/a", "/held", "/gone")], group="g")
    held = next(each for each in group.operations if each.name == "held")
    seen.until(lambda: group.progress.completed == group.progress.failed == 1 and held.bytes_received > 0)

    def both() -> tuple[object, object]:
        ledger.refresh_all()
        theirs = group.progress  # we count whole bytes per second
        return ledger.group((held.application, "g")).progress, replace(theirs, rate=float(round(theirs.rate)))

    ours, theirs = runner.place.call(both)
    assert ours == theirs
    held.cancel()
    ours, theirs = runner.place.call(both)
    assert ours == theirs
    server.events.set("go")


def test_what_was_over_and_seen_before_this_kernel_is_not_shown(fault_server, downloader, restart, seen, work):
    server = fault_server({"/a": FileSpec(size=1000)})
    downloader.download(server.url("/a"), work / "a").wait(20)
    again = restart()
    runner = current_runner()
    ledger = listening_ledger()
    (operation,) = again.restore()
    assert operation.status.is_success
    changes = runner.place.call(ledger.refresh_all)
    assert [each.is_old for each in changes.operations.values()] == [True]
    assert runner.place.call(lambda: list(ledger.groups(operation.application))) == []


def test_a_short_look_leaves_the_rest_for_the_next(downloader, work):
    for number in range(100):
        downloader.create_download(f"http://127.0.0.1:1/{number}", work / str(number))
    runner = current_runner()
    ledger = Ledger(runner.registry)
    first = runner.place.call(ledger.refresh, 0.0)
    assert first.has_more
    assert 0 < len(first.operations) < 100
    second = runner.place.call(ledger.refresh_all)
    assert not second.has_more
    assert len(first.operations) + len(second.operations) == 100


def test_many_events_of_one_operation_are_one_look(downloader, work):
    operation = downloader.create_download("http://127.0.0.1:1/a", work / "a")
    runner = current_runner()
    ledger = Ledger(runner.registry)
    fact = StatusChanged(operation_id=operation.guid, old=operation.status, new=operation.status)
    for event in (OperationsAdded(operation_ids=(operation.guid,)), fact, fact):
        assert ledger.note(event)
    assert list(runner.place.call(ledger.refresh).operations) == [operation.guid]
    assert not runner.place.call(ledger.refresh).operations
