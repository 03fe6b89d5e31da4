from __future__ import annotations

import json
import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.status import BackgroundTransferStatus
from bgdl_jupyter.storage.record_texts import (
    SPLIT,
    RecordReader,
    SplitRecord,
    UnreadableRow,
    decode_record,
    encode_record,
    split_record,
)
from bgdl_jupyter.storage.records import (
    COLUMNS,
    OperationRow,
    RowReader,
    bytes_held,
    loaded_text,
    stored,
    stored_row,
    stored_text,
)

TEXTS = st.text(st.characters())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
RECORDS = st.dictionaries(TEXTS, JSON, max_size=4)
TIMES = st.floats(min_value=0, max_value=1e12)
ROWS = st.builds(
    OperationRow,
    operation_id=st.uuids(),
    application=TEXTS,
    group=TEXTS,
    identity=st.text(st.characters(codec="ascii")),
    destination_key=st.none() | TEXTS,
    status=st.sampled_from([int(status) for status in BackgroundTransferStatus]),
    is_final=st.booleans(),
    was_seen=st.booleans(),
    position=st.integers(0, 2**62),
    created_at=TIMES,
    final_at=st.none() | TIMES,
    batch=st.none() | st.text(st.characters(codec="ascii")),
    record=RECORDS,
    resource=st.none() | RECORDS,
    watermark=st.none() | RECORDS,
    owner=st.just("kernel"),
    epoch=st.integers(1, 2**31),
)


@given(ROWS)
def test_every_row_comes_back_as_it_was(row):
    values = stored_row(row, owner=row.owner, epoch=row.epoch)
    assert RowReader().row(values) == row
    assert values == tuple(stored(name, getattr(row, name)) for name in COLUMNS)


@given(
    st.lists(
        st.none() | st.integers() | st.floats() | st.binary() | TEXTS, min_size=len(COLUMNS), max_size=len(COLUMNS)
    )
)
def test_any_other_values_are_refused_and_nothing_else_is_raised(values):
    with pytest.raises(UnreadableRow):
        RowReader().row(values)


@given(st.binary() | TEXTS | st.integers() | st.none())
def test_any_text_is_a_record_or_refused(text):
    try:
        record = decode_record(text)
    except UnreadableRow:
        return
    assert type(record) is dict


@given(TEXTS)
def test_every_text_can_be_stored(text):
    assert loaded_text(stored_text(text)) == text


RANGES = st.lists(st.integers() | st.lists(st.integers() | st.booleans(), max_size=3), max_size=3)


@given(st.dictionaries(TEXTS, JSON | RANGES, max_size=4))
def test_the_short_way_of_numbers_and_ranges_writes_what_json_does(record):
    assert encode_record(record) == json.dumps(record, separators=(",", ":"))


@pytest.mark.parametrize(
    "record", [{"x": math.nan}, {"x": math.inf}, {"x": [math.nan]}, {"x": object()}, {"x": {1, 2}}, [1], None]
)
def test_what_is_no_json_object_is_not_stored(record):
    with pytest.raises((TypeError, ValueError)):
        encode_record(record)


@pytest.mark.parametrize(("name", "value"), [("created_at", math.nan), ("final_at", math.inf)])
def test_a_time_that_is_none_is_not_stored(name, value):
    with pytest.raises(ValueError, match=name):
        stored(name, value)


@pytest.mark.parametrize(
    ("watermark", "count"),
    [
        (None, 0),
        ({}, 0),
        ({"file": None, "finished": [[0, 5]]}, 0),
        ({"file": [1, 2], "finished": [[0, 5], [7, 9]]}, 7),
        ({"file": [1, 2], "finished": ["x"]}, 0),
        ({"file": [1, 2], "finished": 5}, 0),
    ],
)
def test_the_bytes_in_a_partial_file_are_counted(watermark, count):
    assert bytes_held(watermark) == count


def test_a_row_has_what_a_new_operation_has():
    row = OperationRow(operation_id=UUID(int=1), application="a", group="", identity="i", record={})
    assert (row.status, row.is_final, row.was_seen, row.owner, row.epoch) == (0, False, False, None, 1)


def test_what_records_have_in_common_is_decoded_once_for_all_of_them():
    common = {"directory": "/data", "options": {"max_retries": 8}}
    records = [decode_record(encode_record(split_record(common, {"uri": f"u{n}"}))) for n in range(3)]
    assert records == [{**common, "uri": f"u{n}"} for n in range(3)]
    assert isinstance(records[0], SplitRecord)
    assert all(each["options"] is records[0]["options"] for each in records)


def test_what_a_record_has_for_itself_comes_first():
    record = decode_record(encode_record(split_record({"a": 1, "b": 2}, {"b": 3})))
    assert record == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    "record", [{"a": {"b": 1, SPLIT: None, "c": 2}}, {"a": f',"{SPLIT}":null,'}, {"a": 1, SPLIT: None}, {SPLIT: None}]
)
def test_a_mark_that_stands_elsewhere_parts_nothing(record):
    assert decode_record(encode_record(record)) == record


@given(st.lists(st.builds(split_record, RECORDS, RECORDS) | RECORDS, max_size=6), st.data())
def test_many_texts_one_after_the_other_say_what_each_says_alone(records, data):
    """Whatever was read before, a mark that stands elsewhere included."""
    texts = [encode_record(each) for each in records]
    texts += [data.draw(st.sampled_from([f'{text},"x":1}}', text[:-3]])) for text in texts]
    reader = RecordReader()

    def outcome(decode, text):
        try:
            return decode(text)
        except UnreadableRow:
            return "refused"

    for text in data.draw(st.permutations(texts)):
        assert outcome(reader.decode, text) == outcome(decode_record, text)
