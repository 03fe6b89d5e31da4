from __future__ import annotations

import math
import os
import sqlite3
import threading
from contextlib import contextmanager
from uuid import UUID

import pytest

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import commits, schema
from bgdl_jupyter.storage.state_file import RowConflict, StateFile
from bgdl_jupyter.storage.store import Store
from tests.storage.kernel_process import DEADLINE, all_of, row


def done(future):
    return future.result(DEADLINE)


def inserted(state, *rows):
    return [done(future) for future in state.insert(rows)]


@contextmanager
def held_up(state):
    """Keep the thread busy, so that what is queued meanwhile comes together; gives the statements that follow."""
    go_on = threading.Event()
    statements: list[str] = []
    busy = state._commits.submit(lambda _: go_on.wait(DEADLINE), is_read=True)
    yield statements
    state._store.connection.set_trace_callback(statements.append)
    go_on.set()
    assert done(busy)


# ---------------------------------------------------------------------------------------------- operations


def test_the_first_name_that_is_nobodys_is_reserved(state):
    inserted(state, row(1, destination_key="/a"), row(2, destination_key=None), row(3, destination_key=None))

    def choices(*keys):
        return lambda: iter([{"destination_key": key} for key in keys])

    ids = [row(n).operation_id for n in (2, 3)]
    chosen = state.update_first([(ids[0], 1, choices("/a", "/b")), (ids[1], 1, choices("/b", "/c"))])
    assert [each["destination_key"] for each in done(chosen)] == ["/b", "/c"]
    assert done(state.update_first([(ids[0], 2, choices("/d"))])) == [None]
    with pytest.raises(RowConflict):
        done(state.update_first([(ids[0], 1, choices("/a", "/c"))]))
    assert [each.destination_key for each in done(state.rows())] == ["/a", "/b", "/c"]


def test_what_this_kernel_has_can_be_left_out(state):
    inserted(state, row(1), row(2, status=7, is_final=True), row(3))
    done(state.release([row(3).operation_id]))
    ids = [each.operation_id for piece in state.stream(skips_ours=True) for each in piece]
    assert ids == [row(2).operation_id, row(3).operation_id]


def test_an_operation_comes_back_as_it_was(state, open_state):
    given = row(
        1,
        group="grüße",
        status=7,
        is_final=True,
        was_seen=True,
        final_at=1_700_000_001.5,
        batch="b1",
        record={"text": "ünï\ud800", "number": 1.5, "nothing": None, "list": [1, [2]]},
        resource={"length": 2**62},
        watermark={"finished": [[0, 5]]},
    )
    inserted(state, given)
    assert state.close(DEADLINE)
    (back,) = done(open_state().rows())
    assert (back.owner, back.epoch) == (None, 1)
    assert back == given


def test_names_that_are_not_utf_8_come_back(state):
    name = os.fsdecode(b"/n\xff.ipynb")
    inserted(state, row(1, application=name, group=name, destination_key=name))
    (back,) = done(state.rows(name, name))
    assert (back.application, back.group, back.destination_key) == (name, name, name)


def test_its_maker_is_the_owner(state):
    inserted(state, row(1, owner="somebody", epoch=9))
    (back,) = done(state.rows())
    assert (back.owner, back.epoch) == (state.kernel_id, 1)


def test_operations_come_in_their_order(state):
    inserted(state, row(1, position=3), row(2, position=1), row(3, position=2))
    assert [each.operation_id.int for each in done(state.rows())] == [2, 3, 1]
    assert [each.operation_id.int for each in done(state.rows(limit=2))] == [2, 3]


def test_operations_are_found_by_application_group_life_and_id(state):
    inserted(
        state,
        row(1, group="g"),
        row(2, application="/b.ipynb"),
        row(3, group="g", is_final=True, final_at=1.0),
    )

    def numbers(**criteria):
        return [each.operation_id.int for each in done(state.rows(**criteria))]

    assert numbers(application="/a.ipynb") == [1, 3]
    assert numbers(group="g", live_only=True) == [1]
    assert numbers(operation_ids=[UUID(int=2), UUID(int=99)]) == [2]
    assert numbers(operation_ids=[]) == []


