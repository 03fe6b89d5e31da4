"""The recording proxy and the real squid pass on, refuse and remember, with curl as the witness."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.counterparts import require
from tests.servers.addresses import closed_port
from tests.servers.auth_faults import Login
from tests.servers.files import FileSpec
from tests.servers.programs import poll
from tests.servers.steps import raw

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer, StartProxy, StartSquid

LOGIN = Login(user="me", password="p:@ss")
USER = "me:p:@ss"
FILE = FileSpec(size=100_000, seed=5)


def curl(url: str, proxy: str, *options: str) -> tuple[int, bytes]:
    """Return the exit status and the body."""
    command = [str(require("curl")), "--silent", "--proxy", proxy, *options, url]
    done = subprocess.run(command, check=False, capture_output=True, timeout=20)
    return done.returncode, done.stdout


def test_a_plain_request_is_passed_on_without_what_was_meant_for_the_proxy(
    fault_server: StartFaultServer, proxy: StartProxy
):
    server, between = fault_server({"/a": FILE}), proxy(login=LOGIN)
    url = server.url("/a?x=1")
    assert curl(url, between.url(), "--proxy-user", USER, "--header", "X-A: 1") == (0, FILE.read())
    assert [request.target for request in between.requests] == [url]
    request = server.requests("/a")[0]
    assert (request.target, request.header("X-A"), request.header("Proxy-Authorization")) == ("/a?x=1", "1", None)


def test_a_tunnel_is_opened_for_https(
    fault_server: StartFaultServer, proxy: StartProxy, authority: Authority, tmp_path: Path
):
    server = fault_server({"/a": FILE}, tls=authority.server())
    between = proxy(names={"files.test": ("127.0.0.1", server.listener.port)})
    trust = ["--cacert", str(authority.certificate_file(tmp_path))]
    assert curl("https://files.test/a", between.url(), *trust) == (0, FILE.read())
    assert [(request.method, request.target) for request in between.requests] == [("CONNECT", "files.test:443")]


def test_who_does_not_show_the_login_is_refused(fault_server: StartFaultServer, proxy: StartProxy):
    server, between = fault_server({"/a": FILE}), proxy(login=LOGIN)
    assert b"wants to know you" in curl(server.url("/a"), between.url(), "--proxy-user", "me:wrong")[1]
    tunnel = curl(server.url("/a"), between.url(), "--proxytunnel")
    assert tunnel[0] == 56
    assert server.requests() == []
    assert [request.method for request in between.requests] == ["GET", "CONNECT"]


def test_a_page_of_the_proxy_comes_in_place_of_the_file(proxy: StartProxy):
    between = proxy(pages={"files.test": (raw(b"HTTP/1.1 200 OK\r\n\r\n<html>portal</html>"),)})
    assert curl("http://files.test/a", between.url()) == (0, b"<html>portal</html>")


def test_what_cannot_be_reached_is_a_bad_gateway(proxy: StartProxy):
    with closed_port() as port:
        between = proxy()
        assert curl(f"http://127.0.0.1:{port}/a", between.url(), "--fail")[0] == 22


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_squid_lets_in_the_right_password_only(fault_server: StartFaultServer, squid: StartSquid, auth):
    login = Login(user="me", password="secret")
    server, between = fault_server({"/a": FILE}), squid(auth=auth, login=login)
    url = server.url("/a")
    option = f"--proxy-{auth}"
    assert curl(url, between.url(), option, "--proxy-user", "me:secret") == (0, FILE.read())
    assert curl(url, between.url(), option, "--proxy-user", "me:wrong", "--fail")[0] == 22
    assert curl(url, between.url(), "--fail")[0] == 22
    assert len(server.requests()) == 1
    assert server.requests()[0].header("Proxy-Authorization") is None
    poll(lambda: any("TCP_DENIED/407" in line for line in between.log()), deadline=5, what="squid's log")


def test_squid_without_a_login_lets_in_everybody(fault_server: StartFaultServer, squid: StartSquid):
    server, between = fault_server({"/a": FILE}), squid()
    assert curl(server.url("/a"), between.url()) == (0, FILE.read())
