"""What is in an archive, one member after the other: tar and zip, and what is compressed and neither."""

from __future__ import annotations

import contextlib
import stat
import tarfile
import time
import zipfile
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING, Any, Final, cast

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.storage.archives.attributes import Attributes
from bgdl_jupyter.storage.archives.names import parts_of
from bgdl_jupyter.storage.archives.streams import (
    LONGEST_MAGIC,
    Bounded,
    CountedFile,
    compression_of,
    decompressed,
)
from bgdl_jupyter.storage.archives.zip_contents import ListedFile, opened_content

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bgdl_jupyter.storage.archives.gauge import Gauge
    from bgdl_jupyter.storage.archives.streams import Readable

#: Bytes that `tarfile` asks for at once: it copies what is left of them for each header.
_TAR_READ: Final = 64 << 10
#: Characters that headers may say of all members that follow; real ones say a commit or a time.
_MOST_ATTRIBUTES: Final = 64 << 10
#: A link's target in a zip is the content of its member.
_LONGEST_TARGET: Final = 4096
_UNIX: Final = 3
# Not declared, though all of Python has them: how `tarfile` tells one end of an archive from another.
_BLANK: Final[type[Exception]] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # as above
_NOTHING: Final[type[Exception]] = tarfile.EmptyHeaderError  # type: ignore[attr-defined]  # as above
_ENCRYPTED: Final = 0x1


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SAME = "same"
    """Another name of a file that came before: a hard link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    One member, as its archive says; nothing of it is checked yet.

    Parameters
    ----------
    content:
        The bytes of a file; to be read before the next member is asked for.
    mode:
        Its permissions; None where the archive says none.
    modified_at:
        Seconds since 1970; None where the archive does not say.
    target:
        Where a link leads: for a link a path from its own folder, for another name one from the top.
    """

    name: str
    kind: Kind
    content: Readable | None = None
    mode: int | None = None
    modified_at: float | None = None
    target: str = ""


class Format(Enum):
    """What an archive is, however it is compressed."""

    TAR = "tar"
    ZIP = "zip"
    SINGLE = "single"
    """One compressed file."""


def format_of(path: Path) -> Format:
    """
    Return what a file is, by its content: a name may say anything.

    Raises
    ------
    PostProcessingFailed
        It is nothing that can be unpacked.
    """
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
        compression = compression_of(start[:LONGEST_MAGIC])
        file.seek(0)
        if compression is not None:
            start = decompressed(file, compression).read(tarfile.BLOCKSIZE)
        if _begins_tar(start, path.name):
            return Format.TAR
        if compression is not None:
            return Format.SINGLE
        if zipfile.is_zipfile(file):
            return Format.ZIP
    raise PostProcessingFailed(
        f"{path.name!r} is no archive that can be unpacked; tar, zip, gz, bz2, xz and zst are.",
    )


def _begins_tar(start: bytes, name: str) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except _BLANK:  # only zeros: an empty tar, or any file of zeros
        return ".tar" in name.lower() or name.lower().endswith(".tgz")
    except tarfile.HeaderError:
        return False
    return True


@contextlib.contextmanager
def opened_members(path: Path, form: Format, gauge: Gauge, *, folder: Path, name: str) -> Iterator[Iterator[Member]]:
    """
    Give the members of an archive.

    Parameters
    ----------
    folder:
        Where they are to go, for the filter of `tarfile`.
    name:
        That of the one file, which its compression does not tell.
    """
    with CountedFile(path, gauge) as file:
        match form:
            case Format.TAR:
                yield _tar_members(cast("IO[bytes]", file), gauge, folder)
            case Format.ZIP:
                listed = ListedFile(cast("IO[bytes]", file), gauge)
                with zipfile.ZipFile(cast("IO[bytes]", listed)) as archive:
                    listed.is_opening = False
                    yield _zip_members(archive, gauge)
            case Format.SINGLE:
                yield _single_member(cast("IO[bytes]", file), gauge, name)


def _begun(file: IO[bytes]) -> Readable:
    compression = compression_of(file.read(LONGEST_MAGIC))
    file.seek(0)
    return decompressed(file, compression)


def _single_member(file: IO[bytes], gauge: Gauge, name: str) -> Iterator[Member]:
    yield Member(name=name, kind=Kind.FILE, content=_Expanding(_begun(file), gauge))


# ---------------------------------------------------------------------------------------------------------------- tar


