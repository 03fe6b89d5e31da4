"""Who may run an operation: with real processes that are killed, stopped and forked."""

from __future__ import annotations

import ast
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import kernels, state_file
from bgdl_jupyter.storage.kernels import is_lock_held, process_start
from tests.storage.kernel_process import DEADLINE, all_of, row

FIRST = UUID(int=1)


def done(future):
    return future.result(DEADLINE)


def insert_one(kernel, number=1):
    assert kernel.evaluate(f"state.insert([row({number})])[0].result(20)") == "None"


def describe(path, kernel_id, **columns):
    """Change what a kernel says of itself, to make it one of another machine or time."""
    names = ", ".join(f"{name} = ?" for name in columns)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"UPDATE kernels SET {names} WHERE kernel_id = ?",  # noqa: S608 (names of keyword arguments)
            (*columns.values(), kernel_id),
        )


def test_two_kernels_lose_nothing(start_kernel, state):
    """Two processes with 200 creations each: 400 are kept."""
    kernels = [start_kernel() for _ in range(2)]
    for index, kernel in enumerate(kernels):
        kernel.ask(f"[state.insert([row({index * 1000} + n)])[0].result(20) for n in range(1, 201)].count(None)")
    assert [kernel.answer() for kernel in kernels] == ["200", "200"]
    assert len(done(state.rows())) == 400


def test_kernels_that_start_together_all_get_the_file(start_kernel, path, open_state):
    kernels = [start_kernel() for _ in range(3)]
    assert [kernel.evaluate("state.is_in_memory, state.notices") for kernel in kernels] == ["(False, ())"] * 3


def test_a_killed_kernels_operations_are_taken_over_at_once(start_kernel, state):
    kernel = start_kernel()
    insert_one(kernel)
    kernel.kill()
    (acquired,) = all_of(state.acquire("/a.ipynb"))
    assert (acquired.previous_epoch, acquired.was_proven_dead) == (1, True)
    assert (acquired.row.operation_id, acquired.row.epoch, acquired.row.owner) == (FIRST, 2, state.kernel_id)
    assert done(state.rows()) == [acquired.row]
    assert all_of(state.acquire("/a.ipynb")) == []


def test_a_stopped_kernels_operations_are_not_taken(start_kernel, state):
    kernel = start_kernel()
    insert_one(kernel)
    kernel.stop()
    assert all_of(state.acquire("/a.ipynb")) == []
    assert done(state.acquire_one(FIRST)) is None
    holder = done(state.holder(FIRST))
    assert (holder.kernel_id, holder.pid, holder.application) == (kernel.kernel_id, kernel.pid, "/a.ipynb")
    assert 0 <= time.time() - holder.since < 600


def test_a_new_kernel_gets_everything_within_seconds_of_the_end_of_the_old_one(start_kernel):
    """The new one starts before the old one is dead, as at a restart."""
    old = start_kernel()
    insert_one(old)
    new = start_kernel()
    assert new.evaluate("[each for piece in state.acquire('/a.ipynb') for each in piece]") == "[]"
    old.kill()
    assert new.evaluate("len([each for piece in state.acquire('/a.ipynb') for each in piece])") == "1"


def test_of_two_kernels_one_gets_the_lease(start_kernel):
    dead = start_kernel()
    insert_one(dead)
    dead.kill()
    heirs = [start_kernel() for _ in range(2)]
    for heir in heirs:
        heir.ask("len([each for piece in state.acquire('/a.ipynb') for each in piece])")
    assert sorted(heir.answer() for heir in heirs) == ["0", "1"]


def test_who_lost_the_lease_is_told_with_the_next_update(start_kernel, state):
    old = start_kernel()
    insert_one(old)
    with closing(sqlite3.connect(state.path)) as connection, connection:
        connection.execute("UPDATE operations SET owner = ?, epoch = 2", (state.kernel_id,))
    assert old.evaluate("state.update(UUID(int=1), epoch=1, at_once=True, status=1).result(20)") == "False"
    assert done(state.update(FIRST, epoch=2, at_once=True, status=1))


