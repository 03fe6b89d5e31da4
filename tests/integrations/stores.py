"""What a store of the tests has, and what waits here for one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.downloads import partial_files
from tests.integrations.conftest import LARGE
from tests.servers.content import Pattern, digest

if TYPE_CHECKING:
    from pathlib import Path


def staged(state_path: Path) -> list[Path]:
    """Return the private files that wait for a store."""
    return partial_files(state_path.parent / "staged")


def in_memory(path: str) -> bytes:
    import fsspec

    return bytes(fsspec.filesystem("memory").cat_file(path))


def is_large(body: bytes) -> bool:
    """Whether these are the bytes of the large file."""
    return hashlib.sha256(body).digest() == digest(Pattern(LARGE, 3))


def names(memory: dict[str, object]) -> list[str]:
    return sorted(memory)
