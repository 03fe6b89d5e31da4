"""Where redirects lead, and what goes along: H37-H41, A1-A4, TM7."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, RedirectRefused
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.base import Safety
from bgdl_jupyter.transport.http import HttpTransport
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.faults import redirect, redirects, status
from tests.servers.files import FileSpec
from tests.servers.resolver import FakeResolver, Records
from tests.transport.http_client import fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer

FILE = FileSpec(size=1000)
USERS = (
    ("Authorization", Secret("Bearer hunter2")),
    ("Cookie", Secret("a=hunter2")),
    ("X-Mine", "mine"),
    ("X-Mine", "2"),
)


def to(location: str | None, code: int = 302) -> FileSpec:
    return FileSpec(size=10, faults=(redirect(location, code=code),))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_and_the_answer_tells_where_to(http, fault_server: StartFaultServer, code):
    server = fault_server({"/a": to("/b", code), "/b": FILE})
    fetched = await fetch(http, server.url("/a"))
    assert fetched.body == FILE.read()
    assert fetched.answer.resource.actual_uri == server.url("/b")


async def test_ten_redirects_are_followed(http, fault_server: StartFaultServer):
    server = fault_server({**redirects(10, to="/end"), "/end": FILE})
    assert (await fetch(http, server.url("/hop1"))).body == FILE.read()


async def test_eleven_are_not(http, fault_server: StartFaultServer):
    server = fault_server({**redirects(11, to="/end"), "/end": FILE})
    with pytest.raises(RedirectRefused) as caught:
        await fetch(http, server.url("/hop1"))
    assert caught.value.web_error_status is WebErrorStatus.REDIRECT_FAILED
    assert not server.requests("/end")


@pytest.mark.parametrize("location", [None, "", "/a", "/a" + "x" * 9000, "file:///etc/passwd", "gopher://x/"])
async def test_a_redirect_to_nowhere_fails(http, fault_server: StartFaultServer, location):
    server = fault_server({"/a": to(location)})
    with pytest.raises(RedirectRefused):
        await fetch(http, server.url("/a"))


async def test_https_is_not_left_for_http(http, fault_server: StartFaultServer, authority: Authority):
    plain = fault_server({"/b": FILE})
    secure = fault_server({"/a": to(plain.url("/b"))}, tls=authority.server())
    with pytest.raises(RedirectRefused) as caught:
        await fetch(http, secure.url("/a"), ssl_context=authority.client())
    assert caught.value.web_error_status is WebErrorStatus.HTTPS_TO_HTTP_ON_REDIRECTION
    assert not plain.requests()


class TestWhatGoesAlong:
    async def test_the_users_headers_stay_with_their_origin(self, http, fault_server: StartFaultServer):
        """Another port is another origin."""
        other = fault_server({"/b": FILE})
        home = fault_server({"/a": to(other.url("/b"))})
        await fetch(http, home.url("/a"), headers=USERS, start=5)
        [request] = other.requests("/b")
        assert not {name for name, _ in request.headers} & {"Authorization", "Cookie", "X-Mine"}
        assert request.header("Range") == "bytes=5-"
        assert home.requests("/a")[0].header_values("X-Mine") == ["mine", "2"]

    async def test_they_come_back_on_the_way_home(self, http, fault_server: StartFaultServer):
        home = fault_server({})
        other = fault_server({"/b": to(home.url("/c"))})
        home.put("/a", to(other.url("/b")))
        home.put("/c", FILE)
        await fetch(http, home.url("/a"), headers=USERS)
        assert other.requests("/b")[0].header("Authorization") is None
        assert home.requests("/c")[0].header("Authorization") == "Bearer hunter2"

    async def test_they_go_along_inside_the_origin(self, http, fault_server: StartFaultServer):
        home = fault_server({"/a": to("/b"), "/b": FILE})
        await fetch(http, home.url("/a"), headers=USERS)
        assert home.requests("/b")[0].header("Cookie") == "a=hunter2"

    async def test_the_credential_does_not_go_along(self, http, fault_server: StartFaultServer):
        other = fault_server({"/b": FILE})
        home = fault_server({"/a": to(other.url("/b"))})
        await fetch(http, home.url("/a"), credential=Credential("user", Secret("hunter2")))
        assert home.requests("/a")[0].header("Authorization") is not None
        assert other.requests("/b")[0].header("Authorization") is None

    async def test_user_information_in_a_location_is_ignored(self, http, fault_server: StartFaultServer):
        home = fault_server({"/b": FILE})
        home.put("/a", to(home.url("/b").replace("http://", "http://user:hunter2@")))
        fetched = await fetch(http, home.url("/a"))
        assert home.requests("/b")[0].header("Authorization") is None
        assert "hunter2" not in repr(fetched.answer)

    @pytest.mark.parametrize("code", [307, 308])
    async def test_a_body_stays_with_its_origin(self, http, fault_server: StartFaultServer, tmp_path, code):
        body = tmp_path / "body"
        body.write_bytes(b"query")
        other = fault_server({"/b": FILE})
        home = fault_server({"/a": to(other.url("/b"), code), "/c": to("/d", code), "/d": FILE})
        with pytest.raises(RedirectRefused) as caught:
            await fetch(http, home.url("/a"), method="POST", body=body)
        assert caught.value.body_was_sent
        assert not other.requests()
        await fetch(http, home.url("/c"), method="POST", body=body)
        assert home.requests("/d")[0].body == b"query"
        await fetch(http, home.url("/a"), method="POST", body=body, safety=Safety(allow_body_redirect=True))
        assert other.requests("/b")[0].body == b"query"

    async def test_a_post_that_is_sent_elsewhere_becomes_a_get(self, http, fault_server: StartFaultServer, tmp_path):
        body = tmp_path / "body"
        body.write_bytes(b"query")
        server = fault_server({"/a": to("/b", 303), "/b": FILE})
        await fetch(http, server.url("/a"), method="POST", body=body)
        [request] = server.requests("/b")
        assert (request.method, request.body, request.header("Content-Length")) == ("GET", b"", None)

    async def test_a_failure_behind_a_redirect_still_tells_that_the_body_was_sent(
        self, http, fault_server: StartFaultServer, tmp_path
    ):
        """Else the post would be sent again by itself."""
        body = tmp_path / "body"
        body.write_bytes(b"query")
        server = fault_server({"/a": to("/b", 303), "/b": FileSpec(size=10, faults=(status(503),))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"), method="POST", body=body)
        assert caught.value.body_was_sent


class TestPrivateNetworks:
    """Here 127.0.0.1 plays the public internet, and 127.0.0.2 the private network."""

    @pytest.fixture
    async def guarded(self) -> AsyncIterator[HttpTransport]:
        names = FakeResolver({"inside.test": Records("127.0.0.2"), "both.test": Records("127.0.0.2", "127.0.0.1")})
        transport = HttpTransport(is_private=lambda address: address == "127.0.0.2", resolver=names)
        yield transport
        await transport.aclose()

    @pytest.mark.parametrize("host", ["127.0.0.2", "inside.test"])
    async def test_the_public_does_not_lead_into_one(self, guarded, fault_server: StartFaultServer, host):
        inside = fault_server({"/b": FILE}, host="127.0.0.2")
        public = fault_server({"/a": to(inside.url("/b", host=host))})
        with pytest.raises(RedirectRefused, match="private"):
            await fetch(guarded, public.url("/a"))
        assert inside.connections_total == 0

    async def test_not_even_over_a_connection_that_is_open(self, guarded, fault_server: StartFaultServer):
        inside = fault_server({"/b": FILE}, host="127.0.0.2")
        public = fault_server({"/a": to(inside.url("/b"))})
        await fetch(guarded, inside.url("/b"))
        with pytest.raises(RedirectRefused):
            await fetch(guarded, public.url("/a"))
        assert len(inside.requests("/b")) == 1

    async def test_an_address_of_the_name_that_is_public_is_taken(self, guarded, fault_server: StartFaultServer):
        public = fault_server({"/b": FILE})
        public.put("/a", to(public.url("/b", host="both.test")))
        assert (await fetch(guarded, public.url("/a"))).body == FILE.read()

    async def test_the_user_may_go_there(self, guarded, fault_server: StartFaultServer):
        inside = fault_server({"/b": to("/c"), "/c": FILE}, host="127.0.0.2")
        assert (await fetch(guarded, inside.url("/b"))).body == FILE.read()

    async def test_the_user_may_allow_it(self, guarded, fault_server: StartFaultServer):
        inside = fault_server({"/b": FILE}, host="127.0.0.2")
        public = fault_server({"/a": to(inside.url("/b"))})
        fetched = await fetch(guarded, public.url("/a"), safety=Safety(allow_private_redirect=True))
        assert fetched.body == FILE.read()

    async def test_a_private_server_may_redirect_to_another(self, http, fault_server: StartFaultServer):
        other = fault_server({"/b": FILE}, host="127.0.0.2")
        server = fault_server({"/a": to(other.url("/b"))})
        assert (await fetch(http, server.url("/a"))).body == FILE.read()
