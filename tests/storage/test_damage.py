"""Whatever is in the state file: the downloader starts, keeps what can be read, and touches nothing newer."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import schema
from bgdl_jupyter.storage.salvage import set_aside
from bgdl_jupyter.storage.state_file import StateFile
from tests.storage.kernel_process import DEADLINE, all_of, row

WHEN = 1_767_322_984.0  # 2026-01-02T03:03:04Z


def done(future):
    return future.result(DEADLINE)


def numbers(state):
    return [each.operation_id.int for each in done(state.rows())]


def set_aside_in(folder):
    return sorted(path.name for path in folder.iterdir() if ".corrupt-" in path.name)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return a sound state file with 300 operations, closed."""
    path = tmp_path_factory.mktemp("sound") / "state" / "state.sqlite3"
    state = StateFile.open(path, application="/a.ipynb")
    done(state.insert_many([row(number, record={"text": "x" * 200}) for number in range(1, 301)]))
    done(state.put_group("/a.ipynb", "g", {"n": 1}))
    state.close(DEADLINE)
    return path


@pytest.fixture
def copy(sound, path):
    path.parent.mkdir(mode=0o700)
    shutil.copy(sound, path)
    return path


def starts(path) -> StateFile:
    state = StateFile.open(path, application="/a.ipynb", clock=lambda: WHEN)
    assert not state.is_in_memory
    done(state.insert([row(1000)])[0])
    return state


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"[]",
        b"[" * 100_000,
        b"\0" * 4096,
        b"\xef\xbb\xbf{}",
        b"SQLite format 3\0" + b"\xff" * 5000,
        b"\x80\x04K\x01.",
    ],
    ids=["null", "list", "depth", "zeros", "bom", "half a header", "pickle"],
)
def test_what_is_no_state_file_is_set_aside_and_kept(path, content):
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    state = starts(path)
    (name,) = set_aside_in(path.parent)
    assert name == "state.sqlite3.corrupt-20260102T030304Z"
    assert (path.parent / name).read_bytes() == content
    assert name in state.notices[0]
    state.close(DEADLINE)


def test_an_empty_file_is_a_new_one(path):
    path.parent.mkdir(mode=0o700)
    path.touch()
    state = starts(path)
    assert set_aside_in(path.parent) == []
    state.close(DEADLINE)


def test_a_file_cut_off_anywhere_is_survived(copy):
    content = copy.read_bytes()
    random_places = random.Random(1).sample(range(len(content)), 25)
    for size in [1, 15, 16, 99, 100, 4096, *random_places]:
        for each in copy.parent.glob("state.sqlite3*"):
            each.unlink()
        copy.write_bytes(content[:size])
        state = starts(copy)
        assert set(numbers(state)) <= {*range(1, 301), 1000}
        state.close(DEADLINE)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(1, 255)), min_size=1, max_size=8))
def test_flipped_bits_are_survived(sound, tmp_path, flips):
    path = tmp_path / "state" / "state.sqlite3"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(mode=0o700)
    content = bytearray(sound.read_bytes())
    for place, mask in flips:
        content[place % len(content)] ^= mask
    path.write_bytes(content)
    state = StateFile.open(path, application="/a.ipynb", lock_timeout=1.0)
    done(state.rows())
    done(state.groups("/a.ipynb"))
    if not state.is_read_only:
        all_of(state.acquire("/a.ipynb"))
        done(state.insert([row(2000)])[0])
    state.close(DEADLINE)


def test_a_file_that_cannot_be_written_for_its_format_is_set_aside(copy):
    content = bytearray(copy.read_bytes())
    content[18] = 3  # the version of the format for writing
    copy.write_bytes(content)
    state = starts(copy)
    assert len(numbers(state)) == 301
    assert len(set_aside_in(copy.parent)) == 1
    state.close(DEADLINE)


