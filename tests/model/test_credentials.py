"""No secret in what is stored, shown or logged; and what is lost at a restart is asked for and given again."""

from __future__ import annotations

import io
import logging
import traceback
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend

from bgdl_jupyter.errors import AttentionRequired, BackgroundTransferError, HttpStatusError, InvalidRequest
from bgdl_jupyter.model.credentials import OperationSecrets, PasswordCredential
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.auth_faults import Login, basic_auth, basic_value
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, set_header, status
from tests.servers.files import Fault, FileSpec
from tests.servers.oracle import hits_in_texts, hits_in_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fixtures import StartFaultServer

SENTINEL = "S3nt1nel.of.Secrets"
SIZE = 300_000
HALF = SIZE // 2
WAIT = 15.0


class MemoryKeyring(KeyringBackend):
    """A vault that outlives the runner, as the platform's does."""

    priority = 1

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self.entries.pop((service, username), None)


@pytest.fixture
def vault() -> Iterator[MemoryKeyring]:
    """Have a vault in this test."""
    before, present = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(present)
    yield present
    keyring.set_keyring(before)


def give_secrets(downloader: BackgroundDownloader, uri: str, kind: str) -> DownloadOperation:
    """Create an operation that has the sentinel in one of the places that may hold a secret."""
    scheme, _, rest = uri.partition("://")
    if kind == "query":
        return downloader.create_download(f"{uri}?token={SENTINEL}&id=1", "file.bin")
    if kind == "user info":
        return downloader.create_download(f"{scheme}://ann:{SENTINEL}@{rest}", "file.bin")
    if kind == "header":
        return downloader.create_download(uri, "file.bin", headers={"Authorization": f"Bearer {SENTINEL}"})
    if kind == "marked header":
        downloader.set_request_header("X-Plain", SENTINEL, secret=True)
        return downloader.create_download(uri, "file.bin")
    downloader.server_credential = PasswordCredential("files", "ann", SENTINEL)
    return downloader.create_download(uri, "file.bin")


KINDS = ("query", "user info", "header", "marked header", "credential")


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_sent_and_found_nowhere_else(
    *,
    downloader: BackgroundDownloader,
    fault_server: StartFaultServer,
    seen: Seen,
    work: Path,
    state_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
):
    """Through a break, a 503 that says it back, a 404 that does, a pause, a retry and the end."""
    caplog.set_level(logging.DEBUG)
    echo = status(503, body=f"sent: {SENTINEL}".encode(), on=2)
    refusal = status(404, reason=SENTINEL, body=f"no {SENTINEL}".encode(), on=3)
    faults: tuple[Fault, ...] = (set_header("X-Echo", SENTINEL), cut_after(HALF, on=1), echo, refusal)
    if kind in {"user info", "credential"}:
        faults = (basic_auth(Login(user="ann", password=SENTINEL)), *faults)
    server = fault_server({"/a": FileSpec(size=SIZE, faults=faults)})
    operation = give_secrets(downloader, server.url("/a"), kind)
    texts: list[str] = []

    def note() -> None:
        texts.extend(map(repr, (operation, downloader, operation.error, operation.get_response_information())))
        texts.extend(map(repr, (operation.request_headers, operation.trait_values(), operation.progress)))
        bundle = operation._repr_mimebundle_()
        texts.extend(map(str, bundle.values()))

    note()
    with pytest.raises(HttpStatusError) as raised:
        operation.wait(WAIT)
    texts.append("".join(traceback.format_exception(raised.value)))
    note()
    with redirect_stdout(io.StringIO()) as printed:
        print(operation, downloader)  # noqa: T201 (what a cell would print)
    operation.retry().wait(WAIT)
    note()
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256
    asked = [SENTINEL in request.target or any(map(_shows, request.headers)) for request in server.requests("/a")]
    assert any(asked), "the secret never reached the server, so the test proves nothing"
    texts += [repr(event) for event in seen.events]
    texts += [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    texts.append(printed.getvalue())
    current_runner().state.flush(WAIT)
    assert hits_in_tree(SENTINEL, state_path.parent) == []
    shut_down()
    assert hits_in_tree(SENTINEL, state_path.parent) == []
    assert hits_in_texts(SENTINEL, texts) == []


def _shows(header: tuple[str, str]) -> bool:
    return SENTINEL in header[1] or header[1] == basic_value(Login(user="ann", password=SENTINEL))


def test_a_credential_cannot_be_pickled_and_shows_no_password():
    credential = PasswordCredential("files", "ann", SENTINEL)
    assert repr(credential) == "PasswordCredential('files', 'ann', <secret>)"
    with pytest.raises(TypeError):
        credential.__reduce__()
    with pytest.raises(InvalidRequest) as raised:
        PasswordCredential("files", "ann", f"{SENTINEL}\r\nX: y")
    assert SENTINEL not in str(raised.value)


def test_all_secrets_of_an_operation_make_one_entry_and_come_back():
    secrets = OperationSecrets(
        query=Secret("q"),
        headers={"X": Secret("h")},
        server=Credential("u", Secret("p")),
        proxy_user_info=Secret("a:b"),
    )
    assert OperationSecrets.from_secret(secrets.to_secret()) == secrets
    assert secrets.names == ["query", "server", "proxy_user_info", "header X"]


# ------------------------------------------------------------------------------------------------------ after a restart


@pytest.mark.parametrize("kind", ["query", "user info", "header", "credential"])
def test_without_a_vault_a_lost_secret_is_asked_for_and_the_download_goes_on(
    *,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    seen: Seen,
    work: Path,
    kind: str,
):
    faults: tuple[Fault, ...] = (hold_after(HALF, until="go", on=lambda _: not server.events.is_set("restarted")),)
    if kind in {"user info", "credential"}:
        faults = (basic_auth(Login(user="ann", password=SENTINEL)), *faults)
    server = fault_server({"/a": FileSpec(size=SIZE, faults=faults)})
    before = give_secrets(downloader, server.url("/a"), kind)
    before.start()
    seen.until(lambda: before.bytes_received == HALF)
    again = restart()
    server.events.set("restarted")
    (operation,) = again.get_current_downloads()
    with pytest.raises(AttentionRequired) as raised:
        operation.wait(WAIT)
    assert operation.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    assert operation.current_web_error_status is WebErrorStatus.UNAUTHORIZED
    remedies = {
        "query": (
            "requested_uri",
            lambda: setattr(operation, "requested_uri", server.url(f"/a?token={SENTINEL}&id=1")),
        ),
        "header": ("set_request_header", lambda: operation.set_request_header("Authorization", f"Bearer {SENTINEL}")),
    }
    answer = PasswordCredential("files", "ann", SENTINEL)
    name, remedy = remedies.get(kind, ("provide_credential", lambda: operation.provide_credential(answer)))
    assert name in str(raised.value)
    remedy()
    operation.resume().wait(WAIT)
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256


def test_an_answer_to_one_lost_secret_does_not_forget_the_other(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], fault_server: StartFaultServer
):
    server = fault_server({"/a": FileSpec(size=SIZE)})
    downloader.create_download(server.url(f"/a?token={SENTINEL}"), "a", headers={"X-Api-Key": SENTINEL})
    (operation,) = restart().get_current_downloads()
    operation.set_request_header("x-api-key", "another")
    with pytest.raises(AttentionRequired, match="requested_uri"):
        operation.wait(WAIT)
    assert server.requests("/a") == []
    operation.requested_uri = server.url(f"/a?token={SENTINEL}")
    operation.resume().wait(WAIT)
    assert server.requests("/a")[0].header("X-Api-Key") == "another"