def test_a_kernel_that_closes_leaves_everything_to_others(open_state, state):
    done(open_state("/b.ipynb").insert([row(1)])[0])
    other = open_state("/b.ipynb")
    done(other.insert([row(2)])[0])
    assert other.close(DEADLINE)
    assert done(state.holder(UUID(int=2))) is None
    assert [each.row.operation_id.int for each in all_of(state.acquire("/a.ipynb"))] == [2]


def test_a_released_operation_can_be_taken(state, open_state):
    done(state.insert([row(1)])[0])
    done(state.insert([row(2)])[0])
    assert done(state.release([FIRST, UUID(int=99)])) == 1
    other = open_state()
    assert [each.row.operation_id for each in all_of(other.acquire("/a.ipynb"))] == [FIRST]
    assert done(state.update(FIRST, epoch=1, at_once=True, status=1)) is False


def test_only_live_operations_of_the_application_are_taken(open_state, state):
    old = open_state()
    for future in old.insert([row(1), row(2, is_final=True), row(3, application="/b.ipynb")]):
        done(future)
    old.close(DEADLINE)
    assert [each.row.operation_id for each in all_of(state.acquire("/a.ipynb"))] == [FIRST]


def test_a_single_operation_can_be_taken_even_when_final(open_state, state):
    old = open_state()
    done(old.insert([row(2, is_final=True)])[0])
    old.close(DEADLINE)
    acquired = done(state.acquire_one(UUID(int=2)))
    assert (acquired.row.epoch, acquired.previous_epoch) == (2, 1)
    again = done(state.acquire_one(UUID(int=2)))
    assert (again.row.epoch, again.previous_epoch) == (2, 2)
    assert done(state.acquire_one(UUID(int=99))) is None


def test_what_is_created_later_stands_behind_what_was_taken_over(open_state, state):
    old = open_state()
    done(old.insert([row(1, position=1000)])[0])
    old.close(DEADLINE)
    all_of(state.acquire("/a.ipynb"))
    assert state.next_position() == 1001


