"""What a state file keeps beside the operations, whom it tells of changes, and how it lies on the disk."""

from __future__ import annotations

from uuid import UUID

import pytest

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import schema
from bgdl_jupyter.storage.state_file import StateFile
from tests.storage.kernel_process import DEADLINE, all_of, row
from tests.storage.state_files import done, inserted


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
