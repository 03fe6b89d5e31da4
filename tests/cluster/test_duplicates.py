from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.cluster import duplicates
from bgdl_jupyter.cluster.duplicates import Fingerprints


@given(st.lists(st.sampled_from([f"http://h/{number}" for number in range(30)]), max_size=60))
def test_a_line_that_repeats_another_is_found_with_the_first(texts):
    first = {text: texts.index(text) + 1 for text in texts}
    expected = {(line, first[text]) for line, text in enumerate(texts, 1) if first[text] != line}
    with Fingerprints() as found:
        for line, text in enumerate(texts, 1):
            found.add(line, text)
        assert set(found.repeated()) == expected


def test_what_does_not_fit_into_memory_is_on_disk_and_found_there(monkeypatch):
    monkeypatch.setattr(duplicates, "_BUFFER", 64)
    with Fingerprints() as found:
        for line in range(1, 5001):
            found.add(line, f"http://h/{line % 4999}")
        assert list(found.repeated()) == [(5000, 1)]
