"""URIs: what is taken, what is hidden of them, and which of them are the same."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.uris import (
    HIDDEN_QUERY,
    MAX_URI_LENGTH,
    Origin,
    beginning_of,
    has_secret_query,
    identity,
    origin_of,
    plain_parts,
    shown,
    split_uri,
)

SCHEMES = frozenset({"http", "https", "ftp", "ftps"})
KEY = b"a random key of this user"
SENTINEL = "S3NTINEL"


def same(one, other, **facts):
    return identity(KEY, one, **facts) == identity(KEY, other, **facts)


@pytest.mark.parametrize(
    "other",
    [
        "http://a.example:80/b/c",
        "http://a.example:0080/b/c",
        "HTTP://A.EXAMPLE/b/c",
        "http://a.example./b/c",
        "http://a.example/%62/c",
        "http://a.example/x/../b/c",
        "http://a.example/b/./c",
        "http://a.example/b/c#part",
        "http://a.example/b/c?",
        "http://user:password@a.example/b/c",
        "http://user@a.example/b/c",
    ],
)
def test_another_spelling_is_the_same_request(other):
    """M7: whoever writes the port out does not get a second download."""
    assert same("http://a.example/b/c", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://BÜCHER.example", "http://bücher.example/"),
        ("http://a.example/ü", "http://a.example/%c3%bc"),
        ("http://a.example/%7ex", "http://a.example/~x"),
        ("http://a.example/x?a=%41", "http://a.example/x?a=A"),
        ("http://[::1]:80/", "http://[0:0:0:0:0:0:0:1]/"),
        ("https://a.example:443/", "https://a.example/"),
        ("ftp://a.example:21/x", "ftp://a.example/x"),
    ],
)
def test_two_spellings_of_one_uri(one, other):
    assert same(one, other)


@pytest.mark.parametrize(
    "other",
    [
        "https://a.example/b/c",
        "http://a.example:8080/b/c",
        "http://b.example/b/c",
        "http://a.example/b/C",
        "http://a.example/b/c/",
        "http://a.example/b//c",
        "http://a.example/b%2Fc",
        "http://a.example/b/c?d",
    ],
)
def test_another_uri_is_another_request(other):
    assert not same("http://a.example/b/c", other)


def test_the_order_of_a_query_and_its_encoding_of_spaces_matter():
    assert not same("http://a.example/?a=1&b=2", "http://a.example/?b=2&a=1")
    assert not same("http://a.example/?a=1+1", "http://a.example/?a=1%201")


def test_method_and_body_belong_to_the_identity():
    """M8."""
    uri = "http://a.example/"
    assert identity(KEY, uri) == identity(KEY, uri, method="get")
    assert identity(KEY, uri) != identity(KEY, uri, method="POST")
    assert identity(KEY, uri, method="POST") != identity(KEY, uri, method="POST", body_digest="ab")


def test_the_identity_tells_nothing_without_the_key():
    uri = f"http://a.example/?token={SENTINEL}"
    assert SENTINEL not in identity(KEY, uri)
    assert identity(KEY, uri) != identity(b"another", uri)
    assert len(identity(KEY, uri)) == 64


@pytest.mark.parametrize("key", [b"", b"k" * 32, b"k" * 64, b"k" * 65])
def test_an_identity_is_the_hmac_that_state_files_hold(key):
    message = b"GET\0http://host.example\0/a\0\0"
    assert identity(key, "http://host.example/a") == hmac.digest(key, message, "sha256").hex()


@given(
    host=st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True),
    path=st.lists(st.text("abc%ü ~.-_=+;,", max_size=5), max_size=4),
    query=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=5), max_size=3),
)
def test_what_is_shown_and_stored_is_the_same_request(host, path, query):
    """After a restart the operation must be recognised by what the state file kept of it."""
    uri = str(URL.build(scheme="http", host=host, path="/" + "/".join(path), query=query))
    split = split_uri(uri, SCHEMES)
    assert same(split.full, uri)
    assert split_uri(split.full, SCHEMES) == split


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "x",
        "a/b",
        "//a.example/b",
        "http:a.example",
        "http://",
        "http:///x",
        "http://?x",
        "http://@/",
        "http://a.example:99999/",
        "http://a.example:0/",
        "http://a.example:-1/",
        "http://a.example:x/",
        "http://[::1",
        "http://[::g]/",
        "http://[::1]:80@/",
        "http://\u202ea.example/",
        "http://a\ud800.example/",
        "http://a.example/\ud800",
        "http://a%00b/",
        "http://a%0d%0ab/",
        " http://a.example/",
        "http://a.example/ b",
        "http://a.example/\n",
        "http://a.example/\x00",
        "http://a.example/\x7f",
        "http://a.example\\@b.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/plain,x",
        "mailto:a@b.example",
        "gopher://a.example/",
        "http://a.example/" + "x" * 100_000,
        f"http://a.example/x{HIDDEN_QUERY}",
        b"http://a.example/",
        None,
        5,
        URL("http://a.example/"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_cannot_be_fetched_is_refused_when_it_is_given(bad):
    """U6: before anything is stored, and as a `ValueError`."""
    with pytest.raises(InvalidRequest) as caught:
        split_uri(bad, SCHEMES)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "bad",
    [
        f"http://user:{SENTINEL}@a.example:99999/",
        f"http://user:{SENTINEL}@[::1/",
        f"http://a.example/ ?token={SENTINEL}",
        f"http://user:{SENTINEL}@a.example/\n",
        f"nope://user:{SENTINEL}@a.example/?key={SENTINEL}",
        f"http://user:{SENTINEL}@/x",
    ],
)
def test_a_refusal_shows_no_secret(bad):
    with pytest.raises(InvalidRequest) as caught:
        split_uri(bad, SCHEMES)
    assert SENTINEL not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_longest_uri_is_taken():
    uri = "http://a.example/".ljust(MAX_URI_LENGTH, "x")
    assert split_uri(uri, SCHEMES).public == uri


@pytest.mark.parametrize(
    "uri", ["http://[fe80::1%25eth0]/x", "http://127.1/", "http://localhost/", "ftps://a.example/"]
)
def test_unusual_hosts_are_the_users_right(uri):
    assert split_uri(uri, SCHEMES).public


def test_only_schemes_with_a_transport_are_taken():
    with pytest.raises(InvalidRequest, match=r"No transport for the scheme 'ftp'; there is one for http, https\."):
        split_uri("ftp://a.example/x", frozenset({"https", "http"}))


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "sig",
        "signature",
        "key",
        "api_key",
        "apikey",
        "X-Amz-Signature",
        "x-goog-credential",
        "se",
        "sp",
        "sv",
        "%74oken",
        "client_secret",
        "password",
        "hmac",
    ],
)
@pytest.mark.parametrize("shape", ["{}=S3NTINEL", "page=2&{}=S3NTINEL", "page=2;{}=S3NTINEL"])
def test_a_query_that_signs_is_hidden_as_a_whole(name, shape):
    uri = "https://a.example/x?" + shape.format(name)
    split = split_uri(uri, SCHEMES)
    assert split.public == "https://a.example/x?…"
    assert same(split.full, uri)
    assert SENTINEL in split.full
    assert SENTINEL not in repr(split)
    assert shown(uri) == "https://a.example/x?…"


@pytest.mark.parametrize("query", ["page=2", "q=token", "monkey=1", "format=key", "q=a%26token=1"])
def test_a_query_that_signs_nothing_is_shown(query):
    assert not has_secret_query(query)
    assert split_uri(f"https://a.example/x?{query}", SCHEMES).query is None


def test_a_query_is_hidden_when_the_user_says_so():
    split = split_uri(f"https://a.example/x?page={SENTINEL}", SCHEMES, sensitive_query=True)
    assert split.public == "https://a.example/x?…"
    assert split.full == f"https://a.example/x?page={SENTINEL}"


def test_user_information_is_a_credential_and_not_part_of_the_uri():
    split = split_uri(f"ftp://anna:{SENTINEL}@a.example/x", SCHEMES)
    assert split.public == split.full == "ftp://a.example/x"
    assert split.user_info is not None
    assert split.user_info.reveal() == f"anna:{SENTINEL}"
    assert SENTINEL not in repr(split)
    assert [each.reveal() for each in split.secrets] == [f"anna:{SENTINEL}"]


@pytest.mark.parametrize(
    ("uri", "user_info"),
    [
        ("ftp://anna@a.example/", "anna:"),
        ("ftp://:pass@a.example/", ":pass"),
        ("ftp://a%40b:p%3Aq%2F@a.example/", "a%40b:p%3Aq%2F"),
        ("ftp://a.example/", None),
    ],
)
def test_user_information_is_kept_as_it_was_encoded(uri, user_info):
    """F13: it is decoded once, where the request is made."""
    split = split_uri(uri, SCHEMES)
    assert (split.user_info.reveal() if split.user_info else None) == user_info


def test_a_hidden_query_that_was_lost_is_missed():
    split = split_uri("https://a.example/x?token=1", SCHEMES)
    assert not split.misses_query
    assert type(split)(split.public).misses_query
    assert not split_uri("https://a.example/x", SCHEMES).misses_query


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"http://u:{SENTINEL}@a.example/x?page=2#top", "http://a.example/x?page=2"),
        (f"/x?token={SENTINEL}", "/x?…"),
        (f"//u:{SENTINEL}@a.example/", "//a.example/"),
        (f"http://u:{SENTINEL}@[::1", "(unreadable URI)"),
        ("x", "x"),
    ],
)
def test_whatever_a_server_calls_a_uri_is_shown_without_its_secrets(uri, expected):
    assert shown(uri) == expected


@given(st.text())
def test_anything_can_be_shown(text):
    assert isinstance(shown(text), str)


@given(st.text() | st.builds("http://{}".format, st.text()))
def test_any_text_is_a_uri_or_refused(text):
    try:
        split = split_uri(text, SCHEMES)
    except InvalidRequest:
        return
    assert URL(split.full).raw_host
    identity(KEY, text)


@pytest.mark.parametrize(
    ("uri", "origin", "text"),
    [
        ("http://A.example./x", Origin("http", "a.example", 80), "http://a.example"),
        ("https://a.example:8443/", Origin("https", "a.example", 8443), "https://a.example:8443"),
        ("http://[::1]/", Origin("http", "::1", 80), "http://[::1]"),
        ("http://[::1]:81/", Origin("http", "::1", 81), "http://[::1]:81"),
        ("ftp://a.example/", Origin("ftp", "a.example", 21), "ftp://a.example"),
        ("ftps://a.example/", Origin("ftps", "a.example", 21), "ftps://a.example"),
        ("http://bücher.example/", Origin("http", "xn--bcher-kva.example", 80), "http://xn--bcher-kva.example"),
    ],
)
def test_a_credential_belongs_to_scheme_host_and_port(uri, origin, text):
    assert origin_of(uri) == origin_of(URL(uri)) == origin_of(beginning_of(uri)) == origin
    assert str(origin) == text


HOSTS = st.sampled_from(["a.example", "127.0.0.1", "A.example", "a.example.", "a%2e.example", "-"])
PORTS = st.sampled_from(["", ":80", ":443", ":8080", ":0", ":99999", ":008"])
PATHS = st.text("ab0.~_-/%2", max_size=12)
QUERIES = st.sampled_from(["", "?", "?a=1", "?token=x", "#part"])


@given(st.sampled_from(["http", "https", "HTTP", "gopher"]), HOSTS, PORTS, PATHS, QUERIES)
def test_a_plain_uri_is_taken_as_any_other(scheme, host, port, path, query):
    """What is found to need no parsing says the same as what is parsed."""
    uri = f"{scheme}://{host}{port}/{path}{query}"
    parts = plain_parts(uri, SCHEMES)
    if parts is None:
        return
    assert "".join(parts) == str(URL(uri)) == uri
    assert split_uri(uri, SCHEMES).full == uri
    spelled = f"{uri}#part"  # which is parsed
    assert plain_parts(spelled, SCHEMES) is None
    assert split_uri(spelled, SCHEMES).full == uri
    assert same(uri, spelled)


def test_what_most_uris_are_is_plain():
    assert plain_parts("https://data.example:8443/sets/part-0001.tar.gz", SCHEMES) is not None
    assert plain_parts("https://data.example:443/a", SCHEMES) is None
    assert plain_parts("https://data.example/a/../b", SCHEMES) is None