def test_what_can_be_read_of_a_damaged_file_is_carried_over(copy, sound):
    key = key_of(sound)
    content = bytearray(copy.read_bytes())
    for page in range(12, 16):
        content[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    copy.write_bytes(content)
    state = starts(copy)
    carried = set(numbers(state)) - {1000}
    assert 150 < len(carried) < 300
    assert carried <= set(range(1, 301))
    assert f"{len(carried)} operations" in state.notices[0]
    assert state.identity_key == key
    assert done(state.groups("/a.ipynb")) == {"g": {"n": 1}}
    state.close(DEADLINE)
    assert copy.with_name(set_aside_in(copy.parent)[0]).read_bytes() == bytes(content)


@pytest.mark.parametrize("described", ["kernels", "meta"])
@pytest.mark.parametrize("harm", [b"!", b"\xff"], ids=["not SQL", "not text"])
def test_a_table_that_is_described_wrong_does_not_take_the_others_along(copy, described, harm):
    content = copy.read_bytes()
    words = f"CREATE TABLE {described}".encode()
    assert content.count(words) == 1
    copy.write_bytes(content.replace(words, words[:-1] + harm))
    state = starts(copy)
    assert set(range(1, 301)) <= set(numbers(state))
    assert len(set_aside_in(copy.parent)) == 1
    state.close(DEADLINE)


def key_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT value FROM meta WHERE name = 'identity_key'").fetchone()[0]


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TABLE operations",
        "ALTER TABLE operations ADD COLUMN extra",
        "DELETE FROM meta",
        "UPDATE meta SET value = 'text'",
        "DROP TABLE meta",
        "PRAGMA application_id = 5",
        "PRAGMA user_version = 0",
    ],
)
def test_tables_of_another_shape_are_set_aside(copy, harm):
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(harm)
    state = starts(copy)
    assert len(set_aside_in(copy.parent)) == 1
    state.close(DEADLINE)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", 9),
        ("status", "x"),
        ("is_final", 2),
        ("position", -1),
        ("position", 1.5),
        ("epoch", "many"),
        ("created_at", "yesterday"),
        ("final_at", b"x"),
        ("final_at", float("inf")),
        ("group", b"\xff\xff"),
        ("record", "[1]"),
        ("record", '{"a": NaN}'),
        ("record", "{" * 100_000),
        ("record", "[" * 100_000),
        ("record", '{"a": ' + "9" * 5000 + "}"),
        ("record", b"{}"),
        ("watermark", "nonsense"),
        ("resource", "nul\0l"),
        ("owner", b"\xff"),
        ("operation_id", b"short"),
        ("operation_id", "0" * 16),
    ],
)
def test_a_single_unreadable_record_is_set_aside_alone(copy, column, value):
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(f'UPDATE operations SET "{column}" = ? WHERE position = 7', (value,))  # noqa: S608 (above)
    state = StateFile.open(copy, application="/a.ipynb")
    assert set(numbers(state)) == set(range(1, 301)) - {7}
    assert "1 records" in state.notices[0]
    assert state.flush(DEADLINE)
    assert count(copy, "quarantine") == 1
    assert count(copy, "operations") == 299
    state.close(DEADLINE)
    assert set_aside_in(copy.parent) == []


