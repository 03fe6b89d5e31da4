from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.authentication import (
    Authenticator,
    Challenge,
    DigestSession,
    basic,
    best_digest,
    parse_challenges,
)
from bgdl_jupyter.uris import Origin

PLACE = Origin("https", "files.test", 443)
CREDENTIAL = Credential("Mufasa", Secret("Circle of Life"))
# The example of RFC 7616 3.9.1.
RFC = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RFC_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def digest_of(algorithm: str) -> Challenge:
    [challenge] = parse_challenges([RFC.format(algorithm)])
    return challenge


class TestParsing:
    def test_several_challenges_in_one_line_are_told_apart(self):
        found = parse_challenges(['Negotiate abc==, Basic realm="a, b=c", Digest realm="x", nonce=n'])
        assert [each.scheme for each in found] == ["negotiate", "basic", "digest"]
        assert found[1].parameters == {"realm": "a, b=c"}
        assert found[2].parameters == {"realm": "x", "nonce": "n"}

    def test_several_lines_are_one_list(self):
        assert [each.scheme for each in parse_challenges(["Basic realm=a", "Digest realm=b"])] == ["basic", "digest"]

    def test_quotes_in_a_realm_are_taken_off(self):
        [challenge] = parse_challenges([r'Basic realm="say \"hi\" \\"'])
        assert challenge.parameters["realm"] == r'say "hi" \ '.strip()

    def test_a_huge_challenge_is_not_looked_at(self):
        assert parse_challenges(["Basic realm=" + "a" * 10_000]) == []

    @given(st.lists(st.text()))
    def test_no_text_raises(self, values):
        parse_challenges(values)


class TestDigest:
    @pytest.mark.parametrize(
        ("algorithm", "response"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_the_examples_of_the_rfc_come_out(self, algorithm, response):
        answer = DigestSession(digest_of(algorithm), CREDENTIAL).answer(
            "GET", "/dir/index.html", client_nonce=RFC_NONCE
        )
        assert f'response="{response}"' in answer
        assert "nc=00000001" in answer
        assert 'opaque="FQhe/' in answer

    def test_the_strongest_algorithm_is_taken(self):
        found = best_digest([digest_of("MD5"), digest_of("SHA-256")], has_body=False)
        assert found is not None
        assert found.parameters["algorithm"] == "SHA-256"

    @pytest.mark.parametrize(
        "line",
        [
            'Digest realm="a"',
            'Digest nonce="n"',
            'Digest realm="a", nonce=""',
            'Digest realm="a", nonce="n", qop="token"',
            'Digest realm="a", nonce="n", algorithm=SHA-1024',
            'Basic realm="a"',
        ],
    )
    def test_what_cannot_be_answered_is_not(self, line):
        assert best_digest(parse_challenges([line]), has_body=False) is None

    def test_protection_of_the_body_is_answered_only_without_one(self):
        challenges = parse_challenges(['Digest realm="a", nonce="n", qop="auth-int"'])
        assert best_digest(challenges, has_body=True) is None
        assert best_digest(challenges, has_body=False) is not None

    def test_quotes_in_what_the_server_says_cannot_add_fields(self):
        [challenge] = parse_challenges([r'Digest realm="a\", uri=\"/evil", nonce="n"'])
        assert r'realm="a\", uri=\"/evil"' in DigestSession(challenge, CREDENTIAL).answer("GET", "/")

    def test_a_name_that_is_not_ascii_is_encoded(self):
        answer = DigestSession(digest_of("MD5"), Credential("Jäsøn", Secret("x"))).answer("GET", "/")
        assert "username*=UTF-8''J%C3%A4s%C3%B8n" in answer


class TestBasic:
    def test_name_and_password_are_sent_as_utf_8(self):
        assert basic(Credential("test", Secret("123£"))) == "Basic dGVzdDoxMjPCow=="

    def test_a_name_with_a_colon_cannot_be_sent(self):
        assert basic(Credential("a:b", Secret("c"))) is None


class TestAuthenticator:
    def ask(self, authenticator: Authenticator, line: str, *, may_send_basic: bool = True) -> str | None:
        return authenticator.answer(
            parse_challenges([line]),
            PLACE,
            CREDENTIAL,
            method="GET",
            target="/",
            has_body=False,
            may_send_basic=may_send_basic,
        )

    def open(self, authenticator: Authenticator, *, place: Origin = PLACE, may_send_basic: bool = False) -> str | None:
        return authenticator.opening(place, CREDENTIAL, method="GET", target="/", may_send_basic=may_send_basic)

    def test_digest_is_preferred_to_basic(self):
        answer = self.ask(Authenticator(), 'Basic realm="a", ' + RFC.format("MD5"))
        assert answer is not None
        assert answer.startswith("Digest ")

    def test_basic_is_not_sent_where_it_may_not_be(self):
        assert self.ask(Authenticator(), "Basic realm=a", may_send_basic=False) is None

    def test_a_nonce_is_used_again_and_counted(self):
        authenticator = Authenticator()
        self.ask(authenticator, RFC.format("SHA-256"))
        again = self.open(authenticator)
        assert again is not None
        assert "nc=00000002" in again

    def test_a_nonce_is_not_used_for_another_origin(self):
        authenticator = Authenticator()
        self.ask(authenticator, RFC.format("SHA-256"))
        assert self.open(authenticator, place=PLACE._replace(port=444)) is None

    def test_the_nonces_of_many_places_do_not_pile_up(self):
        authenticator = Authenticator()
        for port in range(1, 1000):
            authenticator.answer(
                [digest_of("MD5")],
                PLACE._replace(port=port),
                CREDENTIAL,
                method="GET",
                target="/",
                has_body=False,
                may_send_basic=True,
            )
        assert len(authenticator._sessions) <= 256
