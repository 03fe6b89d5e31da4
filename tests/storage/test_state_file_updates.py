"""Updates are durable when their futures say so, refused without the lease, and written together where they may be."""

from __future__ import annotations

import sqlite3
import threading
from uuid import UUID

import pytest

from tests.storage.kernel_process import DEADLINE, row
from tests.storage.state_files import done, held_up, inserted


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
