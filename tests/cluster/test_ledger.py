from __future__ import annotations

import time
from uuid import uuid4

import pytest

from bgdl_jupyter.cluster.folder import Folder
from bgdl_jupyter.cluster.ledger import Handed, Job, Ledger, Marker
from bgdl_jupyter.cluster.shards import Line, Shard
from bgdl_jupyter.errors import InvalidManifest, StorageFailed

ROW = {"line": 1, "uri": "http://h/1", "destination": "1", "status": "COMPLETED", "bytes_received": 3}


@pytest.fixture(params=["disk", "memory", "s3"])
def ledger(request, tmp_path) -> Ledger:
    """Return a ledger on a disk, in a store in memory, and in one with the interface of S3."""
    if request.param == "disk":
        return Ledger(Folder(str(tmp_path / "ledger")))
    if request.param == "memory":
        return Ledger(Folder(f"memory://{uuid4().hex}"))
    store = request.getfixturevalue("s3_server")
    bucket = store.make_bucket(f"ledger-{uuid4().hex}")
    return Ledger(Folder(f"s3://{bucket}/ledger", store.options))


def shard(number: int = 0) -> Shard:
    lines = tuple(
        Line(number=each, host="h", size=0, request={"uri": f"http://h/{each}", "destination": str(each)})
        for each in (1, 2)
    )
    return Shard(number=number, host="h", lines=lines)


def test_a_job_is_there_when_all_of_it_was_cut(ledger):
    assert ledger.job() is None
    index = [ledger.put_shard(shard())]
    assert ledger.job() is None
    job = Job(job_id="j", fingerprint="f", files=2, shards=1)
    ledger.put_job(job, index)
    assert ledger.job() == job
    assert ledger.index() == index
    assert ledger.lines(0)[1] == {"line": 2, "uri": "http://h/2", "destination": "2"}


@pytest.mark.parametrize("also", [{"post_process": "os:system"}, {"request_body_file": "/etc/passwd"}, {"group": "g"}])
def test_a_line_that_somebody_else_wrote_runs_and_sends_nothing(ledger, also):
    request = {"uri": "http://h/1", "destination": "1", **also}
    ledger.put_shard(Shard(number=0, host="h", lines=(Line(number=1, host="h", size=0, request=request),)))
    with pytest.raises(InvalidManifest, match="did we write it"):
        ledger.lines(0)


def test_a_job_of_another_version_is_refused(ledger):
    ledger.put_job(Job(job_id="j", fingerprint="f", files=0, shards=0, version=99), [])
    with pytest.raises(InvalidManifest, match="another version"):
        ledger.job()


def test_the_marker_of_the_highest_round_counts(ledger):
    assert ledger.markers() == {}
    first = Marker(shard=3, round=1, completed=1, failed=1, size=10)
    second = Marker(shard=3, round=2, completed=2, failed=0, size=20)
    ledger.finish(first, [ROW])
    ledger.finish(second, [ROW, {**ROW, "line": 2}])
    assert ledger.markers() == {3: second}
    assert [row["line"] for row in ledger.results(3)] == [1, 2]


def test_who_begins_a_shard_is_told_what_those_before_left(ledger):
    assert ledger.begin(0, "one").since is None
    ledger.put_part(0, "one", 1, [ROW])
    before = ledger.folder.look_at("open/00000000/one")
    begun = ledger.begin(0, "two")
    assert begun.tokens == ("one",)
    assert [row["line"] for row in begun.rows] == [1]
    assert begun.since == before.since


def test_nothing_of_a_beginning_is_left_when_a_shard_is_done(ledger):
    ledger.begin(0, "one")
    ledger.finish(Marker(shard=0, round=1, completed=1, failed=0, size=3), [ROW])
    assert ledger.folder.names("open/00000000") == []
    assert ledger.begin(0, "two").tokens == ()


def test_what_is_handed_out_is_known_to_the_next(ledger):
    assert ledger.handed_out().parts == {}
    ledger.hand_out(Handed(owner="a", round=2, parts={7: 4}))
    assert ledger.handed_out() == Handed(owner="a", round=2, parts={7: 4})


def test_a_file_on_a_disk_is_as_old_as_its_name(tmp_path):
    """The content of a file may be older: it waits under another name until it is whole."""
    content = tmp_path / "content"
    content.write_bytes(b"x")
    time.sleep(0.02)
    folder = Folder(str(tmp_path / "ledger"))
    folder.write("mark", b"")
    (tmp_path / "ledger" / "file").hardlink_to(content)
    found, mark = folder.look_at("file"), folder.look_at("mark")
    assert found is not None
    assert mark is not None
    assert found.since >= mark.since


def test_a_store_that_refuses_says_so_without_its_secrets(tmp_path):
    (tmp_path / "ledger").write_text("a file where a folder should be")
    with pytest.raises(StorageFailed, match="Cannot write 'a/b'"):
        Folder(str(tmp_path / "ledger")).write("a/b", b"")
