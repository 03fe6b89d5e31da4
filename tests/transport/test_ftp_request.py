"""Paths and credentials: decoded once, and refused where they would break a command (F8, F13)."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.ftp_request import ANONYMOUS, credential_of, path_of
from tests.transport.ftp_sinks import request_for


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("ftp://h/a/b.bin", "a/b.bin"),
        ("ftp://h/%2Fetc/motd", "/etc/motd"),
        ("ftp://h//etc/motd", "/etc/motd"),
        ("ftp://h/a%2520b", "a%20b"),
        ("ftp://h/a%20b", "a b"),
        ("ftp://h/a?b=c", "a?b=c"),
        ("ftp://h/a;type=i", "a"),
        ("ftp://h/%FF", "\udcff"),
    ],
)
def test_the_path_is_relative_to_the_login_and_decoded_once(uri: str, path: str):
    assert path_of(uri) == path


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://h/a%0d%0aDELE%20b",
        "ftp://h/a%0a",
        "ftp://h/a%00",
        "ftp://h/",
        "ftp://h",
        "ftp://h/a/",
        "ftp://h/a;type=a",
    ],
)
def test_a_path_that_cannot_be_sent_or_is_no_file_is_refused(uri: str):
    with pytest.raises(InvalidRequest):
        path_of(uri)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_path_can_end_a_command(name: str):
    try:
        path = path_of(f"ftp://h/{quote(name, safe='')}")
    except InvalidRequest:
        return
    assert not set(path) & set("\r\n\0")
    assert path == name or ";type=" in name


@pytest.mark.parametrize(
    ("userinfo", "user", "password"),
    [
        ("a%40b:c%3Ad%2Fe", "a@b", "c:d/e"),
        ("u:p%2541", "u", "p%41"),
        ("u", "u", ""),
    ],
)
def test_user_information_is_decoded_once(userinfo: str, user: str, password: str):
    credential = credential_of(request_for(f"ftp://{userinfo}@h/a"))
    assert (credential.user_name, credential.password.reveal()) == (user, password)


def test_user_information_goes_before_a_given_credential():
    given_one = Credential("other", Secret("other"))
    assert credential_of(request_for("ftp://u:p@h/a", credential=given_one)).user_name == "u"
    assert credential_of(request_for("ftp://h/a", credential=given_one)) is given_one


def test_nobody_is_anonymous():
    assert credential_of(request_for("ftp://h/a")) is ANONYMOUS


@pytest.mark.parametrize("userinfo", ["u%0d%0aDELE:p", "u:opensesame%0a", "u:opensesame%00"])
def test_a_login_that_would_break_a_command_is_refused_without_showing_it(userinfo: str):
    with pytest.raises(InvalidRequest) as caught:
        credential_of(request_for(f"ftp://{userinfo}@h/a"))
    assert "opensesame" not in str(caught.value)
