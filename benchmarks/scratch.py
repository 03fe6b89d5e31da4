"""Where the benchmarks work: a folder for what a run leaves, and one for what is built once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES: Final = Path(__file__).parent
ROOT: Final = SOURCES.parent
_BLOCK: Final = 1 << 20


def cache_folder() -> Path:
    """Return the folder of what is kept between runs: the peers' environment and the compiled programs."""
    folder = user_cache_path("bgdl_jupyter") / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give an empty folder, and delete it with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="bgdl-benchmarks-") as name:
        yield Path(name)


def spread(folder: Path) -> None:
    """
    Have each folder that is made in this one lie in a part of the disk of its own, where the file system is ext4.

    For five minutes ext4 looks at every inode that was given back before it makes another there: 5,000 files after
    5,000 were deleted take ten times as long, and whoever ran next would pay for it. Elsewhere nothing is done.
    """
    if chattr := shutil.which("chattr"):
        subprocess.run([chattr, "+T", str(folder)], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """Give a folder that is new, and delete it afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def compiled(source: str, *options: str) -> Path:
    """
    Compile a C source that stands beside this module, unless that was done since its last change.

    Raises
    ------
    RuntimeError
        It cannot be compiled; with the compiler's words.
    """
    path = SOURCES / source
    target = cache_folder() / path.stem
    if target.exists() and target.stat().st_mtime > path.stat().st_mtime:
        return target
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError(f"{source} needs a C compiler (gcc or cc), and there is none.")
    being_built = target.with_suffix(f".{os.getpid()}")
    command: list[str | Path] = [compiler, "-O2", "-pthread", *options, "-o", being_built, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
    return being_built.replace(target)


def make_file(path: Path, size: int) -> Path:
    """Write a file of random bytes; those of one mebibyte repeat, each time with its number in front."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = os.urandom(min(size, _BLOCK))
    with path.open("wb") as file:
        for offset in range(0, size, _BLOCK):
            numbered = offset.to_bytes(8, "big") + block[8:]
            file.write(numbered[: size - offset])
    return path


def warm_memory(folder: Path, size: int) -> None:
    """
    Write as much as a run will write, and throw it away.

    A virtual machine may have given freed memory back to its host, and getting it again costs a second per gigabyte:
    whoever runs next should not pay for it.
    """
    path = folder / "warm"
    with path.open("wb", buffering=0) as file:
        block = bytes(_BLOCK)
        for _ in range(size // _BLOCK):
            file.write(block)
    path.unlink()


def sync(paths: list[Path]) -> None:
    """Make the contents of files durable, as `sync -d` does: one fdatasync for each."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
