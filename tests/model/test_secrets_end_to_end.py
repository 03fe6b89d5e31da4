"""Who we are, told to those who may know and to nobody else: real servers and proxies through the public API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import AttentionRequired, HttpStatusError, InvalidRequest
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.process import shut_down
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.auth_faults import Login, basic_auth, basic_value, digest_auth
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, redirect
from tests.servers.files import FileSpec
from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.authority import Authority
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartProxy, StartSquid

WAIT = 20.0
FILE = FileSpec(size=400_000)
LOGIN = Login(user="ada", password="Xylophon-7")
OTHER = Login(user="bob", password="Kontrabass-9")
CREDENTIAL = PasswordCredential("files", LOGIN.user, LOGIN.password)


def credential(login: Login) -> PasswordCredential:
    return PasswordCredential("somewhere", login.user, login.password)


def authorizations(server: FaultServer) -> list[str | None]:
    return [each.header("Authorization") for each in server.requests()]


# ------------------------------------------------------------------------------------------------------- to the server


@pytest.mark.parametrize(
    "fault", [basic_auth(LOGIN), digest_auth(LOGIN), digest_auth(LOGIN, algorithm="MD5")], ids=["basic", "sha", "md5"]
)
def test_a_server_credential_answers_the_challenge_of_the_server(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, work: Path, fault
):
    server = fault_server({"/a": FileSpec(size=FILE.size, faults=(fault,))})
    downloader = new_downloader(server_credential=CREDENTIAL, max_connections_per_download=1)
    downloader.create_download(server.url("/a"), "a").wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert server.exchanges_for("/a")[-1].status == 200
    assert LOGIN.password not in str(authorizations(server))  # never in the clear


def test_a_wrong_password_is_tried_once_and_fails_with_what_to_do(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer
):
    server = fault_server({"/a": FileSpec(size=FILE.size, faults=(digest_auth(LOGIN),))})
    operation = new_downloader(server_credential=credential(OTHER)).create_download(server.url("/a"), "a")
    with pytest.raises(HttpStatusError) as failed:
        operation.wait(WAIT)
    assert failed.value.web_error_status is WebErrorStatus.UNAUTHORIZED
    assert len(server.requests("/a")) == 2  # the challenge and one answer: no account is locked by us
    assert OTHER.password not in str(failed.value)


def test_a_listed_refusal_pauses_and_another_credential_goes_on_from_the_same_bytes(
    downloader: BackgroundDownloader, fault_server: StartFaultServer, seen: Seen, work: Path
):
    guarded = FileSpec(
        size=FILE.size, faults=(cut_after(200_000, on=1), basic_auth(LOGIN, on=lambda it: it.number > 1))
    )
    server = fault_server({"/a": guarded})
    operation = downloader.create_download(server.url("/a"), "a")
    operation.recoverable_web_error_statuses = [WebErrorStatus.UNAUTHORIZED]
    with pytest.raises(AttentionRequired):
        operation.wait(WAIT)
    assert operation.current_web_error_status is WebErrorStatus.UNAUTHORIZED
    operation.provide_credential(CREDENTIAL)
    operation.resume().wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert server.requests("/a")[-1].header("Range") is not None
    assert authorizations(server)[-1] == basic_value(LOGIN)


def test_credentials_and_headers_stay_with_their_origin(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, work: Path
):
    """Two origins that record every header: scheme, host and port make an origin."""
    far = fault_server({"/b": FILE})
    home = fault_server({"/a": FileSpec(faults=(redirect(far.url("/b")),))})
    downloader = new_downloader(server_credential=CREDENTIAL)
    downloader.set_request_header("X-Api-Key", "key-of-the-home")
    downloader.set_request_header("X-Plain", "of-the-home")
    downloader.create_download(home.url("/a"), "a", headers={"Cookie": "crumb=1"}).wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    [asked] = home.requests()
    assert asked.header("Authorization") == basic_value(LOGIN)
    assert [asked.header(name) for name in ("X-Api-Key", "X-Plain", "Cookie")] == [
        "key-of-the-home",
        "of-the-home",
        "crumb=1",
    ]
    for request in far.requests():
        sent = {name.lower() for name, _ in request.headers}
        assert sent <= {"host", "accept", "accept-encoding", "user-agent", "range", "if-range", "connection"}
        assert "home" not in str(request.headers)


# --------------------------------------------------------------------------------------------------- netrc and provider


def netrc(home: Path, text: str) -> None:
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)


def test_the_netrc_file_is_read_only_on_request_and_its_default_never(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, home: Path
):
    netrc(home, f"machine 127.0.0.1 login {LOGIN.user} password {LOGIN.password}\ndefault login x password y\n")
    server = fault_server({"/a": FileSpec(size=FILE.size, faults=(basic_auth(LOGIN),)), "/b": FILE})
    with pytest.raises(HttpStatusError):
        new_downloader().create_download(server.url("/a"), "not-asked").wait(WAIT)
    assert authorizations(server) == [None]
    new_downloader(use_netrc=True).create_download(server.url("/a"), "asked").wait(WAIT)
    assert authorizations(server)[-1] == basic_value(LOGIN)
    elsewhere = fault_server({"/b": FILE}, host="127.0.0.2")
    new_downloader(use_netrc=True).create_download(elsewhere.url("/b"), "elsewhere").wait(WAIT)
    assert set(authorizations(elsewhere)) == {None}


def test_the_netrc_file_says_nothing_to_a_host_that_a_redirect_leads_to(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, home: Path
):
    netrc(
        home,
        f"machine 127.0.0.1 login {LOGIN.user} password {LOGIN.password}\n"
        f"machine 127.0.0.2 login {OTHER.user} password {OTHER.password}\n",
    )
    far = fault_server({"/b": FILE}, host="127.0.0.2")
    near = fault_server({"/a": FileSpec(faults=(redirect(far.url("/b")),))})
    new_downloader(use_netrc=True).create_download(near.url("/a"), "a").wait(WAIT)
    assert authorizations(near) == [basic_value(LOGIN)]
    assert set(authorizations(far)) == {None}


def test_a_netrc_file_that_others_may_read_is_refused_with_the_reason(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, home: Path
):
    netrc(home, f"machine 127.0.0.1 login {LOGIN.user} password {LOGIN.password} nonsense\n")
    server = fault_server({"/a": FILE})
    operation = new_downloader(use_netrc=True).create_download(server.url("/a"), "a")
    with pytest.raises(Exception, match="netrc file cannot be used") as failed:
        operation.wait(WAIT)
    assert LOGIN.password not in str(failed.value)
    assert server.requests() == []


def test_a_provider_is_asked_before_each_request_and_may_change_its_mind(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, work: Path
):
    """A token that expires half-way: the next request bears the next one."""
    broken = FileSpec(
        size=FILE.size,
        faults=(basic_auth(LOGIN, on=1), basic_auth(OTHER, on=2), cut_after(200_000, on=1)),
    )
    server = fault_server({"/a": broken})
    asked: list[DownloadOperation] = []

    def provider(operation: DownloadOperation) -> PasswordCredential:
        asked.append(operation)
        return credential(LOGIN if len(asked) == 1 else OTHER)

    downloader = new_downloader(credential_provider=provider, max_connections_per_download=1)
    operation = downloader.create_download(server.url("/a"), "a").wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert authorizations(server) == [basic_value(LOGIN), basic_value(OTHER)]
    assert asked == [operation, operation]


def test_a_provider_may_be_asynchronous_and_may_have_nothing_to_say(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer
):
    async def provider(_: DownloadOperation) -> PasswordCredential:
        await asyncio.sleep(0)
        return CREDENTIAL

    server = fault_server({"/a": FileSpec(size=FILE.size, faults=(basic_auth(LOGIN),)), "/b": FILE})
    new_downloader(credential_provider=provider).create_download(server.url("/a"), "a").wait(WAIT)
    assert authorizations(server)[-1] == basic_value(LOGIN)
    new_downloader(credential_provider=lambda _: None).create_download(server.url("/b"), "b").wait(WAIT)
    assert authorizations(server)[-1] is None


@pytest.mark.parametrize("answer", [lambda _: 1 / 0, lambda _: ("ada", LOGIN.password)], ids=["raises", "a tuple"])
def test_a_provider_that_fails_pauses_and_is_asked_again(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, seen: Seen, answer
):
    server = fault_server({"/a": FileSpec(size=FILE.size, faults=(basic_auth(LOGIN),))})
    operation = new_downloader(credential_provider=answer).create_download(server.url("/a"), "a")
    with pytest.raises(AttentionRequired, match="credential provider failed") as paused:
        operation.wait(WAIT)
    assert LOGIN.password not in str(paused.value)
    assert operation.current_web_error_status is WebErrorStatus.UNAUTHORIZED
    assert server.requests() == []
    operation.credential_provider = lambda _: CREDENTIAL
    operation.resume().wait(WAIT)


def test_a_provider_dies_with_the_kernel_and_the_pause_says_so(
    new_downloader: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    seen: Seen,
    restart: Callable[..., BackgroundDownloader],
):
    held = FileSpec(size=FILE.size, faults=(basic_auth(LOGIN), hold_after(200_000, until="go", on=1)))
    server = fault_server({"/a": held})
    operation = new_downloader(credential_provider=lambda _: CREDENTIAL).create_download(server.url("/a"), "a")
    operation.start()
    seen.until(lambda: operation.bytes_received == 200_000)
    [again] = restart().get_current_downloads()
    with pytest.raises(AttentionRequired, match="provider"):
        again.wait(WAIT)
    assert again.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    assert again.secret_names == ["provider"]
    again.credential_provider = lambda _: CREDENTIAL
    again.resume().wait(WAIT)
    assert authorizations(server)[-1] == basic_value(LOGIN)


def test_a_provider_that_is_none_is_refused(downloader: BackgroundDownloader, fault_server: StartFaultServer):
    operation = downloader.create_download(fault_server({"/a": FILE}).url("/a"), "a")
    with pytest.raises(InvalidRequest, match="callable"):
        operation.credential_provider = "a name"  # type: ignore[assignment]  # what a user may do


# ----------------------------------------------------------------------------------------------------- through proxies


def trusting(operation: DownloadOperation, authority: Authority) -> DownloadOperation:
    """Let an operation know the certificates of this run, as a machine knows those of its authorities."""
    operation.ssl_context = authority.client()
    return operation


@pytest.mark.parametrize("kind", ["basic", "digest"])
@pytest.mark.parametrize("way", ["credential", "user information"])
def test_a_real_proxy_is_answered_for_http(
    new_downloader: Callable[..., BackgroundDownloader],
    *,
    fault_server: StartFaultServer,
    squid: StartSquid,
    work: Path,
    kind: str,
    way: str,
):
    server, proxy = fault_server({"/a": FILE}), squid(auth=kind, login=LOGIN)
    if way == "credential":
        downloader = new_downloader(proxy=proxy.url(), proxy_credential=CREDENTIAL)
    else:
        downloader = new_downloader(proxy=proxy.url(userinfo=f"{LOGIN.user}:{LOGIN.password}"))
    assert downloader.proxy.rstrip("/") == proxy.url()
    downloader.create_download(server.url("/a"), "a").wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert all(each.header("Proxy-Authorization") is None for each in server.requests())
    assert all("squid" in (each.header("Via") or "") for each in server.requests())


@pytest.mark.parametrize("kind", ["basic", "digest"])
def test_a_real_proxy_is_answered_for_the_tunnel_of_https(
    new_downloader: Callable[..., BackgroundDownloader],
    *,
    fault_server: StartFaultServer,
    squid: StartSquid,
    work: Path,
    authority: Authority,
    kind: str,
):
    server, proxy = fault_server({"/a": FILE}, tls=authority.server()), squid(auth=kind, login=LOGIN)
    downloader = new_downloader(proxy=proxy.url(), proxy_credential=CREDENTIAL)
    trusting(downloader.create_download(server.url("/a", host="localhost"), "a"), authority).wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert all(each.header("Proxy-Authorization") is None for each in server.requests())
    shut_down()  # squid writes its line when the tunnel has ended
    poll(lambda: "CONNECT localhost" in "".join(proxy.log()), deadline=WAIT, what="a line about the tunnel")


def test_a_refusal_of_a_real_proxy_is_told_as_the_proxys(
    new_downloader: Callable[..., BackgroundDownloader], fault_server: StartFaultServer, squid: StartSquid, work: Path
):
    server, proxy = fault_server({"/a": FILE}), squid(auth="basic", login=LOGIN)
    operation = new_downloader(proxy=proxy.url(), proxy_credential=credential(OTHER)).create_download(
        server.url("/a"), "a"
    )
    with pytest.raises(HttpStatusError) as failed:
        operation.wait(WAIT)
    assert failed.value.web_error_status is WebErrorStatus.PROXY_AUTHENTICATION_REQUIRED
    assert OTHER.password not in str(failed.value)
    assert not (work / "a").exists()
    assert server.requests() == []
    operation.provide_credential(CREDENTIAL)  # it is known who asked
    operation.retry().wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert authorizations(server) == [None]


def test_a_lost_credential_of_the_proxy_is_asked_for_and_given_again(
    new_downloader: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    proxy: StartProxy,
    restart: Callable[..., BackgroundDownloader],
    work: Path,
):
    server, middle = fault_server({"/a": FILE}), proxy(login=LOGIN)
    downloader = new_downloader(proxy=middle.url(userinfo=f"{LOGIN.user}:{LOGIN.password}"))
    downloader.create_download(server.url("/a"), "a")
    [again] = restart().get_current_downloads()
    with pytest.raises(AttentionRequired, match="provide_credential"):
        again.wait(WAIT)
    again.provide_credential(CREDENTIAL)
    again.resume().wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert authorizations(server) == [None]


def test_the_proxy_of_an_operation_may_be_changed_and_reads_back_without_its_password(
    downloader: BackgroundDownloader, fault_server: StartFaultServer, proxy: StartProxy
):
    server, middle = fault_server({"/a": FILE}), proxy(login=LOGIN)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.proxy = middle.url(userinfo=f"{LOGIN.user}:{LOGIN.password}")
    assert operation.proxy.rstrip("/") == middle.url()
    operation.start().wait(WAIT)
    assert middle.requests[-1].header("Proxy-Authorization") == basic_value(LOGIN)


def test_proxies_of_the_environment_are_used_as_curl_does(
    downloader: BackgroundDownloader,
    fault_server: StartFaultServer,
    proxy: StartProxy,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
):
    plain, tunneled = fault_server({"/a": FILE}), fault_server({"/a": FILE}, tls=authority.server())
    middle = proxy(login=LOGIN)
    monkeypatch.setenv("ALL_PROXY", middle.url(userinfo=f"{LOGIN.user}:{LOGIN.password}"))
    downloader.create_download(plain.url("/a"), "plain").wait(WAIT)
    trusting(downloader.create_download(tunneled.url("/a", host="localhost"), "tunneled"), authority).wait(WAIT)
    assert {each.method for each in middle.requests} == {"GET", "CONNECT"}
    seen_by_proxy = len(middle.requests)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    downloader.create_download(plain.url("/a"), "direct").wait(WAIT)
    assert len(middle.requests) == seen_by_proxy
    assert plain.requests("/a")[-1].header("Proxy-Authorization") is None


def test_an_environment_that_is_not_trusted_says_nothing(
    new_downloader: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    proxy: StartProxy,
    monkeypatch: pytest.MonkeyPatch,
):
    server, middle = fault_server({"/a": FILE}), proxy()
    monkeypatch.setenv("HTTP_PROXY", middle.url())
    new_downloader(trust_env=False).create_download(server.url("/a"), "a").wait(WAIT)
    assert middle.requests == []
    assert len(server.requests()) == 1


@pytest.mark.parametrize("direct", ["home", "far"])
def test_a_redirect_chooses_the_proxy_of_the_environment_anew(
    downloader: BackgroundDownloader,
    fault_server: StartFaultServer,
    proxy: StartProxy,
    monkeypatch: pytest.MonkeyPatch,
    direct: str,
):
    far = fault_server({"/b": FILE}, host="127.0.0.2")
    home = fault_server({"/a": FileSpec(faults=(redirect(far.url("/b")),))})
    middle = proxy()
    monkeypatch.setenv("http_proxy", middle.url())
    monkeypatch.setenv("no_proxy", "127.0.0.1" if direct == "home" else "127.0.0.2")
    downloader.create_download(home.url("/a"), "a").wait(WAIT)
    [asked] = middle.requests
    assert ("/b" if direct == "home" else "/a") in asked.target
