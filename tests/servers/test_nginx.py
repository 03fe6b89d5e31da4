"""The real nginx serves, limits and tells what it was asked."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.servers.content import Pattern, read
from tests.servers.raw_client import fetch

if TYPE_CHECKING:
    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartNginx


def test_it_serves_ranges_over_http_and_https_and_logs_them(nginx: StartNginx, authority: Authority):
    server = nginx()
    content = Pattern(100_000)
    server.put("folder/a.bin", content)
    assert fetch(server.url("/folder/a.bin")).body == read(content)
    part = fetch(server.https_url("/folder/a.bin"), "Range: bytes=5-9", tls=authority.client())
    assert (part.status, part.body) == (206, read(content, 5, 10))
    first, second = server.wait_for_log(lambda log: len(log) == 2)
    assert (first.target, first.status, first.range, first.body_bytes_sent) == ("/folder/a.bin", 200, None, 100_000)
    assert (second.status, second.range, second.body_bytes_sent) == (206, "bytes=5-9", 5)


def test_a_client_that_does_not_know_the_authority_refuses(nginx: StartNginx):
    server = nginx()
    server.put("a", b"x")
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(server.https_url("/a"), tls=ssl.create_default_context())


def test_a_new_version_has_another_etag_at_once(nginx: StartNginx):
    server = nginx()
    server.put("a", b"one")
    first = fetch(server.url("/a")).header("ETag")
    server.put("a", b"two")
    assert fetch(server.url("/a")).header("ETag") != first


def test_folders_are_not_listed(nginx: StartNginx):
    server = nginx()
    server.put("a", b"x")
    assert fetch(server.url("/")).status == 403


def test_a_sparse_file_is_as_long_as_it_says(nginx: StartNginx):
    server = nginx()
    path = server.put_sparse("big", 5 << 30)
    assert path.stat().st_blocks == 0
    answer = fetch(server.url("/big"), f"Range: bytes={1 << 32}-{(1 << 32) + 2}")
    assert (answer.header("Content-Range"), answer.body) == (f"bytes 4294967296-4294967298/{5 << 30}", b"\0\0\0")


def test_without_validators_there_is_no_etag(nginx: StartNginx):
    server = nginx(etag=False)
    server.put("a", b"x")
    assert fetch(server.url("/a")).header("ETag") is None


def test_it_is_idle_when_the_last_client_has_gone(nginx: StartNginx):
    server = nginx(rate=1000)
    server.put("a.bin", Pattern(1_000_000))
    server.wait_until_idle()
    with urlopen(server.url("/a.bin"), timeout=10) as answer:  # noqa: S310 (of this machine)
        answer.read(10)
        with pytest.raises(TimeoutError, match="no connections"):
            server.wait_until_idle(0.2)
    server.wait_until_idle()
    assert [line.target for line in server.log()] == ["/a.bin"]
