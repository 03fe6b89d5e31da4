from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.transport.disposition import suggested_name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="a b.txt"', "a b.txt"),
        (r'attachment; filename="a\"b\\c.txt"', "c.txt"),
        ("inline; FILENAME = a.txt ; size=3", "a.txt"),
        ("attachment; filename*=UTF-8''na%C3%AFve%20file.txt", "naïve file.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("attachment; filename=plain.txt; filename*=utf-8''e%CC%81.txt", "e\u0301.txt"),
        ("attachment; filename*=utf-8''%FF.txt; filename=fallback.txt", "fallback.txt"),
        ("attachment; filename*=koi8-r''x.txt; filename=fallback.txt", "fallback.txt"),
        ("attachment; filename=first.txt; filename=second.txt", "first.txt"),
        ("filename=bare.txt", "bare.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        (r'attachment; filename="C:\\dir\\a.txt"', "a.txt"),
        ("attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename=%2e%2e%2fa.txt", "%2e%2e%2fa.txt"),
        ("attachment; filename=caf\udcc3\udca9.txt", "café.txt"),
        ("attachment; filename=caf\udce9.txt", "café.txt"),
    ],
)
def test_the_name_is_the_last_component_decoded_once(value, name):
    assert suggested_name(value) == name


@pytest.mark.parametrize("value", [None, "", "attachment", "attachment; filename=", 'attachment; filename="a/"', ";;;"])
def test_without_a_name_there_is_none(value):
    assert suggested_name(value) is None


@given(st.text())
def test_no_text_raises_and_no_name_has_a_separator(text):
    name = suggested_name("attachment; filename=" + text)
    assert name is None or not {"/", "\\"} & set(name)


@given(st.text(min_size=1).filter(lambda name: not {"/", "\\"} & set(name)))
def test_a_quoted_name_survives(name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8").decode("utf-8", "surrogateescape")
    assert suggested_name(f'attachment; filename="{escaped}"') == name
