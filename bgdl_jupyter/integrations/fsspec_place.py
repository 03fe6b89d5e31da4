"""One place in a store that fsspec opens: what is there, and how a file gets there whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.uploads import Choice, GivenUp
from bgdl_jupyter.errors import BackgroundTransferError, DestinationExists, NetworkFailed, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.digests import new_hash
from bgdl_jupyter.storage.filenames import MOST_NAMES, unique_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bgdl_jupyter.resource import Digest
    from bgdl_jupyter.secret import Secret

log = logging.getLogger(__name__)

#: An upload to these appears when it is complete, by the promise of the service.
WHOLE_OR_NOT: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
_REPLACES: Final = frozenset({CreationCollisionOption.REPLACE_EXISTING, CreationCollisionOption.OPEN_IF_EXISTS})
_TROUBLE_OF_THE_NETWORK: Final = frozenset(
    {errno.EBUSY, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
    | {errno.EPIPE, getattr(errno, "EREMOTEIO", errno.EIO)}
)
_NETWORK_LIBRARIES: Final = frozenset({"aiohttp", "botocore", "requests", "urllib3", "azure", "google"})
_READ_AT_ONCE: Final = 1 << 20
_PART: Final = 8 << 20
# The services take 10,000 parts.
_MOST_PARTS: Final = 9000


class Place:
    """
    One place in a store; a `StorePlace`.

    Parameters
    ----------
    kind:
        fsspec's class for the store.
    url, storage, collision, guard:
        As for `StoreProvider.open_place`.
    """

    def __init__(
        self,
        kind: Any,
        url: str,
        storage: Secret | None,
        *,
        collision: CreationCollisionOption,
        guard: Callable[[str], str],
    ) -> None:
        self._url = url
        self._collision = collision
        self._guard = guard
        self._kind = kind
        options = json.loads(storage.reveal()) if storage is not None else {}
        with self._failing("open"):
            from_url = self._kind._get_kwargs_from_urls(url)  # noqa: SLF001 (fsspec's own way from a URL to its options)
            self._files = self._kind(**{**from_url, **options})
        self._is_whole_or_not = not WHOLE_OR_NOT.isdisjoint(_all(self._kind.protocol))

    # -------------------------------------------------------------------------------------------------- as a publisher

    def choose(self, staged: Path, announced: str | None) -> Choice:
        """Return the URL to use; see `Publisher`."""
        with self._failing("look at"):
            if announced is not None and self._has_bytes_of(staged, announced, is_proof_needed=True):
                return Choice(announced, is_there=True)
            if self._collision in _REPLACES:
                return Choice(self._url, is_there=False)
            if self._collision is CreationCollisionOption.FAIL_IF_EXISTS:
                if self._info(self._url) is not None:
                    raise DestinationExists(f"{self._url!r} exists.")
                return Choice(self._url, is_there=False)
            return Choice(self._free_url(staged), is_there=False)

    def deliver(self, staged: Path, url: str, *, sent: Callable[[int], None]) -> bool:
        """Make the file appear in the store; see `Publisher`."""
        path = self._path(url)
        with self._failing("write"):
            try:
                if self._is_whole_or_not:
                    self._put(staged, path, sent, may_replace=self._collision in _REPLACES)
                else:
                    self._put_aside(staged, path, sent)
            except FileExistsError:
                if self._collision is CreationCollisionOption.FAIL_IF_EXISTS:
                    raise DestinationExists(f"{url!r} exists.") from None
                return False
            self._check(staged, url)
        return True

    def find(self, *, size: int | None = None, digest: Digest | None = None) -> int | None:
        """Return the size of what is there; see `StorePlace`."""
        with self._failing("look at"):
            info = self._info(self._url)
            if info is None or (size is not None and info["size"] != size):
                return None
            if digest is not None and self._read_through(self._url, digest.algorithm) != digest.value:
                return None
            return int(info["size"])

    # --------------------------------------------------------------------------------------------------------- in parts

    def _path(self, url: str) -> str:
        return str(self._kind._strip_protocol(url))  # noqa: SLF001 (fsspec's own way from a URL to a path)

    def _free_url(self, staged: Path) -> str:
        folder, _, name = self._url.rpartition("/")

        def is_taken(each: Path) -> bool:
            return self._info(f"{folder}/{each.name}") is not None

        for each, _ in zip(unique_names(staged.with_name(name), is_taken), range(MOST_NAMES), strict=False):
            if not is_taken(each):
                return f"{folder}/{each.name}"
        raise StorageFailed(f"No name like {name!r} is free in {folder!r}.")

    def _info(self, url: str) -> dict[str, Any] | None:
        """Return what the store says of a file; None where there is none. Asked anew: others write there, too."""
        path = self._path(url)
        self._files.invalidate_cache(self._files._parent(path))  # noqa: SLF001 (fsspec's own way to a folder)
        try:
            found: dict[str, Any] = self._files.info(path)
        except FileNotFoundError:
            return None
        return found if found.get("type") == "file" else None

    def _put(self, staged: Path, path: str, sent: Callable[[int], None], *, may_replace: bool) -> None:
        options: dict[str, Any] = {}
        known = inspect.signature(getattr(self._files, "_put_file", self._files.put_file)).parameters
        if not may_replace:
            if "mode" in known:
                options["mode"] = "create"
            else:
                self._refuse_taken(path)
        if "chunksize" in known:
            parts = -(-staged.stat().st_size // _MOST_PARTS)
            options["chunksize"] = max(_PART, -(-parts // _READ_AT_ONCE) * _READ_AT_ONCE)
        try:
            self._files.put_file(str(staged), path, callback=_counting(sent), **options)
        except OSError as error:
            if error.errno != errno.ENOSYS or "mode" not in options:
                raise
            # A store like S3 that cannot refuse to replace: asked just before, as any other.
            self._refuse_taken(path)
            del options["mode"]
            self._files.put_file(str(staged), path, callback=_counting(sent), **options)

    def _refuse_taken(self, path: str) -> None:
        self._files.invalidate_cache(self._files._parent(path))  # noqa: SLF001 (fsspec's own way to a folder)
        if self._files.exists(path):
            raise FileExistsError(path)

    def _put_aside(self, staged: Path, path: str, sent: Callable[[int], None]) -> None:
        folder = str(self._files._parent(path))  # noqa: SLF001 (fsspec's own way to a folder)
        aside = f"{folder.rstrip('/')}/{staged.name}"
        self._files.makedirs(folder, exist_ok=True)
        for earlier in _names_before(staged.name):  # of a kernel that died while it sent the same
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(f"{folder.rstrip('/')}/{earlier}")
        try:
            self._files.put_file(str(staged), aside, callback=_counting(sent))
            self._refuse_incomplete(aside, staged)
            sent(staged.stat().st_size)  # the last moment to give up
            self._move(aside, path)
        except BaseException:
            with contextlib.suppress(Exception):  # the error before is the one to tell
                self._files.rm_file(aside)
            raise

    def _refuse_incomplete(self, aside: str, staged: Path) -> None:
        """Look before the name is given: what would be wrong there must not be seen there."""
        size, expected = int(self._files.info(aside)["size"]), staged.stat().st_size
        if size != expected:
            raise StorageFailed(f"The store has {size:,} of the {expected:,} bytes that were sent.")

    def _move(self, aside: str, path: str) -> None:
        """Give the name, atomically where the store can; without the patterns that fsspec sees in odd names."""
        may_replace = self._collision in _REPLACES
        if not may_replace:
            self._refuse_taken(path)
        from fsspec import AbstractFileSystem

        if type(self._files).mv is AbstractFileSystem.mv:
            self._files.cp_file(aside, path)
            self._files.rm_file(aside)
            return
        try:
            self._files.mv(aside, path)
        except OSError:
            if not (may_replace and self._files.exists(path) and self._files.exists(aside)):
                raise
            self._files.rm_file(path)  # there is no other way where a rename refuses to replace
            self._files.mv(aside, path)

    def _check(self, staged: Path, url: str) -> None:
        if not self._has_bytes_of(staged, url):
            raise StorageFailed(f"The store has other bytes at {url!r} than were sent.", hint="Retry sends them again.")

    def _has_bytes_of(self, staged: Path, url: str, *, is_proof_needed: bool = False) -> bool:
        """
        Whether the store has these bytes at a URL: their number, and their MD5 where it tells one.

        An MD5 that differs may be none: of an encrypted object, or of one in parts. All is read again then, and where
        there is no MD5 and the number alone is not enough.
        """
        info = self._info(url)
        if info is None or int(info["size"]) != staged.stat().st_size:
            return False
        told = _told_md5(info)
        if told == _digest_of(staged, "md5") if told is not None else not is_proof_needed:
            return True
        return self._read_through(url, "sha256") == _digest_of(staged, "sha256")

    def _read_through(self, url: str, algorithm: str) -> str:
        running = new_hash(algorithm)
        with self._files.open(self._path(url), "rb") as file:
            while chunk := file.read(_READ_AT_ONCE):
                running.update(chunk)
        return running.digest().hex()

    @contextlib.contextmanager
    def _failing(self, action: str) -> Iterator[None]:
        """Turn what fsspec and the libraries below it raise into ours; their texts may hold what is secret."""
        try:
            yield
        except (BackgroundTransferError, GivenUp):
            raise
        except Exception as error:  # noqa: BLE001 (each store has errors of its own, and all mean that it refused)
            kind = type(error).__name__
            said = self._guard(f"{kind}: {error}" if str(error) else kind)
            message = f"Cannot {action} {self._url!r}: {said}"
            log.info("%s", message)
            if _is_transient(error):
                raise NetworkFailed(message) from None
            raise StorageFailed(message, hint=_hint(error)) from None


def _names_before(name: str) -> list[str]:
    """Return what a private file was called under the leases before (`partial_name`)."""
    stem, _, epoch = name.removesuffix(".bgdl").rpartition("-")
    return [f"{stem}-{each}.bgdl" for each in range(1, int(epoch))] if epoch.isdigit() else []


def _all(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol


def _is_transient(error: Exception) -> bool:
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, PermissionError | FileNotFoundError) or "Credential" in type(error).__name__:
        return False
    if isinstance(error, ConnectionError | TimeoutError) or library in _NETWORK_LIBRARIES:
        return True
    return isinstance(error, OSError) and error.errno in _TROUBLE_OF_THE_NETWORK


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "Check who you are to the store: storage_options, or its own configuration; then retry()."
    if isinstance(error, FileNotFoundError):
        return "Check that the bucket or the folder exists, then retry()."
    return "The file is kept; retry() sends it again."


def _told_md5(info: dict[str, Any]) -> str | None:
    """Return the MD5 that a store tells of a file, in hexadecimal; None where it tells none."""
    if "md5Hash" in info:  # Google
        return base64.b64decode(info["md5Hash"]).hex()
    settings = info.get("content_settings") or {}
    if settings.get("content_md5"):  # Azure
        return bytes(settings["content_md5"]).hex()
    tag = str(info.get("ETag", "")).strip('"')
    is_digest = len(tag) == 32 and all(each in "0123456789abcdef" for each in tag)  # noqa: PLR2004 (of an MD5)
    return tag if is_digest else None


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _counting(sent: Callable[[int], None]) -> Any:
    """Return what fsspec tells its progress."""
    from fsspec.callbacks import Callback

    class Counting(Callback):  # type: ignore[misc]  # fsspec has no types
        def call(self, hook_name: str | None = None, **_: Any) -> None:  # noqa: ARG002 (fsspec's signature)
            sent(self.value)

    return Counting()
