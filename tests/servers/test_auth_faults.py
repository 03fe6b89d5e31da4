"""Basic and Digest ask, refuse and let in as their specifications say, with curl as the witness."""

from __future__ import annotations

import subprocess

import pytest

from tests.counterparts import require
from tests.servers.auth_faults import Login, basic_auth, digest_auth, digest_response
from tests.servers.fault_server import FaultServer
from tests.servers.files import FileSpec
from tests.servers.messages import Request

LOGIN = Login(user="Mufasa", password="Circle of Life")


def curl(url: str, *options: str) -> int:
    """Return the last status that curl got."""
    command = [
        str(require("curl")),
        "--silent",
        "--noproxy",
        "*",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
    ]
    return int(subprocess.run([*command, *options, url], check=True, capture_output=True, timeout=20).stdout)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_response_is_that_of_the_example_in_rfc_7616(algorithm: str, response: str):
    request = Request(
        number=1, connection=1, peer="", method="GET", target="/dir/index.html", version="HTTP/1.1", headers=()
    )
    shown = {
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    assert digest_response(request, LOGIN, shown, algorithm=algorithm) == response


def test_basic_lets_in_the_right_password_only():
    with FaultServer({"/a": FileSpec(size=10, faults=(basic_auth(LOGIN),))}) as server:
        assert curl(server.url("/a")) == 401
        assert curl(server.url("/a"), "--user", "Mufasa:wrong") == 401
        assert curl(server.url("/a"), "--user", "Mufasa:Circle of Life") == 200


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["auth", None])
def test_digest_lets_in_the_right_password_only(algorithm, qop):
    spec = FileSpec(size=10, faults=(digest_auth(LOGIN, algorithm=algorithm, qop=qop),))
    with FaultServer({"/a": spec}) as server:
        assert curl(server.url("/a"), "--digest", "--user", "Mufasa:Circle of Life") == 200
        assert curl(server.url("/a"), "--digest", "--user", "Mufasa:wrong") == 401
        assert curl(server.url("/a"), "--user", "Mufasa:Circle of Life") == 401


def test_a_nonce_grows_stale():
    with FaultServer({"/a": FileSpec(size=10, faults=(digest_auth(LOGIN, nonce_lasts=2),))}) as server:
        assert curl(server.url("/a?1"), "--digest", "--user", "Mufasa:Circle of Life") == 200
        # One curl, two files: the nonce of the first is shown for the second, and refused as stale.
        second = ["--digest", "--user", "Mufasa:Circle of Life", server.url("/a?2"), "--output", "/dev/null"]
        assert curl(server.url("/a?3"), *second) == 200200
        assert [each.status for each in server.exchanges_for("/a")] == [401, 200, 401, 200, 401, 200]
