"""The benchmarks run, compare what they say they compare, and judge as the table of targets has it; never how fast."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from benchmarks import machine, plots, profile, report
from benchmarks.__main__ import WORKLOADS, parse, run, write
from benchmarks.judge import RULES, verdicts
from benchmarks.peers.base import Job, PeerFailed
from benchmarks.peers.libraries import check_completed
from benchmarks.peers.programs import CURL, Floor, Program
from benchmarks.race import Course, race
from benchmarks.reasons import REASONS
from benchmarks.results import OURS, Entry, Result
from benchmarks.scratch import make_file
from benchmarks.servers import ADDRESS, Nginx, line
from benchmarks.sizes import TINY
from tests.counterparts import require
from tests.servers.programs import poll

needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is missing")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep what is compiled and found in the test's folder, and read nothing of this user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def servers():
    require("nginx")
    require("gcc")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")


@pytest.fixture
def nginx(tmp_path, servers):
    folder = tmp_path / "nginx"
    folder.mkdir()
    with Nginx(folder) as running:
        yield running


def run_tiny(name, *peers):
    (result,) = run([name], TINY, runs=1, only=frozenset(peers))
    assert result.trouble is None
    return result


# ------------------------------------------------------------------------------------------------------- the workloads


@pytest.mark.parametrize(
    ("workload", "peers"),
    [
        ("W1", ("C floor", "curl")),
        ("W2", ("sockets in a thread", "curl")),
        ("W3", ("curl | tee | sha256sum",)),
        ("W4", ("C floor", "curl -Z")),
        ("W5", ("C floor", "curl -Z")),
        ("W6", ("C floor, as many connections", "curl")),
        ("W7", ("C floor, as many connections", "curl")),
    ],
)
def test_contestants_fetch_the_same_and_both_times_are_there(workload, peers, servers):
    require("curl")
    result = run_tiny(workload, *peers)
    assert {entry.name: entry.trouble for entry in result.entries} == dict.fromkeys((OURS, *peers))
    for name in (OURS, *peers):
        assert result.durable(name) > 0
        assert result.last_byte(name) > 0


def test_ours_was_seen_to_sync(servers):
    require("strace")
    (note,) = (note for note in run_tiny("W1", "none").notes if "strace" in note)
    assert note.startswith("strace saw ")


@pytest.mark.parametrize("workload", ["W10", "W12", "limits", "growth"])
def test_amounts_are_measured(workload, servers):
    result = run_tiny(workload)
    assert result.measures
    assert all(value >= 0 for name, value in result.measures.items() if "memory" not in name)


@pytest.mark.kernel
def test_a_page_says_that_others_had_the_processors(monkeypatch, servers):
    stolen = iter([0.0, 1e6])
    monkeypatch.setattr(machine, "busy_share", lambda: 0.25)
    monkeypatch.setattr(machine, "stolen_seconds", lambda: next(stolen))
    before, meanwhile = run_tiny("W12").notes[-2:]
    assert before == "The machine was not quiet: 25% of it was busy before this began."
    assert "of its processors to others meanwhile" in meanwhile


@pytest.mark.parametrize("workload", ["W8", "W9", "W11"])
def test_a_kernel_is_measured(workload, servers):
    result = run_tiny(workload)
    judged = [verdict for verdict in verdicts([result]) if verdict.value is not None]
    assert len(judged) == len(verdicts([result]))


# ------------------------------------------------------------------------------------------------------------- servers


def test_the_floor_puts_segments_where_they_belong(nginx, tmp_path):
    source = make_file(nginx.root / "one.bin", 3_000_001)
    course = Course(sources=(source,), url=nginx.plain)
    (entry,) = race([Floor(connections=lambda: 7)], course, tmp_path / "work", runs=1)
    assert entry.trouble is None


def test_a_file_that_is_not_what_the_server_has_is_no_result(nginx, tmp_path):
    source = make_file(nginx.root / "one.bin", 100_000)
    wrong = make_file(nginx.root / "other.bin", 100_000)
    course = Course(sources=(source,), url=lambda _: nginx.plain(wrong.name))
    (entry,) = race([Floor()], course, tmp_path / "work", runs=2)
    assert entry.trouble == "one.bin is not what the server has"
    assert entry.durable == []


def test_the_paced_server_counts_the_connections_that_carried_something(nginx):
    make_file(nginx.root / "one.bin", 200_000)
    nginx.forget_connections()
    for method in ("GET", "HEAD", "GET"):
        with contextlib.closing(http.client.HTTPConnection(ADDRESS, nginx.paced_port)) as client:
            client.request(method, "/one.bin")
            client.getresponse().read()
    poll(lambda: nginx.bytes_sent() == 400_000, deadline=10.0, what="the server's log to be complete")
    assert nginx.connections(least=100_000) == 2


def test_a_line_delays_a_connection_and_an_answer(nginx, tmp_path):
    """A round trip for the handshake and one for the request."""
    (nginx.root / "one.bin").write_bytes(b"x")
    with line(tmp_path, nginx.plain_port, round_trip=0.2) as port, socket.create_connection((ADDRESS, port)) as client:
        start = time.monotonic()
        client.sendall(b"GET /one.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        first = client.recv(1)
        handshake_and_answer = time.monotonic() - start
    assert first == b"H"
    assert handshake_and_answer >= 0.4


def test_a_thin_line_has_its_rate_for_all_connections_together(nginx, tmp_path):
    make_file(nginx.root / "one.bin", 1_000_000)
    with line(tmp_path, nginx.plain_port, rate=2_000_000) as port:
        course = Course(sources=(nginx.root / "one.bin",), url=lambda name: f"http://{ADDRESS}:{port}/{name}")
        (entry,) = race([Floor(connections=lambda: 4)], course, tmp_path / "work", runs=1)
    assert entry.last_byte[0] >= 0.45


# -------------------------------------------------------------------------------------------------- what is said of it


def test_what_is_missing_is_named(tmp_path):
    absent = Program(name="absent", command=lambda _: ["absent"], needs=("no-such-program",))
    (entry,) = race([absent], Course(sources=(), url=str), tmp_path, runs=1)
    assert entry.trouble == "no-such-program is not installed"
    assert "no-such-program is not installed" in page_of(Result(workload="W1", title="x", entries=[entry]))


def test_a_contestant_that_fails_is_named_with_its_words(nginx, tmp_path):
    require("curl")
    source = make_file(tmp_path / "absent.bin", 10)
    (entry,) = race([CURL], Course(sources=(source,), url=nginx.plain), tmp_path / "work", runs=1)
    assert entry.trouble is not None
    assert "404" in entry.trouble


def test_a_state_file_without_completed_operations_fails_ours(tmp_path):
    with pytest.raises(PeerFailed, match="left no state file"):
        check_completed(tmp_path / "state.sqlite3", 1)


def test_every_workload_has_a_target_that_must_be_met():
    judged = {rule.workload for rule in RULES if rule.column == "must"}
    assert judged == set(WORKLOADS) - {"growth"}


@pytest.mark.parametrize(("ours", "is_met"), [(0.59, True), (0.61, False)])
def test_a_ratio_is_judged_by_durable_times(ours, is_met):
    result = large_files(ours=ours, curl=1.0)
    verdict = next(each for each in verdicts([result]) if each.rule.text == "<= 0.6 x curl")
    assert verdict.is_met is is_met


def test_medians_are_what_counts():
    entry = Entry(name=OURS, durable=[1.0, 50.0, 2.0])
    assert Result(workload="W1", title="x", entries=[entry]).durable(OURS) == 2.0


def test_a_target_without_its_peer_is_not_judged():
    result = large_files(ours=1.0, curl=1.0)
    verdict = next(each for each in verdicts([result]) if "aria2" in each.rule.text)
    assert verdict.is_met is None
    assert verdict.words == "not judged"


def test_results_survive_being_kept():
    result = large_files(ours=1.0, curl=2.0)
    result.series = {"created": [(1.0, 0.1), (10.0, 0.2)]}
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_jobs_survive_being_handed_over():
    job = Job(urls=("u",), destinations=(Path("/d"),), sizes=(1,), folder=Path("/f"), certificate=Path("/c"))
    assert Job.from_json(job.to_json()) == job


def test_the_page_of_another_size_than_the_full_one_says_so():
    assert "says nothing about speed" in page_of(large_files(ours=1.0, curl=2.0))


def test_a_missed_must_is_given_its_reason_and_one_that_is_met_none():
    assert f"* W1: {REASONS['W1']}" in page_of(large_files(ours=2.0, curl=1.0))
    assert REASONS["W1"] not in page_of(large_files(ours=0.1, curl=1.0))


@needs_matplotlib
def test_page_and_pictures_are_written_and_earlier_workloads_are_kept(tmp_path):
    options = parse(["W1", "--size", "tiny", "--output", str(tmp_path / "docs")])
    write([large_files(ours=1.0, curl=2.0)], options)
    grown = Result(workload="growth", title="operations", series={"created": [(1.0, 0.1), (10.0, 0.2)]})
    text = write([grown], options).read_text()
    assert "## W1: x" in text
    assert "## growth: operations" in text
    for name in ("benchmarks.svg", "benchmarks-growth.svg"):
        assert f"pictures/{name}" in text
        assert (tmp_path / "docs" / "pictures" / name).read_text().startswith("<?xml")


@needs_matplotlib
def test_there_is_no_picture_of_nothing(tmp_path):
    assert plots.draw([Result(workload="W1", title="x")], tmp_path) == []


def test_an_unknown_workload_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["W13"])
    assert "there is no workload W13" in capsys.readouterr().err


def large_files(*, ours, curl):
    entries = [Entry(name=OURS, durable=[ours], last_byte=[ours]), Entry(name="curl", durable=[curl], last_byte=[curl])]
    return Result(workload="W1", title="x", entries=entries)


def page_of(result):
    return report.page([result], size="tiny", facts={"system": "a machine"}, pictures=[])


# --------------------------------------------------------------------------------------------------------- the profile


@pytest.mark.parametrize("name", ["W4", "W7", "W12"])
def test_a_profile_says_what_each_thread_did_with_the_interpreter(monkeypatch, nginx, tmp_path, name):
    """The samples are given: not everybody may trace processes."""
    samples = [
        "thread (7): bgdl_jupyter;run (loop.py:1);read (socket.py:2) 30",
        "thread (7): bgdl_jupyter;run (loop.py:1) 10",
        'thread (8): "bgdl-writer";write (disk.py:3) 20',
        "idle 5",
    ]

    @contextlib.contextmanager
    def given(_pid, path):
        path.write_text("\n".join(samples))
        yield

    monkeypatch.setattr(profile, "spied", given)
    course = profile.courses(TINY)[name]
    text = profile.look(name, course, nginx, tmp_path)
    assert f"{course.count} of {course.size:,} bytes in " in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| bgdl")]
    assert [(row[0], row[2]) for row in rows] == [
        ("| bgdl_jupyter", "`read (socket.py:2)` 75%, `run (loop.py:1)` 25% |"),
        ("| bgdl-writer", "`write (disk.py:3)` 100% |"),
    ]
    assert ("Connections, as they were counted every 20 ms: " in text) is (name == "W7")


def test_a_profile_of_a_kernel_says_how_it_felt_and_what_its_threads_did(monkeypatch, nginx, tmp_path):
    @contextlib.contextmanager
    def given(_pid, path, _seconds):
        path.write_text("thread (7): bgdl_jupyter;run (loop.py:1) 30")
        yield

    monkeypatch.setattr(profile, "spied", given)
    text = profile.look_at_kernel(TINY, nginx, tmp_path)
    assert re.search(r"an empty cell [\d.]+ and [\d.]+ ms, the ticker of the main shell [\d.]+ and [\d.]+ ms", text)
    assert "`run (loop.py:1)` 100%" in text
