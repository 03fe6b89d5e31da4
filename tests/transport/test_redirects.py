from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import RedirectRefused
from bgdl_jupyter.transport.base import Safety
from bgdl_jupyter.transport.redirects import Hop, first_hop, next_hop
from bgdl_jupyter.uris import split_uri
from bgdl_jupyter.web_error_status import WebErrorStatus

SCHEMES = frozenset({"http", "https"})
HOME = "https://files.test/dir/a?x=1"


def start(uri: str = HOME, *, method: str = "GET", sensitive: bool = False) -> Hop:
    split = split_uri(uri, SCHEMES, sensitive_query=sensitive)
    return first_hop(split, method, has_body=method != "GET")


def follow(
    location: str | None,
    *,
    hop: Hop | None = None,
    home: Hop | None = None,
    status: int = 302,
    is_public: bool = True,
    **allowed: bool,
) -> Hop:
    hop = hop or start()
    home = home or hop
    return next_hop(hop, status, location, home=home.origin, safety=Safety(**allowed), is_public=is_public)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("b", "https://files.test/dir/b"),
        ("/b?c=%2B%7e", "https://files.test/b?c=%2B%7e"),
        ("//other.test/b", "https://other.test/b"),
        ("HTTPS://Other.Test:443/b#part", "https://other.test/b"),
        ("https://user:hunter2@other.test/b", "https://other.test/b"),
        ("?y=2", "https://files.test/dir/a?y=2"),
        ("/na\u00efve file", "https://files.test/na%C3%AFve%20file"),
    ],
)
def test_a_location_is_resolved_without_user_information_and_fragment(location, url):
    assert str(follow(location).url) == url


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "  ",
        "https://",
        "https:///b",
        "https://host:99999/",
        "https://host:0/",
        "https://[::1/",
        "https://[::1]:80@/",
        "a\x00b",
        "a\\b",
        "/" + "a" * 9000,
    ],
)
def test_a_location_that_is_none_is_refused(location):
    with pytest.raises(RedirectRefused) as caught:
        follow(location)
    assert caught.value.web_error_status is WebErrorStatus.REDIRECT_FAILED


@pytest.mark.parametrize("scheme", ["file", "ftp", "unix", "data", "javascript", "gopher"])
def test_another_scheme_is_refused_by_name_and_without_the_rest(scheme):
    with pytest.raises(RedirectRefused) as caught:
        follow(f"{scheme}:hunter2")
    assert scheme in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_https_is_not_left_for_http():
    with pytest.raises(RedirectRefused) as caught:
        follow("http://files.test/a")
    assert caught.value.web_error_status is WebErrorStatus.HTTPS_TO_HTTP_ON_REDIRECTION


def test_https_is_left_for_http_where_the_user_allows_it():
    assert follow("http://files.test/a", allow_insecure_redirect=True).url.scheme == "http"


@pytest.mark.parametrize("location", ["https://files.test:8443/a", "https://other.test/a", "https://a.files.test/"])
def test_another_port_or_host_is_not_home(location):
    assert not follow(location).is_home


def test_the_way_back_leads_home():
    home = start()
    away = follow("https://other.test/a", hop=home)
    assert follow("https://FILES.test:443/b", hop=away, home=home).is_home


def test_the_public_may_not_send_us_into_a_private_network():
    assert follow("/b").refuses_private
    assert not follow("/b", is_public=False).refuses_private
    assert not follow("/b", allow_private_redirect=True).refuses_private


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_the_status_says_what_becomes_of_a_post(status, method):
    hop = follow("/b", hop=start(method="POST"), status=status)
    assert (hop.method, hop.has_body) == (method, method == "POST")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_put_stays_one(status):
    assert follow("/b", hop=start(method="PUT"), status=status).method == "PUT"


def test_a_body_is_not_taken_to_another_origin():
    with pytest.raises(RedirectRefused, match=r"https://other\.test"):
        follow("https://other.test/b", hop=start(method="POST"), status=307)


def test_a_body_is_taken_to_another_origin_where_the_user_allows_it():
    assert follow("https://other.test/b", hop=start(method="POST"), status=307, allow_body_redirect=True).has_body


def test_signed_targets_are_shown_without_their_query():
    assert "hunter2" not in follow("https://cdn.test/b?X-Amz-Signature=hunter2").shown


def test_where_the_users_query_is_a_secret_every_later_one_is():
    hop = start("https://files.test/a?plain=hunter2", sensitive=True)
    assert "hunter2" not in follow("/b?plain=hunter2", hop=hop).shown
    assert follow("/b?plain=hunter2", hop=hop).url.query["plain"] == "hunter2"


@given(st.text())
def test_no_text_does_more_than_be_refused(text):
    try:
        hop = follow(text)
    except RedirectRefused:
        return
    assert hop.url.scheme == "https"
    assert hop.url.raw_user is None
