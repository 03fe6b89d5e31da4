"""What each format says, line by line, and what is refused of it."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgdl_jupyter.errors import InvalidRequest, ManifestProblem
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.lines import MAX_LINE
from bgdl_jupyter.manifests.source import FORMATS, format_of_text, source_of

if TYPE_CHECKING:
    from pathlib import Path

SCHEMES = frozenset({"http", "https", "ftp", "ftps"})
SHA = "a" * 64
MD5 = "b" * 32
METALINK = '<metalink xmlns="urn:ietf:params:xml:ns:metalink">{}</metalink>'


def read(manifest: object, *, format: str | None = None, base_uri: str | None = None) -> list[Any]:  # noqa: A002 (the name of the option)
    """Return all entries and bad lines of a manifest; a text is its contents."""
    if isinstance(manifest, str):
        manifest = io.StringIO(manifest)
    return list(source_of(manifest, format=format, base_uri=base_uri, schemes=SCHEMES).read())


def said(entries: list[Any]) -> list[tuple[int, str]]:
    """Return the lines that are bad, and why."""
    return [(each.line, each.reason) for each in entries if isinstance(each, BadLine)]


def only(manifest: object, **how: Any) -> ManifestEntry:
    """Return the one entry of a manifest."""
    (entry,) = read(manifest, **how)
    assert isinstance(entry, ManifestEntry), entry
    return entry


# ------------------------------------------------------------------------------------------------------------------ CSV


def test_the_columns_of_a_csv_file_say_everything_about_a_download():
    entry = only(
        "URL,filename,SHA-256,md5,Headers,group,priority,mirrors,max_size,sensitive_query,title\n"
        f'http://x/a,d/a.bin,{SHA},{MD5},"{{""X-A"": ""1, 2""}}",g,high,http://y/a  ftp://z/a,10,yes,"of, mine"\n'
    )
    assert entry == ManifestEntry(
        line=2,
        uri="http://x/a",
        destination="d/a.bin",
        checksums=(f"md5:{MD5}", f"sha256:{SHA}"),
        mirrors=("http://y/a", "ftp://z/a"),
        options={
            "headers": {"X-A": "1, 2"},
            "group": "g",
            "priority": "high",
            "max_size": 10,
            "sensitive_query": True,
        },
    )


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_usual_separator_is_found_out_and_a_byte_order_mark_and_empty_cells_do_no_harm(separator: str):
    text = f"\ufeffname{separator}uri{separator}checksum\r\n\r\nx{separator}http://x/a{separator}\r\n"
    assert only(text) == ManifestEntry(line=3, uri="http://x/a")


def test_a_row_over_several_lines_is_known_by_its_first():
    entries = read('uri,headers\nhttp://x/1,"A: 1\nB: 2"\nhttp://x/2,"broken\n"\n')
    assert entries[0].options == {"headers": {"A": "1", "B": "2"}}
    assert said(entries) == [(4, "'headers' has lines 'Name: value', or is a JSON object")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",x", "it has no 'uri'"),
        ('"http://x/a"b,x', "the line is no CSV"),
        ("http://x/a,x,,many", "'max_size' is a number of bytes"),
        ("http://x/a,x,,-1", "'max_size' is a number of bytes"),
        ("http://x/a,x,,,perhaps", "'sensitive_query' is yes or no"),
        ('http://x/a,x,,,,"[1]"', "'mirrors' is a list of texts"),
        ('http://x/a,x,,,,"[http"', "the JSON of 'mirrors' cannot be read"),
        ("http://x/a,\udcff", "the line is not UTF-8"),
    ],
)
def test_a_bad_row_is_one_bad_line_and_the_others_are_read(row: str, reason: str):
    text = f"uri,destination,checksum,max_size,sensitive_query,mirrors\nhttp://x/1,a\n{row}\nhttp://x/2,b\n"
    entries = read(text.encode(errors="surrogateescape"))
    assert [each.uri for each in entries if isinstance(each, ManifestEntry)] == ["http://x/1", "http://x/2"]
    ((line, found),) = said(entries)
    assert line == 3
    assert found.startswith(reason)


def test_a_line_without_end_is_no_line_and_does_not_fill_the_memory():
    entries = read(b"uri\nhttp://x/1\nhttp://x/" + b"a" * (3 * MAX_LINE) + b"\nhttp://x/2\n")
    assert said(entries) == [(3, f"the line has more than {MAX_LINE:,} bytes")]
    assert len(entries) == 3


def test_a_row_over_lines_without_end_is_no_row_and_does_not_fill_the_memory():
    cells = '"a\n",' * (MAX_LINE // 2)
    entries = read(f'uri\nhttp://x/1\n{cells}"\nhttp://x/2\n')
    line, reason = said(entries)[0]
    assert line == 3
    assert reason == f"the line is no CSV: the row has more than {MAX_LINE:,} characters"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("uri,sha265", "the column 'sha265' is not known; is 'sha256' meant?"),
        ("uri,url", "two columns mean 'uri'; leave one out"),
        ("name,address", "no column of the first line is called 'uri'"),
        ("", "no column of the first line is called 'uri'"),
    ],
)
def test_a_header_that_does_not_mean_what_its_author_thinks_ends_it(header: str, reason: str):
    (bad,) = read(f"{header}\nhttp://x/a,{SHA}\n", format="csv")
    assert (bad.reason, bad.ends) == (reason, True)


# ----------------------------------------------------------------------------------------------------------- JSON lines


def test_json_lines_hold_objects_or_uris_and_blank_lines_count():
    entries = read(
        '{"uri": "http://x/a", "mirrors": ["http://y/a"], "headers": {"A": "1"}, "size": 7}\n\n"http://x/b"\n'
    )
    assert entries == [
        ManifestEntry(line=1, uri="http://x/a", mirrors=("http://y/a",), options={"headers": {"A": "1"}}),
        ManifestEntry(line=3, uri="http://x/b"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "the line is no JSON"),
        ('[{"uri": "http://x"}]', "the line is no JSON object"),
        ("[", "the line is no JSON; a JSON array is written as one object in each line"),
        ("[" * 100_000, "the line is no JSON; a JSON array is written as one object in each line"),
        ('{"uri": NaN}', "the line is no JSON"),
        ('{"uri": 7}', "'uri' is a text, not int"),
        ("{}", "it has no 'uri'"),
        ('{"uri": "http://x", "url": "http://x"}', "two fields mean 'uri'; leave one out"),
        ('{"uri": "http://x", "headers": {"A": 1}}', "'headers' is a mapping of names to texts"),
        ('{"uri": "http://x", "checksums": "x"}', "the column 'checksums' is not known; is 'checksum' meant?"),
    ],
)
def test_a_bad_line_of_json_says_why_and_not_what(line: str, reason: str):
    assert said(read(f'"http://x/1"\n{line}\n"http://x/2"\n', format="jsonl")) == [(2, reason)]


def test_what_a_file_may_not_decide_is_not_taken_from_it():
    """A hostile manifest must not have files of ours sent, replaced, or programs run."""
    entry = only(
        '{"uri": "http://x/a", "request_body_file": "/etc/passwd", "method": "POST", "collision": 1,'
        ' "application": "*", "post_process": "os:abort"}'
    )
    assert entry.options == {}


# ------------------------------------------------------------------------------------------------ Parquet, data frames


def test_parquet_is_read_in_batches_with_lists_and_maps(tmp_path: Path):
    table = pa.table(
        {
            "url": ["http://x/a", None, "http://x/c"],
            "mirrors": pa.array([["http://y/a"], None, []]),
            "headers": pa.array([[("A", "1")], None, None], pa.map_(pa.string(), pa.string())),
            "sha256": [SHA, SHA, None],
            "max_size": pa.array([7, None, None], pa.int64()),
            "picture": [b"\0" * 1000] * 3,
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    entries = read(tmp_path / "m.parquet")
    assert entries[0] == ManifestEntry(
        line=1,
        uri="http://x/a",
        mirrors=("http://y/a",),
        checksums=(f"sha256:{SHA}",),
        options={"headers": {"A": "1"}, "max_size": 7},
    )
    assert said(entries) == [(2, "it has no 'uri'")]
    assert entries[2] == ManifestEntry(line=3, uri="http://x/c")


@pytest.mark.parametrize("contents", [b"PAR1", b"PAR1" + b"\xff" * 1000 + b"PAR1"])
def test_a_damaged_parquet_file_is_one_problem(contents: bytes):
    (bad,) = read(contents)
    assert bad.reason.startswith("the file is no Parquet, or damaged")
    assert bad.ends


def test_a_data_frame_is_a_table_whose_empty_cells_are_nothing():
    frame = pd.DataFrame(
        {"uri": ["http://x/a", "http://x/b"], "sha256": [SHA, None], "max_size": [7.0, float("nan")], "year": [1, 2]}
    )
    assert read(frame) == [
        ManifestEntry(line=1, uri="http://x/a", checksums=(f"sha256:{SHA}",), options={"max_size": 7}),
        ManifestEntry(line=2, uri="http://x/b"),
    ]
    assert said(read(pd.DataFrame({"a": [1]}))) == [(1, "there is no column 'uri'; the first line names the columns")]


# ---------------------------------------------------------------------------------------------------------------- aria2


def test_an_input_file_of_aria2_has_mirrors_behind_tabs_and_options_below():
    entries = read(
        "# links\nhttp://x/a\thttp://y/a\n  out=b.bin\n\tdir=sub\n  checksum=sha-256="
        f"{SHA}\n  header=A: 1\n  header=B: x=2\n  split=5\n  referer=http://r/\nftp://z/c\n"
    )
    assert entries == [
        ManifestEntry(
            line=2,
            uri="http://x/a",
            mirrors=("http://y/a",),
            destination="sub/b.bin",
            checksums=(f"sha-256:{SHA}",),
            options={"headers": {"A": "1", "B": "x=2", "Referer": "http://r/"}},
        ),
        ManifestEntry(line=10, uri="ftp://z/c"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("  out=a\nhttp://x/a\n", 1, "an option comes before the first URI"),
        ("http://x/a\n  checksum=abc\n", 1, "the checksum is not written algorithm=hexadecimal"),
        ("http://x/a\n  header=abc\n", 1, "a header is written 'Name: value'"),
        ("http://x/a\n  http-passwd=s3cr3t\n", 1, "http-passwd stands in the file; set server_credential"),
    ],
)
def test_an_option_of_aria2_that_cannot_be_used_names_its_download(text: str, line: int, reason: str):
    ((where, why),) = said(read(text, format="aria2"))
    assert where == line
    assert why.startswith(reason)
    assert "s3cr3t" not in why


# ------------------------------------------------------------------------------------------------------------- Metalink


def test_a_metalink_names_the_best_mirror_first_and_leaves_out_what_cannot_be_fetched():
    entry = only(
        METALINK.format(
            '<published>2026-01-01</published>\n<file name="d/a.iso"><size>14</size><identity>x</identity>'
            f'<hash type="sha-256">{SHA}</hash><hash type="md5">{MD5}</hash>'
            '<pieces length="7" type="sha-1"><hash>00</hash><hash>11</hash></pieces>'
            '<url>http://last/a</url><url location="de" priority="2">http://b/a?x=1&amp;y=2</url>'
            '<url priority="1"> ftp://a/a </url><url priority="0">rsync://c/a</url>'
            '<metaurl mediatype="torrent">http://t/a</metaurl></file>'
        )
    )
    assert entry == ManifestEntry(
        line=2,
        uri="ftp://a/a",
        mirrors=("http://b/a?x=1&y=2", "http://last/a"),
        destination="d/a.iso",
        checksums=(f"sha-256:{SHA}", f"md5:{MD5}"),
        options={"max_size": 14},
    )


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (BOMB + METALINK.format("<file name='a'><url>http://x/&b;</url></file>"), "a document type"),
        (OUTSIDE + METALINK.format("<file name='&x;'/>"), "a document type"),
        ("<metalink>", "the document is no Metalink 4"),
        ('<metalink version="3.0" xmlns="http://www.metalinker.org/"/>', "the document is no Metalink 4"),
        (METALINK.format("<file>")[:-3], "the XML is broken"),
        (METALINK.format("<x>" * 100), "the elements are nested too deeply"),
        (METALINK.format(f"<file name='{'a'}'><url>{'x' * 70_000}</url></file>"), "a text is too long"),
        (METALINK.format(f"<file name='a'>{'<url>http://x</url>' * 1100}</file>"), "a file has too many mirrors"),
        ("<", "the XML is broken"),
        (f"<!--{'x' * (2 << 20)}", "a tag or a comment has more than 1,048,576 bytes"),
        (METALINK.format(f"<file name='{'a' * (2 << 20)}'/>"), "a tag or a comment has more than 1,048,576 bytes"),
    ],
)
def test_a_hostile_document_ends_where_it_is_hostile(document: str, reason: str):
    *_, bad = read(document, format="metalink")
    assert bad.reason.startswith(reason)
    assert bad.ends


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("<file><url>http://x/a</url></file>", "the file has no name"),
        ('<file name="a"><url>rsync://x/a</url></file>', "the file has no URL of ftp, ftps, http, https"),
        ('<file name="a"><size>ten</size><url>http://x/a</url></file>', "the size is no number of bytes"),
    ],
)
def test_a_file_of_a_metalink_that_cannot_be_used_leaves_the_others(file: str, reason: str):
    entries = read(METALINK.format(f'\n{file}\n<file name="b"><url>http://x/b</url></file>'))
    assert said(entries) == [(2, reason)]
    assert entries[1].uri == "http://x/b"


# ---------------------------------------------------------------------------------------------------------------- pooch


def test_the_registry_of_pooch_needs_a_base_for_what_has_no_url():
    text = f"# data\nsub/a b.csv {SHA}\n'q 1.csv' md5:{MD5}\n100%.csv {SHA} http://own/c\n"
    text = text.replace("sub/a b.csv", "'sub/a b#1.csv'")
    entries = read(text, base_uri="http://x/v1/")
    assert [(each.uri, each.destination, each.checksums) for each in entries] == [
        ("http://x/v1/sub/a%20b%231.csv", "sub/a b#1.csv", (SHA,)),
        ("http://x/v1/q%201.csv", "q 1.csv", (f"md5:{MD5}",)),
        ("http://own/c", "100%.csv", (SHA,)),
    ]
    assert said(read(text)) == [(number, "the file has no URL of its own; say base_uri=") for number in (2, 3)]
    assert said(read("a b c d\n'a\n", format="pooch", base_uri="http://x")) == [
        (1, "a line is a file name, its hash and perhaps its URL"),
        (2, "a quote has no end"),
    ]


# ----------------------------------------------------------------------------------------------------- code, and which


def test_what_stands_in_code_is_taken_as_it_is_and_named_by_its_place():
    bad = ManifestProblem(7, "nonsense")
    entries = read([b"x", {"uri": "http://x", "sha256": SHA}, {}, {"uri": 1}, bad, {"line": 9, "uri": "http://y"}])
    assert said(entries) == [
        (1, "a URI or a mapping is expected, not bytes"),
        (3, "it has no 'uri'"),
        (4, "a URI is a str, not int"),
        (7, "nonsense"),
    ]
    assert entries[1] == ManifestEntry(line=2, uri="http://x", options={"sha256": SHA})
    assert entries[-1].line == 9


def test_an_iterator_is_read_once_and_given_any_number_of_times():
    source = source_of((f"http://x/{n}" for n in range(3)), format=None, base_uri=None, schemes=SCHEMES)
    assert [each.line for each in source.read()] == [each.line for each in source.read()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# x\nhttp://x/a\n", "aria2"),
        ("", "aria2"),
        ('{"uri": 1}', "jsonl"),
        ("<?xml version='1.0'?>", "metalink"),
        ("name;URL\n", "csv"),
        (f"a.csv {SHA}\n", "pooch"),
        ("once upon a time", None),
    ],
)
def test_the_format_is_told_from_the_first_line(text: str, expected: str | None):
    assert format_of_text(text) == expected


def test_the_suffix_comes_before_the_contents_and_the_caller_before_both(tmp_path: Path):
    path = tmp_path / "list.jsonl.gz"
    path.write_bytes(gzip.compress(b'"http://x/a"\n'))
    assert only(path).uri == "http://x/a"
    assert said(read(path, format="csv")) == [(1, "no column of the first line is called 'uri'")]
    path.write_bytes(gzip.compress(b'"http://x/a"\n')[:-10])
    assert read(path)[-1].reason.startswith("the file cannot be read")
    assert read("once upon a time")[0].reason.startswith("its format cannot be told")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("http://x/list.csv", r"for a single URI write \[uri\]"),
        ("uri\nhttp://x/a\n", "not its path"),
        ("nowhere.csv", "There is no manifest 'nowhere.csv'"),
        ({"uri": "http://x"}, "not dict"),
        (7, "not int"),
    ],
)
def test_what_is_no_manifest_is_refused_with_what_is(manifest: object, message: str):
    with pytest.raises(InvalidRequest, match=message):
        source_of(manifest, format=None, base_uri=None, schemes=SCHEMES)
    with pytest.raises(InvalidRequest, match="There is no format 'xls'"):
        source_of([], format="xls", base_uri=None, schemes=SCHEMES)


TEXTS = st.text(max_size=200) | st.sampled_from(["uri", "http://x/a", "{", "<metalink", "\t", "PAR1", '"', "\n", ","])


@given(st.lists(TEXTS, max_size=12).map("".join) | st.binary(max_size=300), st.sampled_from(FORMATS))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_in_a_file_becomes_entries_or_problems(contents: str | bytes, chosen: str):
    data = contents.encode(errors="surrogatepass") if isinstance(contents, str) else contents
    for each in read(data, format=chosen, base_uri="http://x"):
        assert isinstance(each, ManifestEntry | BadLine)
        assert each.line >= 0


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"uri": st.from_regex(r"http://[a-z]{1,9}/[a-z0-9]{1,9}", fullmatch=True)},
        optional={"destination": st.from_regex(r"[a-z]{1,9}/[\w ,;\"']{1,9}[a-z]", fullmatch=True)},
    ),
    min_size=1,
    max_size=20,
)


@given(RECORDS)
@settings(max_examples=50, deadline=None)
def test_json_lines_tables_and_mappings_say_the_same(records: list[dict[str, str]]):
    from_code = [(each.uri, each.destination) for each in read(records)]
    lines = "\n".join(json.dumps(each) for each in records)
    assert [(each.uri, each.destination) for each in read(lines, format="jsonl")] == from_code
    frame = pd.DataFrame(records, columns=["uri", "destination"])
    assert [(each.uri, each.destination) for each in read(frame)] == from_code
    table = io.BytesIO(frame.to_csv(index=False).encode())
    assert [(each.uri, each.destination) for each in read(table)] == from_code
