"""What nearly all records say is stored in a word, and comes back whole."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.storage import usual_record
from bgdl_jupyter.storage.record_texts import CommonRecord, UnreadableRow, decode_record, encode_record, split_record
from bgdl_jupyter.storage.usual_record import USUAL, restored, shortened

TEXT = usual_record._TEXT
NAMES = sorted(json.loads(TEXT))
SETTINGS = sorted(json.loads(TEXT)["options"])
VALUES = st.sampled_from([None, 0, 1, False, True, 0.0, "", "x", 16, 30.0, [], {}, [0], {"a": 0}])


def test_what_records_on_disks_refer_to_never_changes():
    assert hashlib.sha256(TEXT.encode()).hexdigest() == (
        "fb81cbd31c9f0cc1249f126ff84ec739a05d8d67cc2f8f9fd9852c25dfa7e29d"
    )


def test_a_usual_record_is_a_word():
    usual = json.loads(TEXT)
    assert shortened(usual) == {USUAL: 1}
    assert shortened(usual | {"method": "PUT"}) == {USUAL: 1, "method": "PUT"}


@given(
    others=st.dictionaries(st.sampled_from([*NAMES, "later"]), VALUES),
    settings=st.dictionaries(st.sampled_from([*SETTINGS, "later"]), VALUES),
    lacks=st.sets(st.sampled_from(NAMES), max_size=1),
)
def test_every_record_comes_back_as_it_was(others, settings, lacks):
    """Also where a value differs in its type alone."""
    record = json.loads(TEXT)
    record = record | {"options": record["options"] | settings} | others
    record = {name: value for name, value in record.items() if name not in lacks}
    again = restored(json.loads(json.dumps(shortened(record))))
    assert json.dumps(again, sort_keys=True) == json.dumps(record, sort_keys=True)


def test_what_a_record_has_for_itself_comes_before_what_is_usual():
    common = CommonRecord(json.loads(TEXT))
    text = encode_record(split_record(common, {"requested_uri": "u", "checksum": "sha256:00"}))
    assert len(text) < 100
    assert decode_record(text) == {**common, "requested_uri": "u", "checksum": "sha256:00"}


@pytest.mark.parametrize("number", ["2", "true", "null", '"1"', "1.0"])
def test_a_record_that_refers_to_what_is_not_known_is_refused(number):
    with pytest.raises(UnreadableRow, match="not known"):
        decode_record(f'{{"{USUAL}":{number},"own:":null,"requested_uri":"u"}}')
