"""The oracle finds what is there, and only that."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from tests.servers.content import PERIOD, Pattern, digest, file_sha256, read, write_file
from tests.servers.oracle import Hit, hits_in_bytes, hits_in_texts, hits_in_tree, no_descriptors_left, pending_tasks

if TYPE_CHECKING:
    from pathlib import Path

SECRET = 's3cr3t/+ "ü"'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps({"a": SECRET}),
        urllib.parse.urlencode({"a": SECRET}),
        urllib.parse.quote(f"x{SECRET}", safe=""),
        *(base64.b64encode(b"user:"[:length] + SECRET.encode() + b"tail").decode() for length in range(1, 5)),
        SECRET.encode().hex(),
    ],
)
def test_a_secret_is_found_in_every_disguise(text: str):
    assert hits_in_texts(SECRET, ["nothing", f"before {text} after"])
    assert hits_in_texts(SECRET, ["nothing", "s3cr3t"]) == []


def test_a_secret_is_found_in_files_names_and_across_windows(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "big").write_bytes(b"x" * ((1 << 20) - 3) + b"sentinel-1" + b"y" * 100)
    (tmp_path / "sentinel-1.part").write_bytes(b"")
    assert hits_in_tree("sentinel-1", tmp_path) == [
        Hit(f"name of {tmp_path / 'sentinel-1.part'}", "plain"),
        *(
            Hit(f"name of {tmp_path / 'sentinel-1.part'}", form)
            for form in ("percent", "percent, plus", "json", "repr")
        ),
        *(Hit(str(tmp_path / "sub" / "big"), form) for form in ("json", "percent", "percent, plus", "plain", "repr")),
    ]
    assert hits_in_tree("sentinel-2", tmp_path) == []
    assert hits_in_bytes("sentinel-1", "sentinel-1".encode("utf-16")) == [Hit("data", "utf-16")]


def test_an_open_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.servers.oracle._SETTLE", 0.1)
    with no_descriptors_left(), (tmp_path / "a").open("w"):
        pass
    left = None
    with pytest.raises(AssertionError, match="left open"), no_descriptors_left():
        left = (tmp_path / "a").open("w")
    assert left is not None
    left.close()


async def test_a_pending_task_is_noticed():
    loop = asyncio.get_running_loop()
    assert pending_tasks(loop) == []
    task = asyncio.create_task(asyncio.sleep(10), name="sleeper")
    assert pending_tasks(loop) == ["sleeper"]
    assert "sleeper" in await asyncio.to_thread(pending_tasks, loop)
    task.cancel()


def test_a_piece_at_the_offset_of_another_never_looks_right(tmp_path: Path):
    content = Pattern(3 * PERIOD + 5)
    whole = read(content)
    for shift in (4096, 1 << 16, 1 << 20, 1 << 21):
        assert read(content, 0, 64) != read(content, shift, shift + 64)
    for start, stop in ((0, 1), (PERIOD - 1, PERIOD + 1), (5, 3 * PERIOD + 5)):
        assert read(content, start, stop) == whole[start:stop]
    assert file_sha256(write_file(tmp_path / "a", content)) == digest(content).hex()


def test_a_longer_file_of_the_same_seed_begins_the_same():
    assert read(Pattern(1001)) == read(Pattern(5000), 0, 1001) == read(Pattern(3 * PERIOD), 0, 1001)
    assert read(Pattern(1001, seed=2)) != read(Pattern(1001, seed=1))