def test_very_many_are_streamed_in_their_order(state, monkeypatch):
    monkeypatch.setattr("bgdl_jupyter.storage.state_file._ROWS_AT_ONCE", 7)
    inserted(state, *(row(number, position=number // 3) for number in range(1, 51)))
    parts = list(state.stream("/a.ipynb"))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    assert [each.operation_id.int for part in parts for each in part] == list(range(1, 51))


def test_single_columns_can_be_read(state):
    inserted(state, row(1), row(2))
    assert done(state.column_values("operation_id", "position")) == [(UUID(int=1).bytes, 1), (UUID(int=2).bytes, 2)]
    with pytest.raises(ValueError, match="secrets"):
        state.column_values("secrets")


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (row(2, identity="identity-1"), "identity"),
        (row(2, destination_key="/data/1", application="/b.ipynb"), "destination"),
        (row(1, identity="x", destination_key="/x"), "operation"),
    ],
)
def test_a_twin_is_refused_and_named(state, other, kind):
    inserted(state, row(1, group="g"))
    with pytest.raises(RowConflict) as caught:
        inserted(state, other)
    conflict = caught.value
    assert (conflict.kind, conflict.operation_id.int) == (kind, 1)
    assert (conflict.application, conflict.group) == ("/a.ipynb", "g")


def test_one_refused_row_does_not_take_others_with_it(state):
    futures = state.insert([row(1), row(2, identity="identity-1"), row(3, record={"x": math.nan}), row(4)])
    assert [type(future.exception(DEADLINE)) for future in futures] == [type(None), RowConflict, ValueError, type(None)]
    assert [each.operation_id.int for each in done(state.rows())] == [1, 4]


def test_many_at_once_say_the_same_with_one_future(state):
    outcomes = done(state.insert_many([row(1), row(2, destination_key="/data/1")]))
    assert outcomes[0] is None
    assert isinstance(outcomes[1], RowConflict)


@pytest.mark.parametrize(
    "free",
    [
        row(2, identity="identity-1", application="/b.ipynb"),
        row(2, identity="identity-1", is_final=True),
        row(2, destination_key=None),
        row(2, destination_key="/data/1", is_final=True),
    ],
)
def test_what_is_no_twin_is_taken(state, free):
    inserted(state, row(1), free)


def test_an_operation_without_a_destination_is_no_twin_of_another_one(state):
    inserted(state, row(1, destination_key=None), row(2, destination_key=None))


def test_a_final_operation_gives_its_name_free_and_cannot_come_back_to_it(state):
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), is_final=True, status=5, at_once=True))
    inserted(state, row(2, destination_key="/data/1"))
    with pytest.raises(RowConflict) as caught:
        done(state.update(UUID(int=1), is_final=False, at_once=True))
    assert (caught.value.kind, caught.value.operation_id.int) == ("destination", 2)


def test_positions_follow_those_that_are_in_use(state, open_state):
    first = state.next_position()
    assert state.next_position() == first + 1
    inserted(state, row(1, position=500))
    assert open_state().next_position() == 501


def test_operations_are_deleted_and_pruned(state):
    inserted(state, row(1), *(row(number, is_final=True, final_at=float(number)) for number in (10, 20, 30)))
    assert done(state.prune(20.0)) == 1
    assert done(state.delete([UUID(int=20), UUID(int=99)])) == 1
    assert [each.operation_id.int for each in done(state.rows())] == [1, 30]


# ---------------------------------------------------------------------------------------------- updates


