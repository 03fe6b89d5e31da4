from __future__ import annotations

import os
import re
import unicodedata
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.storage import filenames
from bgdl_jupyter.storage.filenames import (
    destination_key,
    name_from_uri,
    names_at_commit,
    safe_name,
    split_extension,
    unique_names,
)

NASTY = st.sampled_from("/\\.:\0\r\n %~-\u202e\u2066\ud800\udcff<>|?*\"'üé e\u0301CONnul1\u200b\ufeff\x7f\x85")
NAMES = st.one_of(st.text(), st.text(NASTY), st.text(max_size=3).map(lambda text: f"../{text}"))


@given(NAMES)
def test_no_suggested_name_leaves_its_folder(raw):
    folder = Path("/srv/downloads")
    path = Path(os.path.realpath(folder / safe_name(raw)))
    assert path.parent == folder


@given(NAMES)
def test_every_suggested_name_becomes_one_that_can_be_used_everywhere(raw):
    name = safe_name(raw)
    assert name.strip(". ") == name.rstrip(". ")
    assert 0 < len(name.encode("utf-8")) <= 200
    assert not set(name) & set('/\\:<>|?*"')
    assert all(unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"} for character in name)
    assert name.split(".")[0].strip().upper() not in {"CON", "NUL", "PRN", "AUX", "COM1", "LPT1"}


@given(NAMES)
def test_a_safe_name_is_safe_already(raw):
    assert safe_name(safe_name(raw)) == safe_name(raw)


@given(NAMES)
def test_a_safe_name_can_be_created(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "names"
    path.mkdir(exist_ok=True)
    (path / safe_name(raw)).write_bytes(b"")
    (path / safe_name(raw)).unlink()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("data.csv", "data.csv"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\x\\y.txt", "y.txt"),
        ("C:y.txt", "C_y.txt"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nb.txt", "ab.txt"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("nul .tar.gz", "_nul .tar.gz"),
        ("COM1", "_COM1"),
        ("console.txt", "console.txt"),
        (".", "download"),
        ("..", "download"),
        ("", "download"),
        ("   ", "download"),
        ("dir/", "download"),
        ("invoice\u202egnp.exe", "invoicegnp.exe"),
        ("%2e%2e%2fx", "%2e%2e%2fx"),
        (".bashrc", "_.bashrc"),
        ("-rf", "_-rf"),
        ("~root", "_~root"),
        ("a-b~c.txt", "a-b~c.txt"),
        ("x:ads", "x_ads"),
        ("<img src=x onerror=alert(1)>", "_img src=x onerror=alert(1)_"),
        ("name. . .", "name"),
        ("e\u0301.txt", "é.txt"),
        ("notebook.ipynb", "notebook.ipynb"),
    ],
)
def test_a_suggested_name_is_made_safe(raw, name):
    assert safe_name(raw) == name


def test_active_names_are_guarded_where_that_is_wanted():
    assert safe_name("run.DESKTOP", guards_active=True) == "_run.DESKTOP"
    assert safe_name("data.csv", guards_active=True) == "data.csv"


def test_a_long_name_keeps_its_extension():
    assert safe_name("x" * 10_000 + ".tar.gz") == "x" * 193 + ".tar.gz"
    assert safe_name("ü" * 128 + ".csv") == "ü" * 98 + ".csv"


def test_a_name_that_is_all_extension_is_cut():
    assert len(safe_name("a." + "b" * 10_000)) == 200


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://host/data/big.tar?x=/y#z", "big.tar"),
        ("https://host/a%20b.txt", "a b.txt"),
        ("https://host/a%252Fb", "a%2Fb"),
        ("https://host/x%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://host/..;/secret", "secret"),
        ("https://host/a%00.txt", "a.txt"),
        ("https://host/archive/", "archive"),
        ("https://host/", "download"),
        ("https://host", "download"),
        ("https://host?name=x", "download"),
        ("ftp://host/file.bin;type=i", "file.bin"),
        ("https://host/%ff.bin", "\ufffd.bin"),
        ("https://host/c/%2e%2e", "download"),
    ],
)
def test_a_uri_gives_the_last_component_of_its_path_decoded_once(uri, name):
    assert name_from_uri(uri) == name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.tar.gz", ("a", ".tar.gz")),
        ("a.csv", ("a", ".csv")),
        (".bashrc", (".bashrc", "")),
        ("README", ("README", "")),
        ("v1.2 final", ("v1.2 final", "")),
    ],
)
def test_an_extension_is_kept_whole(name, parts):
    assert split_extension(name) == parts


def test_names_beside_a_taken_one_are_numbered_before_the_extension():
    names = [path.name for path in islice(unique_names(Path("/d/a.tar.gz")), 3)]
    assert names == ["a.tar.gz", "a (1).tar.gz", "a (2).tar.gz"]


def test_ten_thousand_taken_names_are_not_asked_one_by_one():
    asked = []
    taken = {f"a ({number}).txt" for number in range(1, 10_001)} | {"a.txt"}

    def is_taken(path):
        asked.append(path)
        return path.name in taken

    names = unique_names(Path("/d/a.txt"), is_taken)
    assert next(names).name == "a.txt"
    assert next(names).name == "a (10001).txt"
    assert len(asked) < 40


def test_a_name_that_just_fits_still_fits_with_a_number():
    path = Path("/d") / ("ü" * 125 + ".bin")
    numbered = list(islice(unique_names(path), 12))[-1]
    assert numbered.name.endswith(" (11).bin")
    assert len(os.fsencode(numbered.name)) <= 255


def test_one_destination_has_one_key_whatever_leads_to_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    keys = {
        destination_key(tmp_path / folder / name)
        for folder in ("real", "link", "link/../real")
        for name in ("Straße é.bin", "STRASSE E\u0301.BIN")
    }
    assert len(keys) == 1


def test_a_link_and_its_target_are_two_destinations(tmp_path):
    """A link is replaced itself, what it leads to is not touched."""
    (tmp_path / "link").symlink_to("target")
    assert destination_key(tmp_path / "link") != destination_key(tmp_path / "target")


def test_a_name_that_is_not_utf_8_has_a_key_that_is(tmp_path):
    destination_key(tmp_path / os.fsdecode(b"\xff.bin")).encode("utf-8")


@pytest.mark.parametrize("raw", ["a.tar.gz", "part-0001", "CON", "com1.txt", "a.", ".a", "a b", "x" * 300, "a.py"])
@pytest.mark.parametrize("guards_active", [False, True])
def test_a_plain_name_is_what_a_thorough_look_makes_of_it(monkeypatch, raw, guards_active):
    quick = safe_name(raw, guards_active=guards_active)
    monkeypatch.setattr(filenames, "_PLAIN_NAME", re.compile("(?!)"))
    assert safe_name(raw, guards_active=guards_active) == quick


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("file.bin", [], ["file.bin", "file (1).bin"]),
        ("file (1).bin", ["file.bin", "file (1).bin"], ["file (1).bin", "file (2).bin", "file (3).bin"]),
        ("file (1).bin", ["file (1).bin"], ["file (1).bin", "file (1) (1).bin"]),
        ("report (2021).pdf", ["report.pdf", "report (2021).pdf"], ["report (2021).pdf", "report (2021) (1).pdf"]),
    ],
)
def test_a_name_that_was_numbered_goes_on_counting_at_the_commit(name: str, there: list[str], expected: list[str]):
    names = names_at_commit(Path(name), lambda path: path.name in there)
    assert [each.name for each in islice(names, len(expected))] == expected
