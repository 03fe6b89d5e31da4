"""Objects of which there are very many have in common what they can, and nobody notices."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from traitlets import Int, List, TraitError, Unicode, observe, validate

from bgdl_jupyter.model.light import FilePath, Light


class Thing(Light):
    name = Unicode("nameless")
    size = Int(3)
    tags = List(Unicode())
    file = FilePath(help="Where it is.")
    changes = 0

    @observe("size")
    def _size_changed(self, _: Any) -> None:
        self.changes += 1

    @validate("size")
    def _check_size(self, proposal: dict[str, Any]) -> int:
        value: int = proposal["value"]
        if value < 0:
            raise TraitError("a size is not negative")
        return value

    def become(self, own: dict[str, Any], **common: Any) -> Thing:
        self._adopt(own, self.shared_values(common))
        return self

    def put(self, name: str, value: object) -> None:
        self._put(name, value)


def test_what_is_shared_reads_as_if_it_were_the_objects_own():
    thing = Thing().become({"size": 9}, name="shared")
    assert (thing.name, thing.size, thing.file) == ("shared", 9, None)


def test_a_change_concerns_one_object_alone():
    one, other = Thing(), Thing()
    one.name, one.size = "mine", 5
    assert (other.name, other.size) == ("nameless", 3)
    one.tags.append("x")
    assert other.tags == []


def test_observers_and_validators_of_the_class_work_for_each_object():
    one, other = Thing(), Thing()
    one.size = 4
    assert (one.changes, other.changes) == (1, 0)
    with pytest.raises(TraitError, match="negative"):
        one.size = -1


async def test_an_observer_of_one_object_hears_of_no_other():
    one, other = Thing(), Thing()
    heard: list[Any] = []
    came = threading.Event()

    def hear(change: Any) -> None:
        heard.append(change["new"])
        came.set()

    one.observe(hear, "name")
    other.name, one.name = "b", "a"
    assert await asyncio.to_thread(came.wait, 15)
    assert heard == ["a"]
    one.unobserve(hear, "name")
    one.name = "c"
    assert heard == ["a"]


def test_a_value_that_is_put_is_told_where_somebody_observes():
    thing, other = Thing(), Thing()
    thing.put("size", 8)
    thing.put("size", 8)
    assert (thing.size, thing.changes) == (8, 1)
    other.put("name", "quiet")
    assert other.name == "quiet"


def test_a_path_is_a_path_for_whoever_asks():
    thing = Thing().become({"file": "/data/a.bin"})
    assert thing.values["file"] == "/data/a.bin"
    assert thing.file == Path("/data/a.bin")
    assert thing.values["file"] == Path("/data/a.bin")


def test_a_list_that_is_changed_in_one_is_not_changed_in_the_others(downloader):
    options = {"mirrors": ["http://127.0.0.1:1/b"], "group": "mirrored"}
    group = downloader.download_many(["http://127.0.0.1:1/a", "http://127.0.0.1:1/c"], **options)
    one, other = group.operations
    one.mirrors.append("http://127.0.0.1:1/d")
    assert other.mirrors == options["mirrors"]
