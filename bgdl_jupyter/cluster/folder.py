"""A folder of this machine, of a shared disk or of a store, in which files appear whole or not at all."""

from __future__ import annotations

import contextlib
import importlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bgdl_jupyter.errors import InvalidRequest, StorageFailed
from bgdl_jupyter.storage.disk import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# An object appears there when all of it was sent.
_WHOLE_OR_NOT: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there: its bytes, and since when it has its name, by the clock of whoever keeps it."""

    size: int
    since: float


class Folder:
    """
    A place for small files; every method blocks, and raises `StorageFailed`.

    Parameters
    ----------
    url:
        An absolute path, or a URL that fsspec knows.
    storage:
        How the store is opened; may hold what is secret, and is kept nowhere.
    """

    def __init__(self, url: str, storage: Mapping[str, Any] | None = None) -> None:
        self.url = url
        try:
            fsspec: Any = importlib.import_module("fsspec")
        except ImportError:
            raise InvalidRequest("A cluster needs fsspec.", hint="Run: pip install 'bgdl-jupyter[dask]'") from None
        try:
            self._files, path = fsspec.core.url_to_fs(url, **(storage or {}))
        except (ImportError, ValueError) as error:
            raise InvalidRequest(f"{url!r} cannot be opened: {type(error).__name__}.") from None
        self._root = str(path).rstrip("/")
        protocols = self._files.protocol
        self._protocols = {protocols} if isinstance(protocols, str) else set(protocols)
        self._is_local = "file" in self._protocols

    def write(self, name: str, content: bytes) -> None:
        """Have a file of this content, in place of any other; it is durable when this returns."""
        path = self._path(name)
        with self._failing("write", name):
            if self._is_local:
                _write_file(Path(path), content)
            elif self._protocols & _WHOLE_OR_NOT:
                self._files.pipe_file(path, content)
            else:
                self._write_aside(path, content)

    def _write_aside(self, path: str, content: bytes) -> None:
        parent = path.rpartition("/")[0]
        self._files.makedirs(parent, exist_ok=True)
        aside = f"{parent}/.{uuid4().hex}.bgdl"
        self._files.pipe_file(aside, content)
        if self._files.exists(path):
            self._files.rm_file(path)  # there is no other way where a rename refuses to replace
        self._files.mv(aside, path)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        with self._failing("read", name), contextlib.suppress(FileNotFoundError):
            content: bytes = self._files.cat_file(self._path(name))
            return content
        return None

    def names(self, inside: str) -> list[str]:
        """Return the names of the files in a folder below this one, as they are now."""
        path = self._path(inside)
        found: list[str] = []
        with self._failing("list", inside), contextlib.suppress(FileNotFoundError):
            self._files.invalidate_cache(path)
            found = self._files.ls(path, detail=False)
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    def remove_all(self, inside: str) -> None:
        """Have a folder below this one no longer, nor the files in it."""
        for name in self.names(inside):
            with self._failing("remove", name), contextlib.suppress(FileNotFoundError):
                self._files.rm_file(f"{self._path(inside)}/{name}")
        if self._is_local:
            with contextlib.suppress(OSError):  # another worker has just put something there
                Path(self._path(inside)).rmdir()

    def look_at(self, name: str) -> Found | None:
        """Return what is known of a file; None where there is none. Asked anew: others write there, too."""
        path = self._path(name)
        with self._failing("look at", name), contextlib.suppress(FileNotFoundError):
            self._files.invalidate_cache(path.rpartition("/")[0])
            info = self._files.info(path)
            if info.get("type") == "file":
                return Found(size=int(info["size"]), since=_time_in(info))
        return None

    def open(self, name: str) -> Any:
        """Return the file, open for reading."""
        return self._files.open(self._path(name), "rb")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextlib.contextmanager
    def _failing(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 (each store has errors of its own, and all mean that it refused)
            # The texts of others may hold what is secret; their kind does not.
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise StorageFailed(f"Cannot {action} {name!r} in {self.url!r}: {reason}.") from None


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{uuid4().hex}.bgdl")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_directory(path.parent)


def _time_in(info: Mapping[str, Any]) -> float:
    """Return when a file got its name: what disks call change, and stores modification."""
    if "ino" in info:  # of a disk: a rename changes the inode, and leaves the time of the content
        return os.stat(info["name"]).st_ctime  # noqa: PTH116 (a text that fsspec gave)
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(value).timestamp()
    return 0.0
