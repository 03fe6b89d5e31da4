"""A disk that is full, locked, missing or hanging costs nothing that was promised, and holds up nobody."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from uuid import UUID

import pytest

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import commits
from bgdl_jupyter.storage.state_file import StateFile
from bgdl_jupyter.storage.store import Store
from tests.storage.kernel_process import DEADLINE, all_of, row
from tests.storage.state_files import done, inserted


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
