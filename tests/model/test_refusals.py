"""What becomes of operations when a server refuses who we are, before and after it knew us."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import AttentionRequired, HttpStatusError, InvalidRequest
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.auth_faults import Login, basic_auth
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fixtures import StartFaultServer

WAIT = 20.0
SIZE = 400_000
HALF = SIZE // 2
OLD, NEW = Login(user="ada", password="Xylophon-7"), Login(user="ada", password="Kontrabass-9")


def credential(login: Login) -> PasswordCredential:
    return PasswordCredential("files", login.user, login.password)


def rotated(*faults) -> FileSpec:
    """Return a file whose password is another one from the second download of bytes on."""
    first = basic_auth(OLD, on=lambda it: not it.number > 1)
    return FileSpec(size=SIZE, faults=(first, basic_auth(NEW, on=lambda it: it.number > 1), *faults))


def test_a_password_that_was_changed_at_the_server_is_asked_for_and_no_byte_is_lost(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, work: Path
):
    server = fault_server({"/a": rotated(cut_after(HALF, on=1))})
    operation = new_downloader(server_credential=credential(OLD)).create_download(server.url("/a"), "a")
    with pytest.raises(AttentionRequired, match="provide_credential"):
        operation.wait(WAIT)
    assert operation.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    assert operation.current_web_error_status is WebErrorStatus.UNAUTHORIZED
    operation.provide_credential(credential(NEW))
    operation.resume().wait(WAIT)
    assert file_sha256(work / "a") == FileSpec(size=SIZE).sha256
    assert server.bytes_sent_twice("/a") <= OVERLAP


def test_a_credential_of_the_kernel_before_that_is_wrong_now_is_asked_for(
    *,
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    work: Path,
):
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(basic_auth(NEW),))})
    new_downloader().create_download(server.url("/a"), "a", headers={"X-Plain": "1"})
    (operation,) = restart().get_current_downloads()
    operation.provide_credential(credential(OLD))
    with pytest.raises(AttentionRequired):
        operation.wait(WAIT)
    assert operation.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    operation.provide_credential(credential(NEW))
    operation.resume().wait(WAIT)
    assert file_sha256(work / "a") == FileSpec(size=SIZE).sha256


def test_without_a_credential_a_refusal_is_an_error(downloader: BackgroundDownloader, fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(basic_auth(NEW),))})
    with pytest.raises(HttpStatusError):
        downloader.create_download(server.url("/a"), "a").wait(WAIT)


def test_an_origin_that_refuses_a_credential_is_not_asked_by_the_rest_of_the_group(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, work: Path
):
    """Many servers lock an account after a few wrong answers."""
    names = [f"/{number}" for number in range(6)]
    server = fault_server({name: FileSpec(size=SIZE, faults=(basic_auth(NEW),)) for name in names})
    downloader = new_downloader(server_credential=credential(OLD), max_parallel=1)
    group = downloader.download_many([server.url(name) for name in names], group="guarded")
    with pytest.raises(AttentionRequired):
        group.wait(WAIT)
    statuses = sorted(each.status.name for each in group.operations)
    assert statuses == ["ERROR", *["PAUSED_RECOVERABLE_WEB_ERROR_STATUS"] * 5]
    assert len({each.path for each in server.requests()}) == 1
    for each in group.operations:
        each.provide_credential(credential(NEW))
    group.resume()
    group.retry_failed()
    for each in group.operations:
        each.wait(WAIT)
    assert len(list(work.iterdir())) == 6


def test_who_says_something_else_or_is_receiving_goes_on(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, seen: Seen, work: Path
):
    held = FileSpec(size=SIZE, faults=(basic_auth(NEW), hold_after(HALF, until="go", on=1)))
    server = fault_server({"/held": held, "/b": FileSpec(size=SIZE, faults=(basic_auth(NEW),))})
    downloader = new_downloader()
    downloader.server_credential = credential(NEW)
    receiving = downloader.create_download(server.url("/held"), "held", group="one")
    receiving.start()
    seen.until(lambda: receiving.bytes_received == HALF)
    downloader.server_credential = credential(OLD)
    with pytest.raises(HttpStatusError):
        downloader.create_download(server.url("/b"), "b", group="one").wait(WAIT)
    assert receiving.status is Status.RUNNING
    server.events.set("go")
    receiving.wait(WAIT)
    assert file_sha256(work / "held") == FileSpec(size=SIZE).sha256


# ------------------------------------------------------------------------------------------------------- in clear text

BASIC = "Basic " + b64encode(b"ada:Xylophon-7").decode()


@pytest.mark.parametrize("way", ["credential", "user information", "header"])
def test_a_password_for_a_foreign_host_over_plain_http_is_refused_at_once(
    new_downloader: Callable[..., BackgroundDownloader], way: str
):
    downloader = new_downloader(**({"server_credential": credential(OLD)} if way == "credential" else {}))
    uri = "http://ada:Xylophon-7@files.test/a" if way == "user information" else "http://files.test/a"
    headers = {"Authorization": BASIC} if way == "header" else None
    with pytest.raises(InvalidRequest, match="clear text") as refused:
        downloader.create_download(uri, "a", headers=headers)
    assert "allow_insecure_auth" in refused.value.hint
    assert "Xylophon" not in str(refused.value)
    assert downloader.get_current_downloads() == []


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("http://127.0.0.1:1/a", {}),
        ("http://localhost:1/a", {}),
        ("https://files.test/a", {}),
        ("http://files.test/a", {"allow_insecure_auth": True}),
    ],
)
def test_a_password_may_go_to_this_machine_over_https_or_where_it_is_allowed(
    new_downloader: Callable[..., BackgroundDownloader], uri: str, settings: dict[str, bool]
):
    downloader = new_downloader(server_credential=credential(OLD), **settings)
    assert downloader.create_download(uri, "a").status is Status.IDLE


def test_a_token_for_plain_http_is_the_users_choice(downloader: BackgroundDownloader):
    operation = downloader.create_download("http://files.test/a", "a", headers={"Authorization": "Bearer x"})
    assert operation.status is Status.IDLE