def test_an_update_is_there_when_its_future_says_so(state, path):
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), epoch=1, at_once=True, status=1, watermark={"n": 5}))
    other = sqlite3.connect(path)
    assert other.execute("SELECT status, watermark FROM operations").fetchall() == [(1, '{"n":5}')]
    other.close()


def test_an_update_of_an_old_epoch_is_refused(state):
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), epoch=2, at_once=True, status=1)) is False
    assert done(state.rows())[0].status == 0


def test_an_update_of_nothing_tells_whether_the_lease_is_ours(state):
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), epoch=1, at_once=True))
    assert not done(state.update(UUID(int=1), epoch=2, at_once=True))


@pytest.mark.parametrize("column", ["owner", "epoch", "operation_id", "nonsense"])
def test_only_what_belongs_to_the_caller_can_be_set(state, column):
    if column not in ("epoch", "operation_id"):  # these are parameters of another meaning there
        with pytest.raises(ValueError, match="not to be set"):
            state.update(UUID(int=1), **{column: 1})
    with pytest.raises(ValueError, match="not to be set"):
        state.update_many([(UUID(int=1), None, {column: 1})])


def test_many_final_states_are_one_transaction(state):
    inserted(state, *(row(number) for number in range(1, 65)))
    with held_up(state) as statements:
        future = state.update_many(
            [(UUID(int=number), 1, {"is_final": True, "status": 5}) for number in (*range(1, 65), 99)]
        )
    assert done(future) == [True] * 64 + [False]
    assert statements.count("COMMIT") == 1


def test_what_comes_together_is_committed_together(state):
    with held_up(state) as statements:
        futures = [future for number in range(1, 51) for future in state.insert([row(number)])]
        futures.append(state.put_group("/a.ipynb", "g", {}))
    for future in futures:
        done(future)
    assert statements.count("COMMIT") == 1


def test_a_future_is_resolved_after_its_commit(state, path):
    seen = []

    def look(_):
        other = sqlite3.connect(path)
        seen.append(other.execute("SELECT count(*) FROM operations").fetchone()[0])
        other.close()

    with held_up(state):
        futures = [*state.insert([row(1)]), *state.insert([row(2)])]
        futures[0].add_done_callback(look)
    done(futures[1])
    assert seen == [2]


def test_updates_of_one_operation_are_put_together(state):
    inserted(state, row(1), row(2))
    with held_up(state) as statements:
        futures = [state.update(UUID(int=1), epoch=1, watermark={"n": number}) for number in range(100)]
        futures += [state.update(UUID(int=1), epoch=1, status=1), state.update(UUID(int=2), epoch=1, status=1)]
    state.flush(DEADLINE)
    assert all(done(future) for future in futures)
    assert sum(statement.startswith("UPDATE operations") for statement in statements) == 2
    first = done(state.rows())[0]
    assert (first.status, first.watermark) == (1, {"n": 99})


def test_updates_are_not_put_together_across_what_comes_between(state):
    """Else the later value would be written before the deletion, and be lost with it or come too early."""
    inserted(state, row(1))
    with held_up(state):
        first = state.update(UUID(int=1), status=1)
        gone = state.delete([UUID(int=1)])
        again = state.insert([row(1)])[0]
        second = state.update(UUID(int=1), was_seen=True)
    assert (done(first), done(gone), done(again)) == (True, 1, None)
    state.flush(DEADLINE)
    assert done(second)
    (back,) = done(state.rows())
    assert (back.status, back.was_seen) == (0, True)


def test_an_update_that_may_wait_is_written_by_itself(open_state):
    state = open_state(flush_interval=0.02)
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), status=1))


def test_giving_up_on_an_update_takes_it_from_nobody_else(state):
    inserted(state, row(1))
    with held_up(state):
        first, second = state.update(UUID(int=1), status=1), state.update(UUID(int=1), was_seen=True)
        assert first.cancel()
    state.flush(DEADLINE)
    assert done(second)
    assert done(state.rows())[0].status == 1


