"""Archives for tests, sound and otherwise, and the unpacking of one as the model orders it."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.archives.gauge import Gauge, Limits
from bgdl_jupyter.storage.archives.unpacking import Order, prepare, publish
from bgdl_jupyter.storage.descriptor import Footprint

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"a.txt": b"first\n", "deep/er/b.bin": bytes(range(256)) * 100, "deep/empty": b""}
PLENTY = Limits(max_size=10**9, max_ratio=1000.0, max_members=10_000)
GENERATE, REPLACE = CreationCollisionOption.GENERATE_UNIQUE_NAME, CreationCollisionOption.REPLACE_EXISTING
FAIL, OPEN = CreationCollisionOption.FAIL_IF_EXISTS, CreationCollisionOption.OPEN_IF_EXISTS


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is the test's
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def sound_tar(path: Path, mode: str = "w") -> Path:
    return write_tar(path, *(member(name, content) for name, content in CONTENT.items()), mode=mode)


def sound_zip(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return path


def zstd_compressed(data: bytes) -> bytes:
    zstd = pytest.importorskip("backports.zstd")
    compressed: bytes = zstd.compress(data)
    return compressed


def unpack(
    archive: Path,
    folder: Path | None = None,
    *,
    collision: CreationCollisionOption = GENERATE,
    limits: Limits = PLENTY,
    replaces: Path | None = None,
) -> Path:
    known = Footprint.at(replaces) if replaces is not None else None
    order = Order(
        archive=archive,
        folder=folder,
        collision=collision,
        operation_id=uuid4(),
        replaces=frozenset() if known is None else frozenset({known}),
    )
    return publish(prepare(order, Gauge(archive, archive.parent, limits)), order)


def content_of(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def assert_nothing_is_left(folder: Path, *archives: str) -> None:
    assert sorted(each.name for each in folder.iterdir()) == sorted(archives)


def as_method(path: Path, method: int, stored: bytes, content: bytes) -> Path:
    """Write a zip whose only member is compressed in a way that `zipfile` does not write."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", stored)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = data.index(signature)
        struct.pack_into("<H", data, start + at, method)
        struct.pack_into("<I", data, start + at + 6, zlib.crc32(content))
        struct.pack_into("<I", data, start + at + 14, len(content))
    path.write_bytes(data)
    return path
