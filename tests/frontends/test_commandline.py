"""`jupyter bgdl`, in this process and, where signals and terminals matter, in one of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.frontends.commandline import Exit, main
from bgdl_jupyter.model.downloader import BackgroundDownloader, default_downloader
from bgdl_jupyter.model.process import shut_down
from bgdl_jupyter.status import BackgroundTransferStatus
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.downloads import DEADLINE, Seen, partial_files
from tests.kernels import ROOT
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec
from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.authority import Authority
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SMALL = FileSpec(size=40_000)
HELD = FileSpec(size=4_000_000, faults=(hold_after(1_000_000, until="go"),))


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(
        {
            "/a.bin": SMALL,
            "/b.bin": FileSpec(size=50_000, seed=2),
            "/held.bin": HELD,
            "/gone.bin": FileSpec(faults=(status(404),)),
        }
    )


@pytest.fixture(autouse=True)
def clean(state_path: Path, work: Path) -> Iterator[None]:
    """Give the test its own state file and folder, and leave no runner behind."""
    default_downloader.cache_clear()
    yield
    shut_down()
    default_downloader.cache_clear()


def leave_unfinished(server: FaultServer, path: str = "/held.bin", **traits: Any) -> None:
    """Leave a download half-way, as a kernel does that ends."""
    downloader = BackgroundDownloader(loop="thread", **traits)
    seen = Seen()
    operation = downloader.download(server.url(path))
    seen.until(lambda: operation.bytes_received > 0)
    shut_down()


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Return what ``list --json`` says."""
    capsys.readouterr()
    assert main(["list", "--json", *arguments]) == Exit.DONE
    records: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return records


def start(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bgdl_jupyter.frontends.commandline", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # Whoever was started in the background ignores interrupts, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no thread of ours is in a lock)
    )


# ---------------------------------------------------------------------------------------------------------------- get


def test_get_brings_a_file_and_prints_its_path(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["get", server.url("/a.bin"), "--sha256", SMALL.sha256]) == Exit.DONE
    assert capsys.readouterr().out == f"{work / 'a.bin'}\n"
    assert main(["get", "--quiet", server.url("/b.bin"), "\u202eb.bin"]) == Exit.DONE
    assert "\u202e" not in capsys.readouterr().out  # it would show another name than the one that is there
    assert (work / "a.bin").stat().st_size == SMALL.size


def test_get_takes_many_and_a_folder(server: FaultServer, work: Path):
    assert main(["get", server.url("/a.bin"), server.url("/b.bin"), "data/", "-q"]) == Exit.DONE
    assert sorted(each.name for each in (work / "data").iterdir()) == ["a.bin", "b.bin"]


def test_get_brings_files_to_a_store_and_prints_their_urls(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    assert main(["get", server.url("/a.bin"), "memory://get/", "-q"]) == 0
    assert capsys.readouterr().out == "memory://get/a.bin\n"


def test_get_tells_a_program_in_json(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    main(["get", server.url("/a.bin"), "--json"])
    [record] = json.loads(capsys.readouterr().out)
    assert record["file"] == str(work / "a.bin")
    assert (record["status"], record["bytes_received"], record["total_bytes"]) == ("COMPLETED", 40_000, 40_000)


def test_a_failed_get_exits_with_1_and_says_why(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    assert main(["get", server.url("/a.bin"), server.url("/gone.bin")]) == Exit.FAILED
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert "404" in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "nonsense"],
        ["get", "gopher://example.org/a"],
        ["get", "http://example.org/a", "--sha256", "12"],
        ["resume", "nobody"],
    ],
)
def test_what_cannot_be_asked_exits_with_2_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["purge"], ["get", "http://x/y", "--bogus"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "usage: jupyter bgdl" in capsys.readouterr().err


def test_get_again_fetches_nothing_that_is_there(server: FaultServer):
    for _ in range(2):
        assert main(["get", server.url("/a.bin"), "here.bin"]) == Exit.DONE
    assert len(server.requests("/a.bin")) == 1


def test_get_goes_on_with_what_was_interrupted(server: FaultServer, work: Path):
    leave_unfinished(server)
    server.events.set("go")
    assert main(["get", server.url("/held.bin")]) == Exit.DONE
    assert (work / "held.bin").stat().st_size == HELD.size
    assert server.requests("/held.bin")[-1].header("Range") is not None


def test_an_interrupted_get_exits_with_130_and_keeps_its_bytes(
    server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]
):
    process = start("get", server.url("/held.bin"))
    poll(lambda: len(partial_files(work)) == 1, deadline=DEADLINE, what="the partial file")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == Exit.INTERRUPTED
    assert "resume" in said
    assert "Traceback" not in said
    assert len(partial_files(work)) == 1
    assert [each["status"] for each in listed(capsys)] == ["PAUSED_BY_APPLICATION"]


