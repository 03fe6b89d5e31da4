"""What tests do to a partial file and to the folder it is in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pathlib import Path

GUID = UUID("6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49")


def failing(monkeypatch, name, number, *, module=os, happens=False):
    """Have a system call fail; with `happens` it does its work all the same."""
    real = getattr(module, name)

    def fail(*args, **options):
        if happens:
            real(*args, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, name, fail)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def swap_for_a_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def swap_for_a_copy(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_name("moved"))
    path.write_bytes(content)


def swap_for_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
