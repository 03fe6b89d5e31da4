"""Archives that are served, functions that follow a download, and what is there when both are over."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.downloads import DEADLINE
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

CONTENT = {"a.txt": b"first\n", "deep/b.bin": bytes(1000)}


def archive_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def served(fault_server: StartFaultServer) -> FaultServer:
    """Serve two archives, one that leads out of its folder, and a file that is none."""
    return fault_server(
        {
            "/data.tar.gz": FileSpec(body=archive_of(CONTENT)),
            "/more.zip": FileSpec(body=zip_of(CONTENT)),
            "/evil.tar.gz": FileSpec(body=archive_of({"../out": b"x"})),
            "/plain": FileSpec(size=2000),
        }
    )


def noting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a function that notes each call in the working folder, and gives what it was given."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "following.py").write_text(
        "from pathlib import Path\n"
        "def note(path):\n"
        "    with Path('calls').open('a') as file:\n"
        "        file.write(f'{path.name}\\n')\n"
        "    return path\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return "following:note"


class Gate:
    """A function that waits until it is let through."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, path: Path) -> str:
        self.began.set()
        assert self.may_end.wait(DEADLINE)
        return path.name


def content_of(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def dying() -> Any:
    return pytest.warns(UserWarning, match="survives a restart")


def await_completed(operation: DownloadOperation) -> None:
    done = threading.Event()

    def look() -> bool:
        if operation.status.is_final:
            done.set()
        return done.is_set()

    operation.watch(look)
    assert done.wait(DEADLINE)