def test_a_pipe_gets_lines(server: FaultServer):
    process = start("get", server.url("/a.bin"))
    _, said = process.communicate(timeout=DEADLINE)
    assert "\r" not in said
    assert "a.bin · completed · 40.0 kB" in said.splitlines()


def test_a_terminal_gets_a_bar_that_is_redrawn(server: FaultServer):
    ours, theirs = pty.openpty()
    process = start("get", server.url("/held.bin"), stderr=theirs)
    os.close(theirs)
    drawn = b""
    while b"[######" not in drawn:
        drawn += os.read(ours, 4096)
    server.events.set("go")
    process.communicate(timeout=DEADLINE)
    os.close(ours)
    assert b"\r\x1b[K" in drawn
    assert b"held.bin  [" in drawn


# ---------------------------------------------------------------------------------------------- what notebooks left


def test_list_shows_all_notebooks_and_takes_nothing_up(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    leave_unfinished(server, application="/books/a.ipynb")
    records = listed(capsys)
    assert [(each["application"], each["status"]) for each in records] == [("/books/a.ipynb", "RUNNING")]
    assert len(server.requests("/held.bin")) == len({each.header("Range") for each in server.requests("/held.bin")})
    assert main(["list", "--application", "/books/b.ipynb"]) == Exit.DONE
    assert "no downloads" in capsys.readouterr().out


def test_list_shows_no_secret(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    main(["get", server.url("/a.bin?token=s3cr3t"), "--header", "Authorization: Bearer s3cr3t"])
    main(["list"])
    main(["list", "--json"])
    printed = capsys.readouterr()
    assert "s3cr3t" not in printed.out + printed.err


def test_resume_finishes_what_a_dead_kernel_left(server: FaultServer, work: Path):
    leave_unfinished(server, application="/books/a.ipynb")
    server.events.set("go")
    assert main(["resume", "--application", "/books/a.ipynb"]) == Exit.DONE
    assert (work / "held.bin").stat().st_size == HELD.size


def test_resume_takes_only_what_is_named(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    leave_unfinished(server, application="/books/a.ipynb")
    leave_unfinished(server, "/held.bin?2", application="/books/b.ipynb")
    server.events.set("go")
    assert main(["resume", "--application", "/books/b.ipynb"]) == Exit.DONE
    assert {each["application"]: each["status"] for each in listed(capsys)} == {
        "/books/a.ipynb": "RUNNING",
        "/books/b.ipynb": "COMPLETED",
    }


def test_what_a_living_kernel_runs_is_left_to_it(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    process = start("get", server.url("/held.bin"))
    server.wait_until(lambda: server.body_bytes_sent("/held.bin") >= 1_000_000)
    assert main(["resume"]) == Exit.DONE
    assert f"kernel {process.pid}" in capsys.readouterr().err
    server.events.set("go")
    process.communicate(timeout=DEADLINE)
    assert process.returncode == Exit.DONE


def test_retry_starts_what_failed_again(server: FaultServer, work: Path):
    assert main(["get", server.url("/gone.bin")]) == Exit.FAILED
    server.put("/gone.bin", SMALL)
    assert main(["retry"]) == Exit.DONE
    assert (work / "gone.bin").stat().st_size == SMALL.size


def test_what_waits_for_a_person_exits_with_3(server: FaultServer):
    downloader = BackgroundDownloader(loop="thread")
    operation = downloader.create_download(server.url("/gone.bin"), "gone.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.NOT_FOUND]
    operation.start()
    Seen().until(lambda: operation.status is BackgroundTransferStatus.PAUSED_RECOVERABLE_WEB_ERROR_STATUS)
    shut_down()
    assert main(["resume"]) == Exit.ATTENTION


def test_verify_knows_a_changed_file(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    main(["get", server.url("/a.bin"), "--sha256", SMALL.sha256])
    assert main(["verify"]) == Exit.DONE
    (work / "a.bin").write_bytes(b"x" * SMALL.size)
    capsys.readouterr()
    assert main(["verify", "a.bin"]) == Exit.FAILED
    assert capsys.readouterr().out.startswith("!!")


def test_verify_knows_a_missing_and_a_short_file(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    main(["get", server.url("/a.bin"), server.url("/b.bin")])
    (work / "a.bin").unlink()
    (work / "b.bin").write_bytes(b"short")
    capsys.readouterr()
    assert main(["verify", "--json"]) == Exit.FAILED
    says = {each["name"]: each["says"] for each in json.loads(capsys.readouterr().out)}
    assert "gone" in says["a.bin"]
    assert "5 bytes" in says["b.bin"]


# ------------------------------------------------------------------------------------------------------- purge, demo


def test_purge_asks_before_it_removes(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    leave_unfinished(server)
    assert main(["purge", "--application", str(work)]) == Exit.ATTENTION
    assert "--yes" in capsys.readouterr().err
    assert len(partial_files(work)) == 1


def test_purge_of_one_notebook_leaves_the_others(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    leave_unfinished(server, application="/books/a.ipynb")
    leave_unfinished(server, "/held.bin?2", application="/books/b.ipynb")
    assert main(["purge", "--application", "/books/a.ipynb", "--yes"]) == Exit.DONE
    assert [each["application"] for each in listed(capsys)] == ["/books/b.ipynb"]
    assert len(partial_files(work)) == 1


def test_purge_of_all_leaves_nothing_but_finished_files(server: FaultServer, work: Path, state_path: Path):
    """What pip cannot remove at an uninstall."""
    leave_unfinished(server)
    main(["get", server.url("/a.bin")])
    assert main(["purge", "--all", "--yes"]) == Exit.DONE
    assert not state_path.parent.exists()
    assert [each.name for each in work.iterdir()] == ["a.bin"]


def test_purge_leaves_what_a_living_kernel_runs(server: FaultServer, work: Path, state_path: Path):
    process = start("get", server.url("/held.bin"))
    server.wait_until(lambda: server.body_bytes_sent("/held.bin") >= 1_000_000)
    assert main(["purge", "--all", "--yes"]) == Exit.FAILED
    assert state_path.exists()
    server.events.set("go")
    process.communicate(timeout=DEADLINE)
    assert process.returncode == Exit.DONE
    assert (work / "held.bin").stat().st_size == HELD.size


def test_the_demo_works_offline_and_leaves_nothing(
    work: Path, state_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bgdl_jupyter.frontends.commandline._DEMO", {"a.nc": 300_000, "b.nc": 200_000})
    assert main(["demo", "--json"]) == Exit.DONE
    records = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["integrity"]) for each in records] == [("a.nc", "digest"), ("b.nc", "digest")]
    assert not Path(records[0]["file"]).parent.exists()
    assert not state_path.exists()


def test_help_all_lists_the_settings(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help-all"])
    said = capsys.readouterr().out
    for name, trait in BackgroundDownloader.class_traits(config=True).items():
        assert f"c.BackgroundDownloader.{name} = {trait.default()!r}" in said
        assert f"BGDL_{name.upper()}: " in said


@pytest.mark.parametrize("command", [[], ["get"], ["list"], ["resume"], ["retry"], ["verify"], ["purge"], ["doctor"]])
def test_every_help_explains_the_exit_codes(command: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {code.value:<4} " in said for code in Exit)


def test_purge_tells_a_program_what_is_gone(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    leave_unfinished(server)
    assert main(["purge", "--application", str(work), "--yes", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == {"downloads": 1, "partial_files": 1, "left": []}


def test_what_is_said_to_a_program_has_stable_names(server: FaultServer, capsys: pytest.CaptureFixture[str]):
    main(["get", server.url("/a.bin"), "-q"])
    (record,) = listed(capsys)
    assert set(record) >= {
        *("guid", "name", "application", "group", "uri", "file", "status", "reason", "held_by", "bytes_received"),
        *("total_bytes", "post_processing", "integrity", "digest", "error", "allowed_steps"),
    }
    assert set(record["post_processing"]) == {"state", "path", "members", "error"}
    main(["doctor", "--json"])
    assert all(set(each) == {"subject", "is_good", "says", "remedy"} for each in json.loads(capsys.readouterr().out))


def test_the_command_is_found_by_jupyter():
    from importlib.metadata import entry_points

    [point] = entry_points(group="console_scripts", name="jupyter-bgdl")
    assert point.load() is main


# ---------------------------------------------------------------------------------------------------------- manifests


def test_a_manifest_is_had_and_had_again_without_a_request(
    server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]
):
    (work / "list.csv").write_text(f"uri,destination\n{server.url('/a.bin')},one.bin\n{server.url('/b.bin')},two.bin\n")
    for _ in range(2):
        assert main(["get", "--quiet", "--manifest", "list.csv", "data", "--json"]) == Exit.DONE
        records = json.loads(capsys.readouterr().out)
        assert sorted(each["name"] for each in records) == ["one.bin", "two.bin"]
    assert {each["group"] for each in records} == {"list"}
    assert sorted(each.name for each in (work / "data").iterdir()) == ["one.bin", "two.bin"]
    assert len(server.requests()) == 2


def test_the_mirrors_the_checksum_file_and_the_authorities_of_a_file_are_named(
    fault_server: StartFaultServer, work: Path, capsys: pytest.CaptureFixture[str], authority: Authority
):
    spec = FileSpec(size=1000)
    other = fault_server({"/a.bin": spec}, tls=authority.server())
    gone = fault_server({"/a.bin": FileSpec(size=1000, faults=(status(404),))})
    (work / "SUMS").write_text(f"{spec.sha256}  a.bin\n")
    words = ["--mirror", gone.url("/a.bin"), "--mirror", other.url("/a.bin"), "--checksum-file", "SUMS", "--json"]
    assert (
        main(["get", "--quiet", gone.url("/a.bin"), *words, "--ca-file", str(authority.certificate_file(work))])
        == Exit.DONE
    )
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["integrity"], record["digest"]) == ("digest", f"sha256:{spec.sha256}")


def test_a_mirror_is_that_of_a_single_file(server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]):
    (work / "list.txt").write_text(server.url("/a.bin"))
    uris = [server.url("/a.bin"), server.url("/b.bin")]
    for words in (["--manifest", "list.txt"], uris):
        assert main(["get", *words, "--mirror", server.url("/c.bin")]) == Exit.USAGE
        assert "--mirror is of a single file" in capsys.readouterr().err
    assert server.requests() == []


def test_a_manifest_with_a_wrong_line_is_wrong_usage(
    server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]
):
    (work / "list.txt").write_text(f"{server.url('/a.bin')}\ngopher://x/y\n")
    assert main(["get", "--manifest", "list.txt"]) == Exit.USAGE
    assert "line 2: No transport for the scheme 'gopher'" in capsys.readouterr().err
    assert main(["get", "--quiet", "--manifest", "list.txt", "--skip-invalid"]) == Exit.DONE
    (work / "hidden.txt").write_text(f"{server.url('/b.bin')}\n  out=.b.bin\n")
    assert main(["get", "--manifest", "hidden.txt"]) == Exit.USAGE
    assert main(["get", "--quiet", "--manifest", "hidden.txt", "--allow-hidden"]) == Exit.DONE
    assert main(["get"]) == Exit.USAGE
    assert main(["get", "--manifest", "list.txt", "http://x/a"]) == Exit.USAGE
