"""Until an archive is whole nothing has its name, whether it is canceled, cut off by a crash or tampered with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.archives import unpacking
from bgdl_jupyter.storage.archives.gauge import Gauge, UnpackCanceled
from bgdl_jupyter.storage.archives.tree import Tree
from bgdl_jupyter.storage.archives.unpacking import (
    Order,
    find_published,
    prepare,
    private_folder,
    publish,
    still_prepared,
)
from tests.storage.archives import (
    CONTENT,
    FAIL,
    GENERATE,
    OPEN,
    PLENTY,
    REPLACE,
    assert_nothing_is_left,
    content_of,
    sound_tar,
    sound_zip,
    unpack,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.status import CreationCollisionOption
    from bgdl_jupyter.storage.archives.members import Member


def test_while_it_is_unpacked_nothing_has_the_name_and_canceled_nothing_is_left(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    gauge = Gauge(archive, tmp_path, PLENTY)
    seen = []

    class Watching(Gauge):
        def member(self) -> None:
            super().member()
            seen.append((tmp_path / "a").exists())
            if len(seen) == 2:
                self.cancel()

    with pytest.raises(UnpackCanceled):
        prepare(order, Watching(archive, tmp_path, PLENTY))
    assert seen == [False, False]
    assert_nothing_is_left(tmp_path, "a.tar")
    gauge.cancel()
    with pytest.raises(UnpackCanceled):
        prepare(order, gauge)


def test_what_a_crash_left_is_begun_anew_or_found_again(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    half = unpacking.private_folder(tmp_path, order.operation_id)
    (half / "content" / "rubbish").mkdir(parents=True)
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    assert find_published(tmp_path / "a", prepared.identity) is None
    assert still_prepared(order, prepared.identity) == prepared
    assert still_prepared(order, (0, 0)) is None
    path = publish(prepared, order)
    assert content_of(path) == CONTENT
    assert find_published(tmp_path / "a", prepared.identity) == path
    assert still_prepared(order, prepared.identity) is None


def put_a_link_in_place_of(private: Path, home: Path) -> None:
    """Do what somebody may who can write to the folder beside which an archive is unpacked."""
    private.rename(private.with_name("away"))
    private.symlink_to(home)


def test_who_puts_a_link_in_place_of_the_private_folder_has_nothing_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    (home / "content").mkdir(parents=True)
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    add = Tree.add

    def add_and_swap(tree: Tree, member: Member) -> None:
        add(tree, member)
        private = private_folder(tmp_path, order.operation_id)
        if not private.is_symlink():
            put_a_link_in_place_of(private, home)

    monkeypatch.setattr(Tree, "add", add_and_swap)
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    with pytest.raises(StorageFailed):
        publish(prepared, order)
    assert list((home / "content").iterdir()) == []
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("collision", [GENERATE, REPLACE, FAIL, OPEN])
def test_only_what_was_unpacked_gets_the_name(collision: CreationCollisionOption, tmp_path: Path):
    home, away = tmp_path / "home", tmp_path / "away"
    (home / "content").mkdir(parents=True)
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=collision, operation_id=uuid4())
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    put_a_link_in_place_of(prepared.content.parent, home)
    with pytest.raises(StorageFailed):
        publish(prepared, order)
    prepared.content.parent.unlink()
    home.rename(prepared.content.parent)
    with pytest.raises(StorageFailed, match="not there any more"):
        publish(prepared, order)
    assert not (tmp_path / "a").exists()
    assert content_of(away / "content") == CONTENT


def test_nothing_is_unpacked_into_the_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = sound_tar(tmp_path / "a.tar")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StorageFailed, match="another user"):
        unpack(archive)
    assert_nothing_is_left(tmp_path, "a.tar")


def test_the_gauge_tells_how_far_it_is(tmp_path: Path):
    archive = sound_zip(tmp_path / "a.zip")
    gauge = Gauge(archive, tmp_path, PLENTY)
    prepare(Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4()), gauge)
    assert gauge.bytes_done == gauge.bytes_total == archive.stat().st_size
    assert (gauge.members_done, gauge.members_total) == (3, 3)
    assert gauge.expanded == sum(map(len, CONTENT.values()))
