from __future__ import annotations

import pytest

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.uris import Origin, origin_of

PROXY = "http://proxy.test:3128"


def proxy_for(uri: str, **environment: str) -> str | None:
    server = EnvironmentProxies.of(environment).proxy_for(origin_of(uri))
    return server.uri.public.rstrip("/") if server else None


def test_without_a_word_in_the_environment_there_is_no_proxy():
    assert proxy_for("http://files.test/") is None


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_each_variable_is_heard(name):
    assert proxy_for("http://files.test/", **{name: PROXY}) == PROXY


def test_each_scheme_has_its_own():
    assert proxy_for("https://files.test/", http_proxy=PROXY) is None
    assert proxy_for("https://files.test/", https_proxy=PROXY, all_proxy="http://other.test") == PROXY


def test_lower_case_wins():
    assert proxy_for("http://files.test/", http_proxy=PROXY, HTTP_PROXY="http://other.test") == PROXY
    assert proxy_for("http://files.test/", http_proxy="", HTTP_PROXY=PROXY) is None


def test_a_proxy_may_be_named_without_a_scheme():
    assert proxy_for("http://files.test/", http_proxy="proxy.test:3128") == PROXY


def test_a_client_of_a_cgi_program_cannot_name_the_proxy():
    assert proxy_for("http://files.test/", HTTP_PROXY=PROXY, REQUEST_METHOD="GET") is None


@pytest.mark.parametrize(
    ("pattern", "uri"),
    [
        ("*", "http://files.test/"),
        ("files.test", "http://files.test/"),
        ("FILES.test", "http://files.test/"),
        (".test", "http://files.test/"),
        ("*.test", "http://files.test/"),
        ("a.test, files.test", "http://files.test/"),
        ("files.test", "http://sub.files.test/"),
        ("files.test:80", "http://files.test/"),
        ("10.0.0.0/8", "http://10.1.2.3/"),
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("::1", "http://[::1]/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ],
)
def test_exceptions_are_spoken_to_directly(pattern, uri):
    assert proxy_for(uri, all_proxy=PROXY, no_proxy=pattern) is None


@pytest.mark.parametrize(
    ("pattern", "uri"),
    [
        ("files.test", "http://notfiles.test/"),
        ("files.test:8080", "http://files.test/"),
        ("10.0.0.0/8", "http://11.0.0.1/"),
        ("1", "http://10.0.0.1/"),
        (".", "http://files.test/"),
        ("", "http://files.test/"),
        ("10.0.0.0/99", "http://10.0.0.1/"),
    ],
)
def test_nothing_else_is(pattern, uri):
    assert proxy_for(uri, all_proxy=PROXY, no_proxy=pattern) == PROXY


@pytest.mark.parametrize("value", ["socks5://user:hunter2@proxy.test", "http://user:hunter2@pro xy.test"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(value):
    with pytest.raises(InvalidRequest) as caught:
        EnvironmentProxies.of({"http_proxy": value})
    assert "hunter2" not in str(caught.value)


def test_the_user_of_a_proxy_is_kept_apart():
    server = EnvironmentProxies.of({"http_proxy": "http://user:hunter2@proxy.test"}).proxy_for(
        Origin("http", "files.test", 80)
    )
    assert server is not None
    assert "hunter2" not in repr(server)
    assert server.uri.user_info is not None
