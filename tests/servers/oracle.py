"""
Questions whose answers must be nothing: secrets where none may be, descriptors and tasks that nobody closed.

Whether a file is the right one is asked of `content`: `file_sha256(path) == spec.sha256`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WINDOW = 1 << 20
_SETTLE = 5.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a secret was found, and in which disguise."""

    where: str
    form: str


def disguises(secret: str) -> dict[str, bytes]:
    """Return the forms in which a secret may lie about: as it is, escaped, in base64 at any alignment."""
    plain = secret.encode()
    forms = {
        "plain": plain,
        "utf-16": secret.encode("utf-16-le"),
        "utf-16, big end first": secret.encode("utf-16-be"),
        "percent": quote(secret, safe="").encode(),
        "percent, plus": quote_plus(secret).encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "hex": binascii.hexlify(plain),
        "repr": repr(secret)[1:-1].encode(),
    }
    for shift in range(3):
        forms[f"base64 at {shift}"] = _base64_core(plain, shift)
    return {name: form for name, form in forms.items() if form}


def hits_in_bytes(secret: str, data: bytes, *, where: str = "data") -> list[Hit]:
    """Return every disguise of the secret that is in the data."""
    return [Hit(where, name) for name, form in disguises(secret).items() if form in data]


def hits_in_texts(secret: str, texts: Iterable[str]) -> list[Hit]:
    """Return the hits in logs, reprs, tracebacks and the like, each named by its beginning."""
    return [hit for text in texts for hit in hits_in_bytes(secret, text.encode("utf-8", "replace"), where=text[:80])]


def hits_in_tree(secret: str, folder: Path) -> list[Hit]:
    """Return the hits in the names and contents of all files under a folder, however large."""
    paths = sorted(folder.rglob("*"))
    names = [hit for path in paths for hit in hits_in_bytes(secret, os.fsencode(path.name), where=f"name of {path}")]
    return names + [hit for path in paths if path.is_file() for hit in _hits_in_file(secret, path)]


def descriptors() -> dict[int, str]:
    """Return the open descriptors of this process and what they are. Linux only."""
    found: dict[int, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists the folder is gone by now
            found[int(entry.name)] = str(entry.readlink())
    return found


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Raise `AssertionError` when descriptors that were opened in the block are still open some seconds after it."""
    before = descriptors()
    yield
    end = time.monotonic() + _SETTLE
    while left := {fd: what for fd, what in descriptors().items() if before.get(fd) != what}:
        if time.monotonic() > end:
            raise AssertionError(f"left open: {left}")
        time.sleep(0.02)


def pending_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return the names of the tasks of a loop that are not done, the one that asks excepted. From any thread."""
    with contextlib.suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            current = asyncio.current_task()
            return sorted(task.get_name() for task in asyncio.all_tasks(loop) if task is not current)
    return sorted(task.get_name() for task in asyncio.all_tasks(loop))


def _hits_in_file(secret: str, path: Path) -> Iterator[Hit]:
    forms = disguises(secret)
    overlap = max(map(len, forms.values()))
    tail = b""
    found: set[str] = set()
    with path.open("rb") as file:
        while window := file.read(_WINDOW):
            found |= {name for name, form in forms.items() if form in tail + window}
            tail = (tail + window)[-overlap:]
    return (Hit(str(path), name) for name in sorted(found))


def _base64_core(plain: bytes, shift: int) -> bytes:
    # The characters that do not depend on what stands before and behind the secret.
    coded = base64.b64encode(b"\0" * shift + plain).rstrip(b"=")
    first = -(-shift * 8 // 6)
    last = (shift + len(plain)) * 8 // 6
    return coded[first:last]
