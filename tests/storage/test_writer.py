from __future__ import annotations

import errno
import os
import threading
from uuid import uuid4

import pytest

from bgdl_jupyter.errors import DiskFull
from bgdl_jupyter.storage.digests import RunningDigest
from bgdl_jupyter.storage.partial_file import PartialFile
from bgdl_jupyter.storage.writer import BUFFER_SIZE, Writer

DEADLINE = 10


@pytest.fixture
def file(tmp_path):
    file = PartialFile.create(tmp_path, uuid4(), 1)
    yield file
    file.discard()


@pytest.fixture
def writer():
    writer = Writer(limit=4 * BUFFER_SIZE)
    yield writer
    assert writer.close(DEADLINE)


class Outcomes:
    """Collects what the writer tells."""

    def __init__(self):
        self.errors = []
        self._told = threading.Condition()

    def __call__(self, error):
        with self._told:
            self.errors.append(error)
            self._told.notify_all()

    def wait_for(self, count):
        with self._told:
            assert self._told.wait_for(lambda: len(self.errors) >= count, DEADLINE)
        return self.errors


@pytest.fixture
def outcomes():
    return Outcomes()


class SlowDisk:
    """Holds up the first write until it is told to go on."""

    def __init__(self, monkeypatch):
        self.is_in_write, self.go_on = threading.Event(), threading.Event()
        self._real = os.pwrite
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, *args):
        self.is_in_write.set()
        assert self.go_on.wait(DEADLINE)
        return self._real(*args)


@pytest.fixture
def slow_disk(monkeypatch):
    disk = SlowDisk(monkeypatch)
    yield disk
    disk.go_on.set()


def test_bytes_get_to_their_place_and_the_caller_is_told(writer, file, outcomes):
    buffer = writer.buffer()
    buffer[:5] = b"hello"
    writer.write(file, 7, buffer[:5], digest=None, done=outcomes)
    assert outcomes.wait_for(1) == [None]
    assert file.read(0, 20) == b"\0" * 7 + b"hello"


def test_the_caller_is_told_on_the_writers_thread(writer, file):
    names, told = [], threading.Event()

    def done(_):
        names.append(threading.current_thread().name)
        told.set()

    writer.write(file, 0, memoryview(b"x"), digest=None, done=done)
    assert told.wait(DEADLINE)
    assert names == ["bgdl-writer"]


def test_the_digest_is_fed_with_what_was_written(writer, file, outcomes):
    digest = RunningDigest("md5")
    for offset, part in [(0, b"abc"), (3, b"def")]:
        writer.write(file, offset, memoryview(part), digest=digest, done=outcomes)
    outcomes.wait_for(2)
    assert digest.position == 6


def test_a_failed_write_is_told_feeds_no_digest_and_stops_nothing(writer, file, outcomes, monkeypatch):
    digest = RunningDigest("md5")
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(errno.ENOSPC, "full")

        patch.setattr(os, "pwrite", fail)
        writer.write(file, 0, memoryview(b"abc"), digest=digest, done=outcomes)
        assert isinstance(outcomes.wait_for(1)[0], DiskFull)
    writer.write(file, 0, memoryview(b"abc"), digest=digest, done=outcomes)
    assert outcomes.wait_for(2)[1] is None
    assert digest.position == 3


def test_a_caller_that_cannot_be_told_stops_nothing(writer, file, outcomes, caplog):
    def done(_):
        raise RuntimeError("Event loop is closed")

    writer.write(file, 0, memoryview(b"abc"), digest=None, done=done)
    writer.write(file, 3, memoryview(b"def"), digest=None, done=outcomes)
    assert outcomes.wait_for(1) == [None]
    assert "Event loop is closed" in caplog.text


def test_a_buffer_is_lent_again_when_its_bytes_are_written(writer, file, outcomes):
    first = writer.buffer()
    block = first.obj
    writer.write(file, 0, first[:10], digest=None, done=outcomes)
    outcomes.wait_for(1)
    assert writer.buffer().obj is block


def test_a_buffer_that_was_not_needed_is_lent_again(writer):
    buffer = writer.buffer()
    writer.give_back(buffer[:0])
    assert writer.buffer().obj is buffer.obj


def test_bytes_of_others_are_not_taken_for_buffers(writer):
    writer.give_back(memoryview(bytearray(BUFFER_SIZE)))
    assert not any(writer._free.values())


def test_a_thousand_transfers_do_not_hold_a_gibibyte(writer):
    buffers = [writer.buffer() for _ in range(1000)]
    assert sum(len(buffer) for buffer in buffers) <= 6 * BUFFER_SIZE + 1000 * 32 * 1024


def test_who_writes_more_than_the_disk_takes_is_asked_to_wait(writer, file, outcomes, slow_disk):
    assert writer.room() is None
    for number in range(5):
        writer.write(file, number * BUFFER_SIZE, memoryview(bytes(BUFFER_SIZE)), digest=None, done=outcomes)
    room = writer.room()
    assert room is not None
    assert not room.done()
    assert writer.room() is room
    slow_disk.go_on.set()
    room.result(DEADLINE)
    outcomes.wait_for(5)
    assert writer.room() is None
    assert writer.queued_bytes == 0


def test_a_waiter_that_gave_up_holds_up_nothing(writer, file, outcomes, slow_disk):
    for number in range(5):
        writer.write(file, number, memoryview(bytes(BUFFER_SIZE)), digest=None, done=outcomes)
    assert writer.room().cancel()
    slow_disk.go_on.set()
    assert outcomes.wait_for(5) == [None] * 5


def test_what_follows_runs_behind_the_writes_before_it(writer, file, outcomes, slow_disk):
    writer.write(file, 0, memoryview(b"abc"), digest=None, done=outcomes)
    read = writer.run(lambda: file.read(0, 3))
    assert slow_disk.is_in_write.wait(DEADLINE)
    assert not read.done()
    slow_disk.go_on.set()
    assert read.result(DEADLINE) == b"abc"


def test_a_slow_follower_holds_up_no_write(writer, file, outcomes):
    go_on = threading.Event()
    slow = writer.run(lambda: go_on.wait(DEADLINE))
    writer.write(file, 0, memoryview(b"abc"), digest=None, done=outcomes)
    outcomes.wait_for(1)
    assert not slow.done()
    go_on.set()
    assert slow.result(DEADLINE)


def test_an_error_of_a_follower_goes_to_whoever_waits(writer):
    with pytest.raises(ZeroDivisionError):
        writer.run(lambda: 1 // 0).result(DEADLINE)


def test_closing_ends_after_what_is_queued(file, outcomes, slow_disk):
    writer = Writer()
    writer.write(file, 0, memoryview(b"abc"), digest=None, done=outcomes)
    assert not writer.close(0.01)
    slow_disk.go_on.set()
    assert writer.close(DEADLINE)
    assert outcomes.errors == [None]
    with pytest.raises(RuntimeError, match="closed"):
        writer.write(file, 0, memoryview(b"abc"), digest=None, done=outcomes)


def test_a_writer_that_was_never_used_has_no_thread():
    before = threading.active_count()
    assert Writer().close()
    assert threading.active_count() == before