def count(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (names of tables above)


def test_an_unreadable_record_is_not_taken_over(copy):
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE operations SET record = '[' WHERE position = 7")
    state = StateFile.open(copy, application="/a.ipynb")
    assert {each.row.operation_id.int for each in all_of(state.acquire("/a.ipynb"))} == set(range(1, 301)) - {7}
    assert count(copy, "quarantine") == 1
    state.close(DEADLINE)


def test_an_unreadable_group_is_set_aside_alone(copy):
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("INSERT INTO groups VALUES ('/a.ipynb', 'bad', '[')")
    state = StateFile.open(copy, application="/a.ipynb")
    assert done(state.groups("/a.ipynb")) == {"g": {"n": 1}}
    assert state.flush(DEADLINE)
    assert count(copy, "quarantine") == 1
    state.close(DEADLINE)


def test_a_newer_file_is_read_and_not_touched(copy):
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    content = copy.read_bytes()
    state = StateFile.open(copy, application="/a.ipynb")
    assert state.is_read_only
    assert "newer version" in state.notices[0]
    assert len(numbers(state)) == 300
    for write in (
        lambda: state.insert([row(1)]),
        lambda: state.update(UUID(int=1), status=1),
        lambda: next(state.acquire("/a.ipynb")),
        lambda: state.purge(None),
    ):
        with pytest.raises(StateFileError, match="newer version"):
            write()
    state.close(DEADLINE)
    assert copy.read_bytes() == content
    assert not (copy.parent / "kernels").exists()


def test_a_newer_file_of_another_shape_is_not_touched_either(copy):
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DROP TABLE operations")
        connection.execute("PRAGMA user_version = 99")
    content = copy.read_bytes()
    state = StateFile.open(copy, application="/a.ipynb")
    assert state.is_read_only
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        done(state.rows())
    state.close(DEADLINE)
    assert copy.read_bytes() == content


@pytest.mark.parametrize("place", [47, 108], ids=["its format", "its first page"])
def test_a_newer_file_that_cannot_be_read_is_not_touched_and_downloads_are_kept_in_memory(copy, place):
    content = bytearray(copy.read_bytes())
    for each in (60, place):  # of the version, and of what makes it unreadable
        content[each] ^= 1
    copy.write_bytes(content)
    state = StateFile.open(copy, application="/a.ipynb", heartbeat=0.05)
    assert state.is_in_memory
    assert "newer version" in state.notices[0]
    assert done(state.insert([row(2000)])[0]) is None
    state.close(DEADLINE)
    assert copy.read_bytes() == content
    assert list(copy.parent.glob("*corrupt*")) == []


def test_damage_that_is_met_while_we_run_is_survived(copy):
    """The file is set aside, what can be read is carried over, and what was to be done is done in the new one."""
    state = StateFile.open(copy, application="/a.ipynb")
    is_met: list[bool] = []

    def meet(_):
        if not is_met:
            is_met.append(True)
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    done(state._commits.submit(meet))
    assert len(set_aside_in(copy.parent)) == 1
    assert len(numbers(state)) == 300
    assert "300 operations" in state.notices[0]
    assert len(all_of(state.acquire("/a.ipynb"))) == 300
    assert (copy.parent / "kernels" / state.kernel_id).exists()
    state.close(DEADLINE)


def test_a_new_file_of_another_kernel_is_not_set_aside(path):
    """Two kernels meet the same damage; the second must not take the first one's new file for the damaged one."""
    path.parent.mkdir(mode=0o700)
    path.write_text("damaged")
    status = path.stat()
    identity = status.st_dev, status.st_ino
    keeper = os.open(path, os.O_RDONLY)  # else its inode could be given to the new file
    first = set_aside(path, identity, now=WHEN)
    path.write_text("new")
    assert set_aside(path, identity, now=WHEN) is None
    assert path.read_text() == "new"
    assert first is not None
    assert first.read_text() == "damaged"
    os.close(keeper)


def test_two_damages_in_one_second_keep_both_files(path):
    path.parent.mkdir(mode=0o700)
    for content in ("first", "second"):
        path.write_text(content)
        set_aside(path, None, now=WHEN)
    assert len(set_aside_in(path.parent)) == 2


def test_a_clock_that_is_far_off_still_gives_a_name(path):
    path.parent.mkdir(mode=0o700)
    path.write_text("damaged")
    aside = set_aside(path, None, now=1e30)
    assert aside is not None
    assert aside.name.endswith("unknown-time")


def test_the_log_of_a_damaged_file_goes_with_it(path):
    """A log beside a new file would be taken for its own."""
    path.parent.mkdir(mode=0o700)
    for companion in ("", "-wal", "-shm"):
        path.with_name(path.name + companion).write_text(companion)
    set_aside(path, None, now=WHEN)
    assert len(set_aside_in(path.parent)) == 3
    assert not path.with_name("state.sqlite3-wal").exists()


def test_what_was_committed_before_a_kill_is_there_afterwards(start_kernel, open_state):
    kernel = start_kernel()
    kernel.evaluate("state.insert_many([row(n) for n in range(1, 101)]).result(20)")
    kernel.kill()
    assert numbers(open_state()) == list(range(1, 101))
