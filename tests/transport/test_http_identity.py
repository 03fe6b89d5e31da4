"""Who we are, and to whom we say so: A5-A11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, NetworkFailed, RedirectRefused, TransferFailed
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.base import ProxyServer, Safety
from bgdl_jupyter.transport.http import HttpTransport
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.uris import split_uri
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.addresses import closed_port
from tests.servers.auth_faults import Login, basic_auth, digest_auth
from tests.servers.faults import redirect, set_header, status
from tests.servers.files import FileSpec
from tests.servers.resolver import FakeResolver, Records
from tests.servers.steps import raw
from tests.transport.http_client import SCHEMES, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer, StartProxy, StartSquid

FILE = FileSpec(size=1000)
LOGIN = Login(user="user", password="hunter2")
RIGHT = Credential("user", Secret("hunter2"))
WRONG = Credential("user", Secret("hunter3"))


def guarded(*faults) -> FileSpec:
    return FileSpec(size=1000, faults=faults)


def proxy_server(url: str, credential: Credential | None = None) -> ProxyServer:
    return ProxyServer(uri=split_uri(url, SCHEMES), credential=credential)


@pytest.fixture
async def named() -> AsyncIterator[HttpTransport]:
    """Return a transport to which files.test is another machine, although it is this one."""
    transport = HttpTransport(resolver=FakeResolver({"files.test": Records("127.0.0.1")}))
    yield transport
    await transport.aclose()


class TestBasic:
    async def test_it_is_sent_without_being_asked_for(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(basic_auth(LOGIN))})
        assert (await fetch(http, server.url("/a"), credential=RIGHT)).body == FILE.read()
        assert len(server.requests("/a")) == 1

    async def test_user_information_is_a_credential(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(basic_auth(Login(user="us@er", password="hun:ter2")))})
        uri = server.url("/a").replace("http://", "http://us%40er:hun%3Ater2@")
        assert (await fetch(http, uri)).body == FILE.read()
        assert "@" not in server.requests("/a")[0].target

    async def test_a_wrong_one_is_not_tried_twice(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(basic_auth(LOGIN))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"), credential=WRONG)
        assert caught.value.web_error_status is WebErrorStatus.UNAUTHORIZED
        assert len(server.requests("/a")) == 1

    async def test_it_does_not_go_over_plain_http_to_another_machine(self, named, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(basic_auth(LOGIN))})
        url = server.url("/a", host="files.test")
        with pytest.raises(HttpStatusError, match="allow_insecure_auth"):
            await fetch(named, url, credential=RIGHT)
        assert [each.header("Authorization") for each in server.requests("/a")] == [None]
        fetched = await fetch(named, url, credential=RIGHT, safety=Safety(allow_insecure_auth=True))
        assert fetched.body == FILE.read()

    async def test_over_https_it_does(self, named, fault_server: StartFaultServer, authority: Authority):
        server = fault_server({"/a": guarded(basic_auth(LOGIN))}, tls=authority.server())
        url = server.url("/a", host="files.test")
        assert (await fetch(named, url, credential=RIGHT, ssl_context=authority.client())).body == FILE.read()

    async def test_the_users_own_header_wins(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        await fetch(http, server.url("/a"), credential=RIGHT, headers=(("Authorization", Secret("Bearer x")),))
        assert server.requests("/a")[0].header_values("Authorization") == ["Bearer x"]


class TestDigest:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
    @pytest.mark.parametrize("qop", ["auth", "auth-int", None])
    async def test_a_challenge_is_answered_once(self, named, fault_server: StartFaultServer, algorithm, qop):
        server = fault_server({"/a b": FILE, "/a%20b": guarded(digest_auth(LOGIN, algorithm=algorithm, qop=qop))})
        url = server.url("/a%20b?x=1", host="files.test")
        assert (await fetch(named, url, credential=RIGHT)).body == FILE.read()
        assert len(server.requests("/a%20b")) == 2
        assert "hunter2" not in repr(server.requests())

    async def test_a_nonce_serves_for_more_than_one_request(self, named, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(digest_auth(LOGIN))})
        for _ in range(3):
            await fetch(named, server.url("/a", host="files.test"), credential=RIGHT)
        assert len(server.requests("/a")) == 4

    async def test_a_nonce_that_is_too_old_is_replaced(self, named, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(digest_auth(LOGIN, nonce_lasts=3))})
        for _ in range(3):
            assert (await fetch(named, server.url("/a", host="files.test"), credential=RIGHT)).body == FILE.read()
        assert len(server.requests("/a")) == 5

    async def test_a_wrong_password_is_not_tried_twice(self, named, fault_server: StartFaultServer):
        server = fault_server({"/a": guarded(digest_auth(LOGIN))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(named, server.url("/a", host="files.test"), credential=WRONG)
        assert caught.value.web_error_status is WebErrorStatus.UNAUTHORIZED
        assert len(server.requests("/a")) == 2

    @pytest.mark.parametrize(
        "challenge",
        [
            'Digest realm="a", nonce="n", algorithm=ROT13',
            'Digest realm="a"',
            "Digest realm=" + "a" * 20_000,
            "Negotiate",
            "",
            'Digest realm="\\"", nonce="n", stale=true',
        ],
    )
    async def test_a_server_that_is_never_satisfied_is_left(self, http, fault_server: StartFaultServer, challenge):
        server = fault_server({"/a": guarded(status(401, headers=(("WWW-Authenticate", challenge),)))})
        with pytest.raises(TransferFailed):
            await fetch(http, server.url("/a"), credential=RIGHT)
        assert len(server.requests("/a")) <= 3

    async def test_another_origin_gets_no_answer(self, http, fault_server: StartFaultServer):
        other = fault_server({"/b": guarded(digest_auth(LOGIN))})
        home = fault_server({"/a": guarded(redirect(other.url("/b")))})
        with pytest.raises(HttpStatusError):
            await fetch(http, home.url("/a"), credential=RIGHT)
        assert [each.header("Authorization") for each in other.requests()] == [None]


class TestConnections:
    async def test_a_connection_is_not_shared_between_credentials(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        for credential in (None, RIGHT, WRONG, RIGHT, None):
            await fetch(http, server.url("/a"), credential=credential)
        first, right, wrong, right_again, last = (each.connection for each in server.requests("/a"))
        assert len({first, right, wrong}) == 3
        assert (right, first) == (right_again, last)

    async def test_nor_between_secret_headers(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        for value in ("a", "b", "a"):
            await fetch(http, server.url("/a"), headers=(("X-Api-Key", value),))
        first, other, again = (each.connection for each in server.requests("/a"))
        assert first == again != other

    async def test_many_credentials_do_not_pile_up(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        for number in range(50):
            await fetch(http, server.url("/a"), credential=Credential(f"user{number}", Secret("x")))
        await server.until(lambda: server.connections_open <= 33)


class TestProxy:
    async def test_http_is_asked_for_in_full(self, http, fault_server: StartFaultServer, proxy: StartProxy):
        server = fault_server({"/a": FILE})
        middleman = proxy(names={"files.test": ("127.0.0.1", server.listener.port)})
        assert (await fetch(http, "http://files.test/a?b=1", proxy=middleman.url())).body == FILE.read()
        assert middleman.requests[0].target == "http://files.test/a?b=1"

    async def test_https_goes_through_a_tunnel(
        self, http, fault_server: StartFaultServer, proxy: StartProxy, authority: Authority
    ):
        server = fault_server({"/a": FILE}, tls=authority.server())
        middleman = proxy(names={"files.test": ("127.0.0.1", server.listener.port)}, login=LOGIN)
        fetched = await fetch(
            http, "https://files.test/a", proxy=proxy_server(middleman.url(), RIGHT), ssl_context=authority.client()
        )
        assert fetched.body == FILE.read()
        assert [each.method for each in middleman.requests] == ["CONNECT"]
        assert middleman.requests[0].target == "files.test:443"
        assert server.requests("/a")[0].header("Proxy-Authorization") is None

    async def test_a_large_body_comes_through_a_tunnel(
        self, http, fault_server: StartFaultServer, proxy: StartProxy, authority: Authority
    ):
        spec = FileSpec(size=3_000_000)
        server = fault_server({"/a": spec}, tls=authority.server())
        fetched = await fetch(http, server.url("/a"), proxy=proxy().url(), ssl_context=authority.client())
        assert fetched.body == spec.read()

    async def test_the_proxys_credential_does_not_reach_the_server(
        self, http, fault_server: StartFaultServer, proxy: StartProxy
    ):
        server = fault_server({"/a": FILE})
        middleman = proxy(login=LOGIN)
        await fetch(http, server.url("/a"), proxy=middleman.url(userinfo="user:hunter2"))
        assert middleman.requests[0].header("Proxy-Authorization") is not None
        assert server.requests("/a")[0].header("Proxy-Authorization") is None
        assert server.requests("/a")[0].header("Authorization") is None

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("userinfo", ["", "user:hunter3"])
    async def test_a_refusal_of_the_proxy_is_told_without_its_user(self, http, proxy: StartProxy, scheme, userinfo):
        middleman = proxy(login=LOGIN)
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, f"{scheme}://files.test/a", proxy=middleman.url(userinfo=userinfo))
        assert caught.value.web_error_status is WebErrorStatus.PROXY_AUTHENTICATION_REQUIRED
        assert "user" not in caught.value.message
        assert "hunter3" not in f"{caught.value!r}{caught.value.__context__!r}"
        assert len(middleman.requests) == 1

    async def test_another_refusal_of_a_tunnel_bears_its_status(self, http, proxy: StartProxy):
        page = (raw(b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"),)
        middleman = proxy(pages={"files.test": page})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, "https://files.test/a", proxy=middleman.url())
        assert caught.value.http_status == 502

    async def test_a_proxy_that_is_not_there_is_a_network_failure(self, http):
        with closed_port() as port, pytest.raises(NetworkFailed) as caught:
            await fetch(http, "http://files.test/a", proxy=f"http://user:hunter2@127.0.0.1:{port}")
        assert "hunter2" not in f"{caught.value}{caught.value.__cause__!r}"

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_a_real_proxy_takes_digest(
        self, http, fault_server: StartFaultServer, squid: StartSquid, authority: Authority, scheme
    ):
        server = fault_server({"/a": FILE}, tls=authority.server() if scheme == "https" else None)
        middleman = squid(auth="digest", login=LOGIN)
        for _ in range(2):
            fetched = await fetch(
                http, server.url("/a"), proxy=middleman.url(userinfo="user:hunter2"), ssl_context=authority.client()
            )
            assert fetched.body == FILE.read()

    async def test_a_real_proxy_takes_basic(self, http, fault_server: StartFaultServer, squid: StartSquid):
        server = fault_server({"/a": FILE})
        middleman = squid(auth="basic", login=LOGIN)
        fetched = await fetch(http, server.url("/a"), proxy=middleman.url(userinfo="user:hunter2"))
        assert fetched.body == FILE.read()

    async def test_connections_are_not_shared_between_the_proxys_users(
        self, http, fault_server: StartFaultServer, squid: StartSquid
    ):
        server = fault_server({"/a": FILE})
        middleman = squid(auth="basic", login=LOGIN)
        await fetch(http, server.url("/a"), proxy=middleman.url(userinfo="user:hunter2"))
        with pytest.raises(HttpStatusError):
            await fetch(http, server.url("/a"), proxy=middleman.url(userinfo="user:wrong"))
        assert len(server.requests("/a")) == 1

    async def test_a_redirect_into_a_private_network_is_not_asked_of_a_proxy(self, http, proxy: StartProxy):
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        middleman = proxy(pages={"files.test": (raw(moved),)})
        with pytest.raises(RedirectRefused):
            await fetch(http, "http://files.test/a", proxy=middleman.url())
        assert len(middleman.requests) == 1

    async def test_the_environments_proxy_is_chosen_for_each_hop(
        self, fault_server: StartFaultServer, proxy: StartProxy
    ):
        """A redirect to a host that the environment excepts is followed directly."""
        server = fault_server({"/b": FILE})
        moved = f"HTTP/1.1 302 Found\r\nLocation: {server.url('/b')}\r\nContent-Length: 0\r\n\r\n"
        middleman = proxy(pages={"files.test": (raw(moved.encode()),)})
        environment = EnvironmentProxies.of({"http_proxy": middleman.url(), "no_proxy": "127.0.0.1"})
        transport = HttpTransport(environment=environment, is_private=lambda _: False)
        try:
            safety = Safety(allow_private_redirect=True)
            assert (await fetch(transport, "http://files.test/a", safety=safety)).body == FILE.read()
        finally:
            await transport.aclose()
        assert len(middleman.requests) == 1


async def test_no_secret_is_in_what_is_told_of_an_answer(http, fault_server: StartFaultServer):
    spec = guarded(set_header("X-Auth-Token", "hunter2"), set_header("Content-Location", "/a?sig=hunter2"))
    server = fault_server({"/a": spec})
    uri = server.url("/a?token=hunter2").replace("http://", "http://user:hunter2@")
    fetched = await fetch(http, uri, headers=(("X-Key", Secret("hunter2")),))
    assert "hunter2" not in repr(fetched.answer)