def test_with_a_vault_the_secrets_are_there_again(
    vault: MemoryKeyring,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
):
    server = fault_server({"/a": FileSpec(size=SIZE)})
    before = downloader.create_download(server.url(f"/a?token={SENTINEL}"), "a", headers={"X-Api-Key": SENTINEL})
    assert current_runner().vault.fetch(str(before.guid)).result(WAIT) is not None
    before.set_request_header("Cookie", "added=later")
    (operation,) = restart().get_current_downloads()
    operation.set_request_header("X-Other", "given after the restart", secret=True)
    operation.wait(WAIT)
    (request,) = server.requests("/a")
    assert request.query == {"token": SENTINEL}
    assert request.header("X-Api-Key") == SENTINEL
    assert request.header("Cookie") == "added=later"
    assert request.header("X-Other") == "given after the restart"
    assert current_runner().vault.fetch(str(operation.guid)).result(WAIT) is None, "kept longer than it is of use"


def test_a_name_and_password_in_a_uri_stay_with_its_origin(
    downloader: BackgroundDownloader, fault_server: StartFaultServer
):
    first = fault_server({"/a": FileSpec(size=10, faults=(status(404),))})
    second = fault_server({"/a": FileSpec(size=10)}, host="127.0.0.2")
    operation = downloader.create_download(first.url("/a").replace("://", f"://ann:{SENTINEL}@"), "a")
    operation.recoverable_web_error_statuses = [WebErrorStatus.NOT_FOUND]
    with pytest.raises(AttentionRequired):
        operation.wait(WAIT)
    operation.requested_uri = second.url("/a")
    operation.resume().wait(WAIT)
    assert all(request.header("Authorization") is None for request in second.requests("/a"))


def test_a_removed_header_is_not_sent_and_not_asked_for(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], fault_server: StartFaultServer
):
    server = fault_server({"/a": FileSpec(size=10)})
    downloader.create_download(server.url("/a"), "a", headers={"Authorization": SENTINEL})
    (operation,) = restart().get_current_downloads()
    operation.remove_request_header("authorization")
    operation.wait(WAIT)
    assert server.requests("/a")[0].header("Authorization") is None


def test_wrong_values_are_refused_without_being_shown(downloader: BackgroundDownloader):
    with pytest.raises(BackgroundTransferError) as raised:
        downloader.create_download("http://127.0.0.1/a", "a", headers={"Authorization": f"{SENTINEL}\r\nX: y"})
    assert hits_in_texts(SENTINEL, ["".join(traceback.format_exception_only(raised.value))]) == []