def test_many_are_taken_in_pieces_and_others_are_written_in_between(open_state, state, monkeypatch):
    """No transaction grows with the queue: heartbeats and updates wait for one piece at most."""
    monkeypatch.setattr(state_file, "_ACQUIRED_AT_ONCE", 2)
    old = open_state()
    for future in old.insert([row(number, position=number // 2) for number in range(1, 6)]):
        done(future)
    old.close(DEADLINE)
    pieces = state.acquire("/a.ipynb")
    first = next(pieces)
    assert state.next_position() == 3
    assert done(state.update(FIRST, epoch=2, at_once=True, status=1))
    taken = [[each.row.operation_id.int for each in piece] for piece in (first, *pieces)]
    assert taken == [[1, 2], [3, 4], [5]]


SMALL_PIECES = "setattr(__import__('sys').modules['bgdl_jupyter.storage.state_file'], '_ACQUIRED_AT_ONCE', 3)"


def test_a_kernel_that_dies_between_two_pieces_loses_nothing(start_kernel, state):
    dead, heir = start_kernel(), start_kernel()
    assert dead.evaluate("[state.insert([row(n)])[0].result(20) for n in range(1, 21)].count(None)") == "20"
    dead.kill()
    heir.evaluate(SMALL_PIECES)
    assert heir.evaluate("len(next(state.acquire('/a.ipynb')))") == "3"
    assert 3 <= int(heir.evaluate("sum(each.epoch == 2 for each in state.rows().result(20))")) <= 6
    heir.kill()
    assert [each.row.operation_id.int for each in all_of(state.acquire("/a.ipynb"))] == list(range(1, 21))
    assert {each.owner for each in done(state.rows())} == {state.kernel_id}


def test_two_kernels_that_take_pieces_at_once_never_hold_the_same_operation(start_kernel):
    dead, heirs = start_kernel(), [start_kernel() for _ in range(2)]
    assert dead.evaluate("[state.insert([row(n)])[0].result(20) for n in range(1, 101)].count(None)") == "100"
    dead.kill()
    for heir in heirs:
        heir.evaluate(SMALL_PIECES)
    for heir in heirs:
        heir.ask("[each.row.operation_id.int for piece in state.acquire('/a.ipynb') for each in piece]")
    taken = [ast.literal_eval(heir.answer()) for heir in heirs]
    assert sorted(taken[0] + taken[1]) == list(range(1, 101))


@pytest.mark.parametrize("now", [0.0, -1e9, 4e9, 1e18])
def test_a_wrong_clock_steals_nothing(start_kernel, open_state, now):
    kernel = start_kernel()
    insert_one(kernel)
    thief = open_state(clock=lambda: now)
    assert all_of(thief.acquire("/a.ipynb")) == []
    describe(thief.path, kernel.kernel_id, heartbeat=0.0, boot_id="another machine")
    assert all_of(thief.acquire("/a.ipynb")) == []


def test_a_reused_process_number_is_not_the_kernel(open_state, state):
    old = open_state()
    done(old.insert([row(1)])[0])
    describe(state.path, old.kernel_id, started="1")
    assert len(all_of(state.acquire("/a.ipynb"))) == 1


def test_a_kernel_in_another_container_of_the_machine_lives_as_long_as_its_lock(start_kernel, state):
    """Its process numbers mean nothing here; a stopped one keeps its lock, too."""
    kernel = start_kernel()
    insert_one(kernel)
    describe(state.path, kernel.kernel_id, pid_namespace="pid:[1]", pid=1, heartbeat=0.0)
    kernel.stop()
    assert all_of(state.acquire("/a.ipynb")) == []
    kernel.kill()
    (acquired,) = all_of(state.acquire("/a.ipynb"))
    assert acquired.was_proven_dead


@pytest.fixture
def pod(open_state, path, monkeypatch):
    """Return a state whose kernel seems to run in another pod, on a disk where locks prove nothing."""
    monkeypatch.setattr(kernels, "_try_lock", lambda _: None)
    pod = open_state()
    done(pod.insert([row(1)])[0])
    describe(path, pod.kernel_id, boot_id="another machine", host="pod-7")
    return pod


def let_be_silent(pod, seconds):
    path = pod.path.parent / "kernels" / pod.kernel_id
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_pod_that_is_silent_for_a_minute_may_be_dead(pod, open_state):
    state = open_state()
    let_be_silent(pod, 50)
    assert all_of(state.acquire("/a.ipynb")) == []
    let_be_silent(pod, 61)
    (acquired,) = all_of(state.acquire("/a.ipynb"))
    assert not acquired.was_proven_dead
    assert done(pod.update(FIRST, epoch=1, at_once=True, status=1)) is False


def test_only_a_kernel_of_the_same_application_takes_from_a_silent_pod(pod, open_state):
    let_be_silent(pod, 1000)
    assert all_of(open_state("/b.ipynb").acquire("/a.ipynb")) == []
    assert done(open_state("/b.ipynb").acquire_one(FIRST)) is None
    assert done(open_state("/b.ipynb").holder(FIRST)).host == "pod-7"


def test_the_silence_of_a_pod_without_a_file_is_measured_by_its_heartbeats(pod, open_state):
    (pod.path.parent / "kernels" / pod.kernel_id).unlink()
    state = open_state()
    assert all_of(state.acquire("/a.ipynb")) == []
    describe(state.path, pod.kernel_id, heartbeat=time.time() - 61)
    assert len(all_of(state.acquire("/a.ipynb"))) == 1


def test_a_heartbeat_is_written_by_itself(open_state, state, path, until):
    beating = open_state(heartbeat=0.01)
    describe(path, beating.kernel_id, heartbeat=5.0)
    file = path.parent / "kernels" / beating.kernel_id
    os.utime(file, (5, 5))
    done(beating.insert([row(1)])[0])
    until(beating, lambda: done(state.holder(FIRST)).last_heartbeat > 5.0 and file.stat().st_mtime > 5)


def test_a_kernel_that_was_forgotten_makes_itself_known_again(open_state, state, path, until):
    beating = open_state(heartbeat=0.01)
    done(beating.insert([row(1)])[0])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM kernels")
    until(beating, lambda: done(state.holder(FIRST)) is not None)


def test_a_kernel_without_a_description_lives_as_long_as_its_lock(open_state, state, path):
    """As after a damaged file, of which only the operations could be read."""
    other = open_state()
    done(other.insert([row(1)])[0])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM kernels")
    assert all_of(state.acquire("/a.ipynb")) == []
    other._store._kernel_file.drop()
    assert len(all_of(state.acquire("/a.ipynb"))) == 1


def test_the_files_of_the_dead_are_removed(start_kernel, open_state, path):
    kernel = start_kernel()
    kernel.kill()
    state = open_state()
    assert [each.name for each in (path.parent / "kernels").iterdir()] == [state.kernel_id]


def test_what_names_another_file_removes_nothing(open_state, path):
    """The state file was edited by hand."""
    open_state()
    victim = path.parent / "victim"
    victim.touch()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO kernels"
            " SELECT '../victim', application, host, boot_id, pid_namespace, 0, '', 1, 0, 0 FROM kernels"
        )
    open_state()
    assert victim.exists()


def test_adopted_operations_belong_to_the_new_application(open_state, state, start_kernel):
    old = open_state("/old.ipynb")
    for future in old.insert([row(1, application="/old.ipynb"), row(2, application="/old.ipynb", identity="same")]):
        done(future)
    done(old.put_group("/old.ipynb", "g", {"n": 1}))
    old.close(DEADLINE)
    held = start_kernel("/old.ipynb")
    held.evaluate("state.insert([row(3, application='/old.ipynb')])[0].result(20)")
    done(state.insert([row(4, identity="same")])[0])
    assert done(state.adopt("/old.ipynb", "/a.ipynb")) == 1
    assert [each.row.operation_id for each in all_of(state.acquire("/a.ipynb"))] == [FIRST]
    assert done(state.groups("/a.ipynb")) == {"g": {"n": 1}}
    assert sorted(each.operation_id.int for each in done(state.rows("/old.ipynb"))) == [2, 3]


def test_a_purge_leaves_what_a_living_kernel_has(start_kernel, state):
    kernel = start_kernel()
    insert_one(kernel)
    done(state.insert([row(2)])[0])
    done(state.put_group("/a.ipynb", "g", {}))
    assert [each.operation_id.int for each in done(state.purge(None))] == [2]
    assert [each.operation_id.int for each in done(state.rows())] == [1]
    assert done(state.groups("/a.ipynb")) == {"g": {}}


# ---------------------------------------------------------------------------------------------- forks


def test_a_forked_child_is_inert(state):
    done(state.insert([row(1)])[0])
    pid = os.fork()
    if pid == 0:
        try:
            state.rows()
        except StateFileError:
            os._exit(0 if state.close() else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert done(state.update(FIRST, epoch=1, at_once=True, status=1))


def test_a_forked_child_does_not_keep_its_dead_parent_alive(start_kernel, state, path):
    """A lock is held by every copy of the open file, so the child has to drop it."""
    kernel = start_kernel()
    insert_one(kernel)
    file = path.parent / "kernels" / kernel.kernel_id
    assert is_lock_held(file)
    # One write, with its end of line: two writers share the pipe.
    kernel.ask("(lambda pid: pid or (os.write(1, b'forked\\n'), time.sleep(600)))(os.fork())")
    (child,) = (int(each) for each in (kernel.answer(), kernel.answer()) if each != "forked")
    try:
        kernel.kill()
        assert process_start(child)
        assert is_lock_held(file) is False
        assert len(all_of(state.acquire("/a.ipynb"))) == 1
    finally:
        os.kill(child, 9)


def test_a_child_that_ends_normally_does_not_touch_the_file(start_kernel, path, open_state):
    """Its copy of the connection believes to have locks that it has not: closing it could destroy the log."""
    kernel = start_kernel()
    insert_one(kernel)
    assert kernel.evaluate("(lambda pid: os.waitpid(pid, 0)[1] if pid else sys.exit(0))(os.fork())") == "0"
    insert_one(kernel, 2)
    kernel.kill()
    assert len(done(open_state().rows())) == 2


# ---------------------------------------------------------------------------------------------- processes


def test_a_process_is_known_by_its_start(start_kernel):
    kernel = start_kernel()
    start = process_start(kernel.pid)
    assert start
    assert start != process_start(os.getpid())
    kernel.stop()
    assert process_start(kernel.pid) == start
    kernel.kill()
    assert process_start(kernel.pid) is None


def test_without_a_process_table_a_number_has_to_do(start_kernel, monkeypatch):
    kernel = start_kernel()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert process_start(kernel.pid) == ""
    kernel.end()
    assert process_start(kernel.pid) is None
