"""What waits for the thread that commits: done together, and told one by one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from bgdl_jupyter.storage import commits
from bgdl_jupyter.storage.state_file import RowConflict
from tests.storage.kernel_process import DEADLINE, row
from tests.storage.state_files import done, held_up, inserted

if TYPE_CHECKING:
    from bgdl_jupyter.storage.state_file import StateFile

MANY = 50


def statuses(state: StateFile) -> list[int]:
    return [each.status for each in done(state.rows())]


def test_updates_of_many_operations_share_a_savepoint(state):
    inserted(state, *(row(number) for number in range(1, MANY + 1)))
    with held_up(state) as statements:
        futures = [state.update(UUID(int=number), epoch=1, status=3) for number in range(1, MANY + 1)]
    state.flush(DEADLINE)
    assert all(done(future) for future in futures)
    assert sum(statement.startswith("SAVEPOINT") for statement in statements) < 5  # the flush has some, too
    assert statuses(state) == [3] * MANY


def test_of_many_updates_each_is_told_whether_it_was_made(state):
    """One under a lease that is lost, one of an operation that is gone, one with other columns."""
    inserted(state, *(row(number) for number in range(1, 6)))
    with held_up(state):
        futures = [state.update(UUID(int=number), epoch=2 if number == 2 else 1, status=3) for number in (1, 2, 3, 99)]
        futures.append(state.update(UUID(int=4), epoch=1, was_seen=True))
        futures.append(state.update(UUID(int=5), status=3))
    state.flush(DEADLINE)
    assert [done(future) for future in futures] == [True, False, True, False, True, True]
    assert statuses(state) == [3, 0, 3, 0, 3]


def test_one_that_is_in_the_way_of_another_takes_no_update_with_it(state):
    inserted(state, row(1), row(2), row(3))
    assert done(state.update(UUID(int=1), is_final=True, status=5, at_once=True))
    inserted(state, row(4, destination_key="/data/1"))
    with held_up(state):
        conflict = state.update(UUID(int=1), is_final=False, status=1)
        others = [state.update(UUID(int=number), is_final=False, status=3) for number in (2, 3)]
    state.flush(DEADLINE)
    with pytest.raises(RowConflict):
        done(conflict)
    assert [done(future) for future in others] == [True, True]
    assert statuses(state) == [5, 3, 3, 0]


def test_who_has_very_many_changes_is_told_to_wait_until_they_are_written(state, monkeypatch):
    monkeypatch.setattr(commits, "_MANY", MANY)
    inserted(state, *(row(number) for number in range(1, MANY + 2)))
    with held_up(state):
        assert not state.is_behind
        for number in range(1, MANY + 2):
            state.update(UUID(int=number), status=3)
        assert state.is_behind
    state.flush(DEADLINE)
    assert not state.is_behind


def test_nobody_waits_for_a_file_that_cannot_be_written(state, monkeypatch):
    monkeypatch.setattr(commits, "_MANY", 0)
    inserted(state, row(1))

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(commits.CommitThread, "_attempt", fail)
        written = state.update(UUID(int=1), status=3, at_once=True)
        assert not state.flush(DEADLINE)
        assert not written.done()
        assert not state.is_behind
    assert done(written)
