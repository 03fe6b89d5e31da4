"""Manifests from the first look to the files: nothing starts before every line was looked at."""

from __future__ import annotations

import hashlib
import io
import logging
import tracemalloc
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from bgdl_jupyter.errors import InvalidManifest, InvalidRequest
from bgdl_jupyter.manifests.source import source_of
from bgdl_jupyter.model import intake
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.status import BackgroundTransferCostPolicy as CostPolicy
from bgdl_jupyter.status import BackgroundTransferPriority as Priority
from bgdl_jupyter.status import Integrity
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 20.0
FILES = {f"/{number}.bin": FileSpec(size=1000 + number, seed=number) for number in range(8)}


SUMS = {path: spec.sha256 for path, spec in FILES.items()}


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(FILES)


def refusal(downloader: BackgroundDownloader, manifest: object, **options: Any) -> list[tuple[int, str]]:
    """Return the problems of a manifest that must be refused."""
    if isinstance(manifest, str):
        manifest = io.StringIO(manifest)
    with pytest.raises(InvalidManifest) as raised:
        downloader.download_many(manifest, group="all", **options)
    assert downloader.create_group("all").operations == []
    return [(each.line, each.reason) for each in raised.value.problems]


def test_a_csv_file_is_had_with_its_checksums_groups_and_priorities(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    rows = [
        f"{server.url(path)},sub/{path[1:]},{spec.sha256},{'other' if path == '/7.bin' else ''},low"
        for path, spec in FILES.items()
    ]
    (work / "list.csv").write_text("\n".join(["uri,destination,sha256,group,priority", *rows]))
    group = downloader.download_many("list.csv", group="all", directory="data")
    other = downloader.create_group("other")
    for each in (group, other):
        each.wait(WAIT)
        each.raise_for_errors()
    assert [len(each.operations) for each in (group, other)] == [7, 1]
    for path, spec in FILES.items():
        assert file_sha256(work / "data" / "sub" / path[1:]) == spec.sha256
    assert {each.priority for each in group.operations} == {Priority.LOW}
    assert {each.integrity for each in group.operations} == {Integrity.DIGEST}


def test_a_manifest_that_is_run_again_fetches_nothing_again(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    frame = pd.DataFrame(
        {"url": [server.url(path) for path in FILES], "sha256": [each.sha256 for each in FILES.values()]}
    )
    downloader.download_many(frame, group="all").wait(WAIT)
    asked = len(server.requests())
    downloader.download_many(frame, group="all").wait(WAIT)
    assert len(server.requests()) == asked == len(FILES)


def test_a_pooch_registry_and_a_list_of_links_are_had(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    registry = "\n".join(f"{path[1:]} {spec.sha256}" for path, spec in FILES.items())
    group = downloader.download_many(io.StringIO(registry), group="pooch", base_uri=server.url(""), directory="pooch")
    group.wait(WAIT).raise_for_errors()
    md5 = hashlib.md5(FILES["/0.bin"].read(), usedforsecurity=False).hexdigest()
    links = f"{server.url('/0.bin')}\n  out=zero.bin\n  checksum=md5={md5}\n"
    downloader.download_many(io.BytesIO(links.encode()), group="links").wait(WAIT).raise_for_errors()
    assert len(list((work / "pooch").iterdir())) == len(FILES)
    assert (work / "zero.bin").stat().st_size == 1000


def test_every_bad_line_is_named_and_nothing_was_created(downloader: BackgroundDownloader, server: FaultServer):
    text = (
        "uri,destination,sha256,max_size\n"
        "http://x/1,a,,\n"
        "gopher://x/2,b,,\n"
        "http://x/3,../c,,\n"
        "http://x/4,/etc/d,,\n"
        "http://x/5,e,abc,\n"
        "http://x/6,f,,big\n"
        "HTTP://X:80/1#again,g,,\n"
        "http://x/8,./A,,\n"
        "http://x/9,~/i,,\n"
        "http://x/10,C:\\j,,\n"
        "http://x/11,k\\..\\..\\k,,\n"
        "http://user:s3cr3t@:port/12,l,,\n"
        "http://x/13,m\u202egpj.exe,,\n"
        "http://x/14,n\x9b2J,,\n"
    )
    problems = dict(refusal(downloader, text))
    assert sorted(problems) == list(range(3, 16))
    assert problems[14].endswith("has an invisible or control character in it")
    assert problems[15].endswith("has an invisible or control character in it")
    assert problems[3].startswith("No transport for the scheme 'gopher'")
    assert problems[4] == "the destination '../c' leads out of the folder with '..'"
    for line in (5, 10, 11):
        assert "is absolute" in problems[line]
    assert problems[6] == "A sha256 checksum has 64 hexadecimal digits; this one has not"
    assert problems[7] == "'max_size' is a number of bytes"
    assert problems[8] == "line 2 has the same URI"
    assert problems[9] == "line 2 has the same destination"
    assert "s3cr3t" not in str(problems)
    assert server.requests() == []


def test_the_message_names_the_first_and_counts_all(downloader: BackgroundDownloader):
    with pytest.raises(InvalidManifest, match=r"3,000 of 3,001 lines .*line 5: .*; and 2,995 more\. Mend") as raised:
        downloader.download_many(["http://x/", *["nonsense"] * 3000], group="all")
    assert raised.value.count == 3000
    assert len(raised.value.problems) == 1000


def test_lines_that_cannot_be_used_are_left_out_where_that_is_asked(
    downloader: BackgroundDownloader, server: FaultServer, caplog: pytest.LogCaptureFixture
):
    lines = [server.url("/0.bin"), "nonsense", server.url("/0.bin"), {"uri": server.url("/1.bin"), "sha265": "x"}]
    with caplog.at_level(logging.WARNING):
        group = downloader.download_many(lines, group="all", skip_invalid=True)
    assert [each.name for each in group.operations] == ["0.bin"]
    assert "3 of 4 lines of the manifest cannot be used: line 2" in caplog.text
    assert "the nearest is 'sha256'" in caplog.text


def test_what_cannot_be_read_at_all_is_not_left_out(downloader: BackgroundDownloader):
    broken = io.StringIO(
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a"><url>http://x/a</url></file>'
    )
    with pytest.raises(InvalidManifest, match="the XML is broken"):
        downloader.download_many(broken, group="all", skip_invalid=True)
    assert downloader.create_group("all").operations == []


def test_no_link_leads_a_destination_out_of_the_folder(downloader: BackgroundDownloader, work: Path, tmp_path: Path):
    (work / "data").mkdir()
    (work / "data" / "out").symlink_to(tmp_path)
    (work / "data" / "in").symlink_to(work / "data")
    text = "uri,destination\nhttp://x/1,out/a\nhttp://x/2,in/b\n"
    assert refusal(downloader, text, directory="data") == [
        (2, "the destination 'out/a' leads out of the folder by a link")
    ]


def test_a_folder_that_is_named_by_a_file_url_is_left_by_no_link(
    downloader: BackgroundDownloader, work: Path, tmp_path: Path
):
    (work / "out").symlink_to(tmp_path)
    assert refusal(downloader, "uri,destination\nhttp://x/1,out/a\n", directory=f"file://{work}") == [
        (2, "the destination 'out/a' leads out of the folder by a link")
    ]


def test_code_may_name_any_path_unless_a_folder_is_given(
    downloader: BackgroundDownloader, server: FaultServer, tmp_path: Path
):
    lines = [{"uri": server.url("/0.bin"), "destination": tmp_path / "far" / "a.bin"}]
    downloader.download_many(lines, group="all").wait(WAIT)
    assert (tmp_path / "far" / "a.bin").exists()
    with pytest.raises(InvalidManifest, match="is absolute"):
        downloader.download_many(lines, group="all", directory="data")


def test_a_file_that_changes_between_the_two_readings_is_noticed(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(intake, "_KEPT", 2)
    path = work / "list.txt"
    path.write_text("\n".join(server.url(each) for each in FILES))
    real = intake.Intake.check

    def check(self: intake.Intake) -> None:
        real(self)
        path.write_text("gopher://x/\n")

    monkeypatch.setattr(intake.Intake, "check", check)
    with pytest.raises(InvalidManifest, match="which changed while it was taken in"):
        downloader.download_many(path, group="all")


def test_a_long_manifest_is_taken_in_from_its_second_reading(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(intake, "_KEPT", 2)
    (work / "list.txt").write_text("\n".join([server.url("/0.bin"), "nonsense", *map(server.url, FILES)]))
    group = downloader.download_many("list.txt", group="all", skip_invalid=True)
    group.wait(WAIT).raise_for_errors()
    assert sorted(each.name for each in group.operations) == sorted(path[1:] for path in FILES)


def test_a_manifest_that_lost_lines_between_the_two_readings_is_noticed(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(intake, "_KEPT", 2)
    path = work / "list.txt"
    path.write_text("\n".join(server.url(each) for each in FILES))
    real = intake.Intake.check

    def check(self: intake.Intake) -> None:
        real(self)
        path.write_text(server.url("/0.bin"))

    monkeypatch.setattr(intake.Intake, "check", check)
    with pytest.raises(InvalidManifest, match="which changed while it was taken in"):
        downloader.download_many(path, group="all")


def test_a_checksum_of_a_line_comes_before_that_of_the_call(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "SUMS").write_text(f"{SUMS['/2.bin']}  2.bin\n")
    lines = [
        {"uri": server.url("/0.bin"), "sha256": SUMS["/0.bin"], "priority": "low"},
        {"uri": server.url("/1.bin"), "checksum": f"sha256:{SUMS['/1.bin']}"},
        {"uri": server.url("/2.bin"), "checksum_file": "SUMS"},
        server.url("/3.bin"),
    ]
    group = downloader.download_many(lines, group="all", sha256=SUMS["/3.bin"])
    group.wait(WAIT).raise_for_errors()
    assert [each.checksum for each in group.operations] == [f"sha256:{SUMS[f'/{number}.bin']}" for number in range(4)]


def test_what_lines_have_in_common_is_kept_once(downloader: BackgroundDownloader, server: FaultServer):
    """Whatever the order in which they come: memory grows with the kinds of lines, not with the lines."""
    words = [("high", "x"), ("low", "y")] * 4
    lines = [
        {"uri": server.url(path), "priority": priority, "headers": {"A": value}, "sha256": SUMS[path]}
        for path, (priority, value) in zip(FILES, words, strict=True)
    ]
    operations = downloader.download_many(lines, group="all").operations
    assert len({id(each.shared) for each in operations}) == 2
    assert [dict(each.request_headers)["A"] for each in operations] == ["x", "y"] * 4


def test_an_option_of_the_call_holds_for_every_line_and_the_line_comes_first(
    downloader: BackgroundDownloader, server: FaultServer
):
    lines = [server.url("/0.bin"), {"uri": server.url("/1.bin"), "priority": "low", "headers": {"B": "2"}}]
    group = downloader.download_many(lines, group="all", priority="high", headers={"A": "1"})
    assert [each.priority for each in group.operations] == [Priority.HIGH, Priority.LOW]
    assert [dict(each.request_headers) for each in group.operations] == [{"A": "1"}, {"A": "1", "B": "2"}]


def test_a_file_makes_the_limits_of_its_caller_stricter_and_never_looser(
    downloader: BackgroundDownloader, server: FaultServer
):
    rows = (
        "uri,max_size,expect_type,cost_policy,sensitive_query\n"
        f"{server.url('/0.bin')}?t=1,99999,*/*,always,no\n"
        f"{server.url('/1.bin')}?t=1,2000,,,\n"
    )
    caller: Any = {"max_size": 5000, "expect_type": "application/*", "cost_policy": "unrestricted_only"}
    group = downloader.download_many(io.StringIO(rows), group="asked", **caller, sensitive_query=True)
    assert [each.options["max_size"] for each in group.operations] == [5000, 2000]
    assert {each.options["expect_type"] for each in group.operations} == {"application/*"}
    assert {each.cost_policy for each in group.operations} == {CostPolicy.UNRESTRICTED_ONLY}
    assert not any("t=1" in each.requested_uri for each in group.operations)


def test_a_file_does_not_loosen_what_the_downloader_says_either(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    strict = new_downloader(max_size=5000, expect_type="application/*", cost_policy=CostPolicy.UNRESTRICTED_ONLY)
    rows = f"uri,max_size,expect_type,cost_policy\n{server.url('/0.bin')},99999,*/*,always\n"
    (operation,) = strict.download_many(io.StringIO(rows), group="set").operations
    assert (operation.options["max_size"], operation.options["expect_type"]) == (5000, "application/*")
    assert operation.cost_policy is CostPolicy.UNRESTRICTED_ONLY


def test_a_file_names_no_hidden_file_unless_the_caller_lets_it(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    hidden = (".bashrc", ".ipython/profile_default/startup/00.py", "a/.b/c", "a\\.b")
    text = "uri,destination\n" + "".join(f"{server.url('/0.bin')}?{each},{each}\n" for each in hidden)
    problems = refusal(downloader, text)
    assert [line for line, _ in problems] == [2, 3, 4, 5]
    assert all("--allow-hidden" in reason for _, reason in problems)
    rows = f"uri,destination\n{server.url('/0.bin')},.cache/a.bin\n"
    downloader.download_many(io.StringIO(rows), group="let", allow_hidden=True).wait(WAIT).raise_for_errors()
    assert (work / ".cache" / "a.bin").exists()
    in_code = [{"uri": server.url("/1.bin"), "destination": ".cache/b.bin"}]
    downloader.download_many(in_code, group="code").wait(WAIT).raise_for_errors()
    assert (work / ".cache" / "b.bin").exists()


def test_the_folder_may_come_second(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    downloader.download_many([server.url("/0.bin")], "data/", group="all").wait(WAIT).raise_for_errors()
    assert (work / "data" / "0.bin").exists()


def test_wrong_ways_to_call_it_are_refused(downloader: BackgroundDownloader, work: Path):
    with pytest.raises(InvalidRequest, match="There is no manifest"):
        downloader.download_many("nowhere.csv", group="all")
    with pytest.raises(InvalidRequest, match="A format is that of a file"):
        downloader.download_many([], group="all", format="csv")


def test_reading_a_long_manifest_needs_little_memory(work: Path):
    """The memory does not grow with the number of lines."""
    peaks = []
    for count in (2_000, 20_000):
        with (work / "list.csv").open("w") as file:
            file.write("uri,destination,sha256\n")
            file.writelines(f"http://x/{number}.bin,{number}.bin,{'a' * 64}\n" for number in range(count))
        source = source_of(work / "list.csv", format=None, base_uri=None, schemes=frozenset({"http"}))
        tracemalloc.start()
        assert sum(1 for _ in source.read()) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# -------------------------------------------------------------------------------------------------------------- mirrors


def test_a_metalink_is_had_from_the_mirror_that_has_the_file(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    spec = FILES["/1.bin"]
    (work / "list.meta4").write_text(
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="iso/one.bin">'
        f'<size>{spec.size}</size><hash type="sha-256">{spec.sha256}</hash>'
        f'<url priority="1">{server.url("/gone")}</url><url priority="2">{server.url("/1.bin")}</url></file></metalink>'
    )
    group = downloader.download_many("list.meta4", group="all")
    group.wait(WAIT).raise_for_errors()
    (operation,) = group.operations
    assert file_sha256(work / "iso" / "one.bin") == spec.sha256
    assert operation.mirrors == [server.url("/1.bin")]
    assert [each.path for each in server.requests()] == ["/gone", "/1.bin"]


def test_headers_and_credentials_do_not_go_to_a_mirror_of_another_origin(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer
):
    """Only to the origin that they were given for."""
    other = fault_server(FILES)
    secret = {"X-Api-Key": "s3cr3tkey", "X-Plain": "1"}
    downloader.server_credential = PasswordCredential("x", "me", "s3cr3tpass")
    mirrors = [server.url("/gone2"), other.url("/1.bin?token=mirrors3cr3t")]
    operation = downloader.create_download(server.url("/gone"), "a.bin", headers=secret, mirrors=mirrors).wait(WAIT)
    own, same_origin = (server.requests(path)[-1] for path in ("/gone", "/gone2"))
    for request in (own, same_origin):
        assert request.header("X-Api-Key") == "s3cr3tkey"
    (request,) = other.requests()
    assert request.target == "/1.bin?token=mirrors3cr3t"
    assert [request.header(name) for name in ("X-Api-Key", "X-Plain", "Authorization")] == [None] * 3
    assert operation.mirrors[1] == other.url("/1.bin?…")
    assert "mirror 1 query" in operation.secret_names
    assert "s3cr3t" not in repr(operation)


def test_a_mirror_whose_query_was_lost_is_passed_over_and_the_others_are_not(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    work: Path,
):
    """Without a vault the secret dies with the kernel; the operation does not ask for it while it has other places."""
    server = fault_server(
        {"/held": FileSpec(size=300_000, faults=(hold_after(150_000, until="go", on=1), status(404, on=2))), **FILES}
    )
    mirrors = [server.url("/0.bin?sig=mirrors3cr3t"), server.url("/1.bin")]
    operation = downloader.create_download(server.url("/held"), "a.bin", mirrors=mirrors)
    operation.start()
    server.wait_until(lambda: bool(server.requests("/held")))
    again = restart(max_retries=1)
    (operation,) = again.get_current_downloads()
    operation.wait(WAIT)
    assert server.requests("/0.bin") == []
    assert file_sha256(work / "a.bin") == FILES["/1.bin"].sha256


def test_mirrors_that_cannot_be_used_are_refused(downloader: BackgroundDownloader, work: Path):
    (work / "body").write_text("x")
    for options, message in (
        ({"mirrors": "http://x/a"}, "a list of URIs, not str"),
        ({"mirrors": ["gopher://x/a"]}, "No transport"),
        ({"mirrors": ["http://me:pw@example.org/a"]}, "in clear text"),
        ({"mirrors": ["http://x/a"] * 101}, "at most 100"),
        ({"mirrors": ["http://x/a"], "request_body_file": "body"}, "mirrors are for what is fetched"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            downloader.create_download("http://x/b", "a.bin", **options)