def test_a_hundred_writes_from_many_threads_all_arrive(state):
    def work(start):
        for number in range(start, start + 25):
            inserted(state, row(number))

    threads = [threading.Thread(target=work, args=(start,)) for start in (100, 200, 300, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(done(state.rows())) == 100


# ---------------------------------------------------------------------------------------------- the rest of it


@pytest.mark.parametrize("kind", ["group", "batch"])
def test_groups_and_batches_are_kept_by_application(state, kind):
    put, read = (state.put_group, state.groups) if kind == "group" else (put_batch(state), state.batches)
    done(put("/a.ipynb", "x", {"max_parallel": 4}))
    done(put("/a.ipynb", "x", {"max_parallel": 5}))
    done(put("/b.ipynb", "x", {}))
    assert done(read("/a.ipynb")) == {"x": {"max_parallel": 5}}
    delete = state.delete_group if kind == "group" else lambda application, name: state.delete_batch(name, application)
    done(delete("/a.ipynb", "x"))
    assert done(read("/a.ipynb")) == {}
    assert done(read("/b.ipynb")) == {"x": {}}


def put_batch(state):
    return lambda application, name, record: state.put_batch(name, application, record)


def test_settings_are_any_json_values(state):
    done(state.put_setting("", "alerts", False))
    done(state.put_setting("/a.ipynb", "alerts", ["on", 3]))
    assert done(state.setting("", "alerts")) is False
    assert done(state.setting("/a.ipynb", "alerts")) == ["on", 3]
    assert done(state.setting("/b.ipynb", "alerts")) is None


def test_the_key_belongs_to_the_file(state, open_state, tmp_path):
    assert len(state.identity_key) == 32
    assert open_state().identity_key == state.identity_key
    other = StateFile.open(tmp_path / "other" / "state.sqlite3", application="/a.ipynb")
    assert other.identity_key != state.identity_key
    other.close(DEADLINE)


def test_applications_are_summed_up(state, open_state):
    inserted(
        state,
        row(1, watermark={"file": [1, 2], "finished": [[0, 100], [200, 250]]}),
        row(2, is_final=True, status=7, watermark={"file": [1, 3], "finished": [[0, 10]]}),
        row(3, is_final=True, status=5, watermark={"file": [1, 4], "finished": [[0, 1000]]}),
        row(4, application="/b.ipynb"),
    )
    first, second = done(state.applications())
    assert (first.application, first.operations, first.live, first.bytes_held) == ("/a.ipynb", 3, 1, 160)
    assert [holder.kernel_id for holder in first.held_by] == [state.kernel_id]
    assert first.last_seen_at > 1_700_000_000
    assert (second.application, second.operations) == ("/b.ipynb", 1)


def test_an_application_that_no_kernel_is_called_after_is_held_by_whoever_runs_it_and_as_old_as_its_last_operation(
    state, open_state
):
    inserted(state, row(1, application="/b.ipynb"), row(2, application="/b.ipynb", created_at=1_700_000_009.0))
    (summary,) = [each for each in done(state.applications()) if each.application == "/b.ipynb"]
    assert [holder.kernel_id for holder in summary.held_by] == [state.kernel_id]
    assert summary.last_seen_at == 1_700_000_009.0
    done(state.release([UUID(int=1), UUID(int=2)]))
    (summary,) = [each for each in done(open_state().applications()) if each.application == "/b.ipynb"]
    assert summary.held_by == ()


def test_a_purge_removes_everything_of_an_application(state):
    inserted(state, row(1), row(2, is_final=True), row(3, application="/b.ipynb"))
    done(state.put_group("/a.ipynb", "g", {}))
    assert [each.operation_id.int for each in done(state.purge("/a.ipynb"))] == [1, 2]
    assert [each.operation_id.int for each in done(state.rows())] == [3]
    assert done(state.groups("/a.ipynb")) == {}
    assert [each.operation_id.int for each in done(state.purge(None))] == [3]
    assert done(state.applications()) == []


def test_another_kernels_writes_are_noticed_and_its_heartbeats_are_not(state, open_state):
    other = open_state("/b.ipynb", heartbeat=0.01)
    inserted(state, row(1))
    assert not done(state.changed())
    inserted(other, row(2, application="/b.ipynb"))
    assert done(state.changed())
    assert not done(state.changed())
    inserted(other, row(3, application="/b.ipynb"))
    inserted(state, row(4))
    assert done(state.changed())
    assert not done(state.changed())


def test_nothing_is_taken_after_closing(state):
    inserted(state, row(1))
    waiting = state.update(UUID(int=1), status=1)
    assert state.close(DEADLINE)
    assert done(waiting)
    with pytest.raises(StateFileError, match="closed"):
        state.insert([row(2)])
    assert state.close(DEADLINE)


def test_nothing_is_left_of_a_kernel_that_closed(state, path):
    assert state.close(DEADLINE)
    assert sorted(each.name for each in path.parent.rglob("*")) == ["kernels", "state.sqlite3"]


def test_a_state_in_memory_does_what_a_file_does():
    state = StateFile.in_memory(application="/a.ipynb")
    inserted(state, row(1))
    assert state.is_in_memory
    assert state.path is None
    assert done(state.update(UUID(int=1), epoch=1, at_once=True, status=1))
    assert [each.status for each in done(state.rows("/a.ipynb"))] == [1]
    assert all_of(state.acquire("/a.ipynb")) == []
    assert state.close(DEADLINE)


def test_a_failing_step_ends_no_thread(state):
    with pytest.raises(ZeroDivisionError):
        done(state._commits.submit(lambda _: 1 // 0))
    inserted(state, row(1))


# ---------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize(("is_network", "mode", "synchronous"), [(False, "wal", 2), (True, "delete", 3)])
def test_the_journal_fits_the_disk(open_state, monkeypatch, is_network, mode, synchronous):
    """A write-ahead log needs memory that all kernels share, which other machines do not."""
    monkeypatch.setattr(schema, "is_on_network", lambda _: is_network)
    state = open_state()
    read = state._commits.submit(
        lambda connection: [
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ],
        is_read=True,
    )
    assert done(read) == [mode, synchronous]
    inserted(state, row(1))


def test_a_file_that_moved_to_a_network_gives_up_its_log(state, open_state, monkeypatch):
    inserted(state, row(1))
    state.close(DEADLINE)
    monkeypatch.setattr(schema, "is_on_network", lambda _: True)
    assert len(done(open_state().rows())) == 1


def test_after_a_heartbeat_commits_are_durable_again(open_state, until):
    state = open_state(heartbeat=0.01)
    before = done(state.applications())[0].last_seen_at
    until(state, lambda: done(state.applications())[0].last_seen_at > before)
    read = state._commits.submit(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0])
    assert done(read) == 2


# ---------------------------------------------------------------------------------------------- trouble


@pytest.fixture
def full_disk(monkeypatch):
    """Return what makes the disk full, or not, for a state file: SQLite is not given another page."""
    monkeypatch.setattr(commits, "_RETRY_INTERVAL", 0.01)

    def full_disk(state, is_full):
        connection = state._store.connection
        done(state._commits.submit(lambda _: None, is_read=True))
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages if is_full else 1 << 30}")

    return full_disk


def test_on_a_full_disk_nothing_is_accepted_that_would_be_lost(state, full_disk):
    inserted(state, row(1))
    full_disk(state, True)
    big = {"text": "x" * 100_000}
    with pytest.raises(StateFileError, match="full"):
        inserted(state, row(2, record=big))
    assert "cannot be written" in state.notices[0]
    full_disk(state, False)
    inserted(state, row(2, record=big))
    assert state.notices == ()


def test_on_a_full_disk_updates_wait_until_there_is_room(state, full_disk, until):
    inserted(state, row(1))
    full_disk(state, True)
    big = {"text": "x" * 100_000}
    update = state.update(UUID(int=1), epoch=1, at_once=True, record=big)
    until(state, lambda: state.notices != ())
    assert not update.done()
    full_disk(state, False)
    assert done(update)
    assert done(state.rows())[0].record == big


def test_an_update_that_never_could_be_written_says_so_at_the_end(state, full_disk, until):
    inserted(state, row(1))
    full_disk(state, True)
    update = state.update(UUID(int=1), at_once=True, record={"text": "x" * 100_000})
    until(state, lambda: state.notices != ())
    assert state.close(DEADLINE)
    with pytest.raises(StateFileError, match="closed before"):
        done(update)


@contextmanager
def locked(path):
    """Hold the lock of the state file, as a hanging kernel on a network disk may."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_a_file_that_is_locked_for_too_long_is_replaced_by_memory_until_it_is_free(state, path, open_state, until):
    inserted(state, row(1))
    with locked(path):
        other = open_state(lock_timeout=0.05, heartbeat=0.02)
        assert other.is_in_memory
        assert "memory" in other.notices[0]
        assert str(path) in other.notices[0]
        inserted(other, row(2), row(3, destination_key="/data/1"))
        done(other.put_group("/a.ipynb", "g", {"n": 1}))
    until(other, lambda: not other.is_in_memory)
    assert other.notices == ()
    assert [each.operation_id.int for each in done(other.rows())] == [1, 2]
    assert done(state.groups("/a.ipynb")) == {"g": {"n": 1}}
    assert done(other.update(UUID(int=2), epoch=1, at_once=True, status=1))
    assert all_of(state.acquire("/a.ipynb")) == []


def test_a_folder_that_cannot_be_made_is_replaced_by_memory(path):
    path.parent.parent.joinpath("state").write_text("a file is in the way")
    state = StateFile.open(path, application="/a.ipynb")
    assert state.is_in_memory
    inserted(state, row(1))
    state.close(DEADLINE)


def test_a_disk_that_hangs_holds_up_nobody(open_state, monkeypatch, until):
    go_on = threading.Event()
    real = Store._open_file

    def hanging(self):
        assert go_on.wait(DEADLINE)
        return real(self)

    monkeypatch.setattr(Store, "_open_file", hanging)
    monkeypatch.setattr("bgdl_jupyter.storage.store._GRACE", 0.0)
    state = open_state(lock_timeout=0.05, heartbeat=0.01)
    assert state.is_in_memory
    inserted(state, row(1))
    go_on.set()
    until(state, lambda: not state.is_in_memory)
    assert len(done(state.rows())) == 1


def test_a_lock_that_comes_while_we_run_delays_updates_and_refuses_creations(open_state, path, monkeypatch):
    monkeypatch.setattr(commits, "_RETRY_INTERVAL", 0.01)
    state = open_state(lock_timeout=0.05)
    inserted(state, row(1))
    with locked(path):
        with pytest.raises(StateFileError, match="locked"):
            inserted(state, row(2))
        update = state.update(UUID(int=1), at_once=True, status=1)
        assert len(done(state.rows())) == 1
    assert done(update)


def test_a_file_that_was_deleted_while_in_use_is_written_anew(open_state, path, until):
    state = open_state(heartbeat=0.01)
    inserted(state, row(1))
    for each in path.parent.glob("state.sqlite3*"):
        each.unlink()
    until(state, path.exists)
    until(state, lambda: (path.stat().st_dev, path.stat().st_ino) == state._store._database.identity)
    assert done(state.update(UUID(int=1), epoch=1, at_once=True, status=1))
    other = sqlite3.connect(path)
    assert other.execute("SELECT status FROM operations").fetchall() == [(1,)]
    other.close()
