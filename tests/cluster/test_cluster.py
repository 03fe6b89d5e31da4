from __future__ import annotations

import base64
import logging
import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from bgdl_jupyter.cluster.group import ClusterGroup
from bgdl_jupyter.errors import InvalidManifest, InvalidRequest, InvalidTransferState
from bgdl_jupyter.events import AlertRaised
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.status import BackgroundTransferStatus, Step
from tests.cluster.programs import Programs
from tests.downloads import Seen
from tests.servers.oracle import hits_in_tree

DEADLINE = 60.0


def until(is_so, timeout: float = DEADLINE) -> None:
    """Block until the condition holds."""
    end = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def standing(group: ClusterGroup) -> BackgroundTransferStatus:
    """Return how a group is now."""
    return group.standing


@pytest.fixture
def downloader(new_downloader):
    return new_downloader()


def fetch(downloader, lines, client, **options) -> ClusterGroup:
    given = {"group": "many", "directory": "out", "shard_files": 25, **options}
    group = downloader.download_many(lines, cluster=client, **given)
    assert isinstance(group, ClusterGroup)
    return group


def test_every_file_is_right_and_the_tables_say_so(downloader, client, serving, work):
    """No host ever has more connections than its limit, over all workers together."""
    downloader.max_parallel_per_host = 4
    seen = Seen()
    group = fetch(downloader, serving.lines(100, latency=0.02), client)
    group.wait(DEADLINE)
    assert standing(group) is BackgroundTransferStatus.COMPLETED
    assert group.progress.completed == group.progress.total == 100
    assert serving.wrong(work / "out", 100) == []
    assert max(serving.asked().values()) == 1
    assert serving.server.connections_peak <= 4
    assert len(group.result_tables) == 4
    assert sum(pq.read_table(table).num_rows for table in group.result_tables) == 100
    assert {each.status.name for each in group.results()} == {"COMPLETED"}
    assert set(group.to_dataframe()["bytes_received"]) == {8 * each for each in range(1, 8)}
    (alert,) = seen.of(AlertRaised)
    assert alert.title == "100 downloads are complete"


def test_a_killed_worker_costs_the_unfinished_files_of_its_shard_alone(downloader, client, serving, work):
    group = fetch(downloader, serving.lines(300, latency=0.2), client, shard_files=75)
    until(lambda: group.progress.completed > 40 and group.progress.running)
    victim = next(iter(client.run(os.getpid).values()))
    there = {f"/{path.stem}" for path in (work / "out").rglob("*.bin")}
    os.kill(victim, signal.SIGKILL)
    group.wait(DEADLINE)
    assert group.progress.completed == 300
    assert serving.wrong(work / "out", 300) == []
    again = {path: count for path, count in serving.asked().items() if count > 1}
    assert again, "nothing was under way"
    assert set(again.values()) == {2}
    assert again.keys() & there == set(), "what was there was fetched again"
    assert serving.server.connections_peak <= 16
    left = [path.name for path in (work / "out").rglob("*.bgdl")]
    assert left == []


def test_pause_resume_and_cancel_reach_the_workers(downloader, client, serving, work):
    group = fetch(downloader, serving.lines(400, latency=0.05), client, shard_files=100)
    until(lambda: group.progress.completed > 10)
    group.pause()
    until(lambda: standing(group) is BackgroundTransferStatus.PAUSED_BY_APPLICATION)
    with pytest.raises(InvalidTransferState):
        group.take(Step.PAUSE)
    asked = -1

    def stands_still() -> bool:
        nonlocal asked
        before, asked = asked, len(serving.server.requests())
        time.sleep(0.5)
        return before == asked

    until(stands_still, 10)
    assert asked < 400
    group.resume()
    until(lambda: len(serving.server.requests()) > asked, 10)
    group.cancel()
    group.wait(DEADLINE)
    assert standing(group) is BackgroundTransferStatus.CANCELED
    assert group.progress.canceled > 0
    given_up = len(serving.server.requests())
    group.retry_failed()
    until(lambda: standing(group) is BackgroundTransferStatus.COMPLETED)
    assert serving.wrong(work / "out", 400) == []
    assert len(serving.server.requests()) - given_up < 400, "what was there was fetched again"


def test_only_what_failed_is_tried_again(downloader, client, serving, work):
    lines = serving.lines(60, missing=(7, 31))
    group = fetch(downloader, lines, client)
    group.wait(DEADLINE)
    assert standing(group) is BackgroundTransferStatus.ERROR
    assert group.progress.failed == 2
    failed = [each for each in group.results() if each.error]
    assert [each.http_status for each in failed] == [404, 404]
    assert group.export_failed("failed.jsonl") == 2
    before = serving.asked()
    group.retry_failed()
    until(lambda: standing(group) is BackgroundTransferStatus.ERROR and group.remark.startswith("3 of 3"))
    more = serving.asked() - before
    assert set(more) == {"/7", "/31"}
    assert group.progress.completed == 58


def test_the_next_kernel_goes_on_where_the_cluster_is(downloader, new_downloader, client, serving, work):
    """What was handed out goes on without a notebook, and what is done is not fetched twice."""
    lines = serving.lines(300, latency=0.03)
    group = fetch(downloader, lines, client.scheduler.address, shard_files=50)
    until(lambda: group.progress.completed > 30)
    shut_down()
    assert group.progress.completed < 300
    downloader = new_downloader()
    downloader.restore()
    group = downloader.create_group("many")
    assert isinstance(group, ClusterGroup)
    group.wait(DEADLINE)
    assert group.progress.completed == 300
    assert serving.wrong(work / "out", 300) == []
    assert max(serving.asked().values()) == 1
    assert serving.server.connections_peak <= 16