class _Header(tarfile.TarInfo):
    """A header; one that is damaged is an error wherever it stands: `tarfile` takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            return super().frombuf(buf, encoding, errors)
        except (_BLANK, _NOTHING):
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # Called by `tarfile`; there is no public place between its header and its attributes.
        stream = archive.fileobj
        archive.fileobj = cast("Any", Attributes(cast("IO[bytes]", stream), self.size))
        try:
            return super()._proc_pax(archive)  # type: ignore[misc, no-any-return]  # as above
        finally:
            archive.fileobj = stream


def _tar_members(file: IO[bytes], gauge: Gauge, folder: Path) -> Iterator[Member]:
    stream = Bounded(_begun(file), gauge)
    with stream.between():
        archive = tarfile.open(  # noqa: SIM115 (a stream that is read once; what it reads from is closed by its owner)
            fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_TAR_READ, tarinfo=_Header
        )
    while True:
        with stream.between():
            info = archive.next()
        if info is None:
            break
        _refuse_long_attributes(archive.pax_headers)
        _let_filter_look(info, folder)
        yield _tar_member(archive, info)
        archive.members.clear()  # type: ignore[attr-defined]  # kept for who goes back; they would fill the memory
    stream.drain()


def _refuse_long_attributes(attributes: Mapping[str, str]) -> None:
    """Bound what headers say of all members that follow: `tarfile` keeps it, and copies it for each of them."""
    if sum(len(name) + len(value) for name, value in attributes.items()) > _MOST_ATTRIBUTES:
        raise PostProcessingFailed("The archive has attributes of many kilobytes for all members; it may be a trap.")


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    _refuse_special(info.name, is_special=not (info.isreg() or info.isdir() or info.issym() or info.islnk()))
    kind = Kind.FOLDER if info.isdir() else Kind.LINK if info.issym() else Kind.SAME if info.islnk() else Kind.FILE
    content = cast("Readable | None", archive.extractfile(info)) if kind is Kind.FILE else None
    return Member(
        name=info.name,
        kind=kind,
        content=content,
        mode=info.mode,
        modified_at=float(info.mtime),
        target=info.linkname,
    )


def _let_filter_look(info: tarfile.TarInfo, folder: Path) -> None:
    """Have Python's own filter look at a member, too; the first releases of 3.11 have none."""
    parts_of(info.name)  # first, since its words are plainer
    look = getattr(tarfile, "data_filter", None)
    if look is None:
        return
    try:
        look(info, str(folder))
    except tarfile.FilterError as error:
        raise PostProcessingFailed(f"The archive is refused: {error}.") from error


def _refuse_special(name: str, *, is_special: bool) -> None:
    if is_special:
        raise PostProcessingFailed(
            f"The member {name[:100]!r} of the archive is a device or a pipe; nothing was unpacked."
        )


# ---------------------------------------------------------------------------------------------------------------- zip


def _zip_members(archive: zipfile.ZipFile, gauge: Gauge) -> Iterator[Member]:
    infos = archive.infolist()
    gauge.expect_members(len(infos))
    for info in infos:
        yield _zip_member(archive, info, gauge)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, gauge: Gauge) -> Member:
    if info.flag_bits & _ENCRYPTED:
        raise PostProcessingFailed(f"The member {info.filename[:100]!r} is encrypted, and there is no password.")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = stat.S_IFMT(mode)
    name = info.filename.replace("\\", "/")  # some programs of Windows write them so
    _refuse_special(name, is_special=kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK))
    modified_at = _time_of(info)
    if info.is_dir() or kind == stat.S_IFDIR:
        return Member(name=name, kind=Kind.FOLDER, modified_at=modified_at)
    content = _Expanding(opened_content(archive, info), gauge)
    if kind == stat.S_IFLNK:
        with contextlib.closing(content):
            target = content.read(_LONGEST_TARGET).decode("utf-8", "surrogateescape")
        return Member(name=name, kind=Kind.LINK, target=target)
    return Member(name=name, kind=Kind.FILE, content=content, mode=stat.S_IMODE(mode) or None, modified_at=modified_at)


def _time_of(info: zipfile.ZipInfo) -> float | None:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (OverflowError, ValueError):
        return None


class _Expanding:
    """Content whose bytes are counted as they come out."""

    def __init__(self, stream: Readable, gauge: Gauge) -> None:
        self._stream = stream
        self._gauge = gauge

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(size)
        self._gauge.expand(len(data))
        return data

    def close(self) -> None:
        """Close what it reads from."""
        self._stream.close()
