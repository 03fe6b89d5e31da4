"""A secret is shown to nobody: not in a repr, a format, a log, a traceback, a pickle or a copy."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.secret import MASK, Credential, Secret, is_secret_header, redact

SENTINEL = "S3NTINEL"


@dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        "{}".format,
        lambda secret: f"{secret!r:>20}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 (as loggers do)
        lambda secret: repr([secret]),
        lambda secret: repr({"a": secret}),
        lambda secret: repr(Holder(secret)),
        lambda secret: repr(Credential("anna", secret)),
        ascii,
    ],
)
def test_no_way_of_writing_it_shows_it(show):
    text = show(Secret(SENTINEL))
    assert SENTINEL not in text
    assert MASK in text


def test_only_revealing_reveals():
    assert Secret(SENTINEL).reveal() == SENTINEL


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol):
    with pytest.raises(TypeError, match="a secret cannot be pickled"):
        pickle.dumps(Secret(SENTINEL), protocol)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_it_is_not_copied(make):
    with pytest.raises(TypeError, match="a secret cannot be"):
        make(Secret(SENTINEL))


def test_it_is_not_written_as_json():
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"a": Secret(SENTINEL)})


def test_it_has_no_attributes_to_look_through():
    secret = Secret(SENTINEL)
    with pytest.raises(TypeError, match="__dict__"):
        vars(secret)
    with pytest.raises(AttributeError):
        secret.other = 1  # type: ignore[attr-defined]  # that there is no such attribute is the claim


def test_a_traceback_with_locals_does_not_show_it():
    def fail(secret):
        raise RuntimeError(f"It failed with {secret}.")

    with pytest.raises(RuntimeError) as caught:
        fail(Secret(SENTINEL))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SENTINEL not in "".join(told.format()).replace(f'Secret("{SENTINEL}")', "")


def test_a_log_does_not_show_it(caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("with %s and %r", Secret(SENTINEL), Credential("anna", Secret(SENTINEL)))
    assert SENTINEL not in caplog.text


@given(st.text(), st.text())
def test_secrets_are_equal_when_their_texts_are(one, other):
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one


def test_half_characters_are_compared_too():
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("x")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "Proxy-Authorization",
        "Cookie",
        "X-Api-Key",
        "X-Dataverse-key",
        "X-JFrog-Art-Api",
        "X-Registry-Auth",
        "X-Key",
        "x-goog-encryption-key",
        "X-Pass",
        "X-API-KEY",
        "api-key",
        "apikey",
        "X-Goog-Api-Key",
        "X-Auth-Token",
        "X-Auth-User",
        "Private-Token",
        "X-Amz-Security-Token",
        "Ocp-Apim-Subscription-Key",
        "x-functions-key",
        "X-Client-Secret",
        "X-CSRF-Token",
        "X-Session-Id",
        "X-Hub-Signature",
    ],
)
def test_a_header_that_authorises_is_a_secret(name):
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name", ["Accept", "User-Agent", "Referer", "X-Request-Id", "Cache-Control", "If-Match", "Idempotency-Key", ""]
)
def test_an_ordinary_header_is_none(name):
    assert not is_secret_header(name)


def test_what_is_shown_is_without_the_secrets_in_it():
    text = f"401 for anna with {SENTINEL}, twice {SENTINEL}"
    assert redact(text, [Secret(SENTINEL)]) == f"401 for anna with {MASK}, twice {MASK}"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (f"anna:{SENTINEL}", f"wrong password {SENTINEL}"),
        ("anna:pass", "wrong: pass"),
        (f"token={SENTINEL}&page=2", f"no such token: {SENTINEL}"),
        (f"Bearer {SENTINEL}", f"invalid bearer {SENTINEL}"),
        ("p%40ss%3Aword", "wrong: p@ss:word"),
        ("p@ss:word", "wrong: p%40ss%3Aword"),
    ],
)
def test_a_part_of_a_secret_is_one_too(secret, text):
    """A server that refuses a password may say which one."""
    shown = redact(text, [Secret(secret)])
    assert MASK in shown
    for part in (SENTINEL, "pass", "word", "p@ss", "p%40ss"):
        assert part not in shown.replace("password", "")


def test_the_longer_secret_is_masked_first():
    assert redact("abcdefgh", [Secret("abcd"), Secret("abcdefgh")]) == MASK


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_very_short_secret_does_not_mask_words(short):
    assert redact("abc a b c", [Secret(short)]) == "abc a b c"


@given(st.text(), st.lists(st.text(min_size=4), max_size=4))
def test_no_secret_of_four_characters_or_more_is_left(text, values):
    secrets = [Secret(value) for value in values]
    shown = redact("".join([text, *values]), secrets)
    for value in values:
        assert value not in shown.replace(MASK, "\0")