def test_a_group_whose_cluster_died_with_the_kernel_says_so_and_goes_on_with_another(
    downloader, new_downloader, client, local_cluster, serving
):
    lines = serving.lines(100, latency=0.03)
    group = fetch(downloader, lines, local_cluster)
    until(lambda: group.progress.completed > 10)
    shut_down()
    downloader = new_downloader()
    downloader.restore()
    group = downloader.create_group("many")
    until(lambda: "attach" in group.remark)
    assert group.standing.waits_for_a_person
    assert group.attach(client) is group
    group.wait(DEADLINE)
    assert serving.wrong(Path("out"), 100) == []
    assert max(serving.asked().values()) == 1


def test_the_same_manifest_again_adopts_what_was_done_and_another_is_refused(downloader, client, serving, work):
    lines = serving.lines(50)
    fetch(downloader, lines, client).wait(DEADLINE)
    again = fetch(downloader, lines, client)
    again.wait(DEADLINE)
    assert again.progress.completed == 50
    assert sum(serving.asked().values()) == 50
    with pytest.raises(InvalidRequest, match="another manifest"):
        fetch(downloader, lines[:-1], client)


def test_every_bad_line_is_named_before_anything_starts(downloader, client, serving, work):
    lines = serving.lines(10)
    lines[3]["destination"] = "../outside.bin"
    lines[5]["uri"] += "?token=abcdefgh"
    lines[6]["destination"] = lines[2]["destination"]
    lines[8]["uri"] = lines[2]["uri"]
    lines[9]["post_process"] = "os.path:exists"
    with pytest.raises(InvalidManifest) as refused:
        fetch(downloader, lines, client)
    assert [each.line for each in refused.value.problems] == [4, 6, 7, 9, 10]
    assert "abcdefgh" not in str(refused.value)
    assert serving.server.requests() == []
    assert not (work / "out").exists()


def test_secrets_reach_workers_by_reference_and_lie_nowhere(downloader, client, serving, work, home):
    secret = "a-token-of-the-worker"
    (work / "token").write_text(secret)
    references = {"header Authorization": f"Bearer {{file:{work}/token}}"}
    fetch(downloader, serving.lines(30), client, worker_secrets=references).wait(DEADLINE)
    sent = {request.header("Authorization") for request in serving.server.requests()}
    assert sent == {f"Bearer {secret}"}
    assert serving.wrong(work / "out", 30) == []
    (work / "token").unlink()
    assert hits_in_tree(secret, work) == []


def test_a_secret_itself_is_not_sent_in_the_clear(downloader, client, serving, work):
    downloader.server_credential = PasswordCredential("files", "me", "a-password-of-mine")
    with pytest.raises(InvalidRequest, match="not encrypted") as refused:
        fetch(downloader, serving.lines(5), client)
    assert "a-password-of-mine" not in str(refused.value)


def test_a_secret_itself_goes_over_tls_and_lies_nowhere(downloader, serving, work):
    from distributed import Client, LocalCluster, Security

    downloader.server_credential = PasswordCredential("files", "me", "a-password-of-mine")
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            security=Security.temporary(),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        fetch(downloader, serving.lines(20), client).wait(DEADLINE)
    sent = {request.header("Authorization") for request in serving.server.requests()}
    assert sent == {"Basic " + base64.b64encode(b"me:a-password-of-mine").decode()}
    assert hits_in_tree("a-password-of-mine", work) == []


def test_files_and_ledger_may_be_in_a_store(downloader, client, serving, s3_server, work):
    s3fs = pytest.importorskip("s3fs")
    bucket = s3_server.make_bucket(f"cluster-{uuid4().hex}")
    for name, value in s3_server.options.items():
        (work / name).write_text(value)
    references = {f"storage {name}": f"{{file:{work}/{name}}}" for name in s3_server.options}
    group = fetch(downloader, serving.lines(40), client, directory=f"s3://{bucket}/out", worker_secrets=references)
    group.wait(DEADLINE)
    assert group.progress.completed == 40
    files = s3fs.S3FileSystem(**s3_server.options, skip_instance_cache=True)
    assert files.cat_file(f"{bucket}/out/2/7.bin") == b"00000007"
    assert len(group.results()) == 40


def test_the_notebooks_own_process_is_no_worker(downloader, serving, work):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        group = fetch(downloader, serving.lines(5), client)
        until(lambda: group.standing.is_final)
        assert "processes" in group.remark
        assert group.progress.failed == 5


def test_a_cleared_group_is_forgotten_and_its_files_stay(downloader, client, serving, work):
    group = fetch(downloader, serving.lines(10), client)
    group.wait(DEADLINE)
    current_runner().place.call(group.forget)
    assert not current_runner().registry.has_group(group.application, "many")
    assert serving.wrong(work / "out", 10) == []


def test_another_scheduler_at_the_same_address_goes_on(downloader, serving, work):
    """Scheduler and worker end at once; nothing that was there is fetched again."""
    with Programs(work / "scratch") as programs:
        group = fetch(downloader, serving.lines(200, latency=0.2), programs.address, shard_files=50)
        until(lambda: group.progress.completed > 30)
        there = {f"/{path.stem}" for path in (work / "out").rglob("*.bin")}
        programs.kill()
        until(lambda: "waiting for it" in group.remark)
        programs.start()
        group.wait(DEADLINE)
    assert group.progress.completed == 200
    assert serving.wrong(work / "out", 200) == []
    assert {path for path, count in serving.asked().items() if count > 1} & there == set()
