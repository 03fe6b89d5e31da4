"""
Reading a file while it arrives.

Bytes are read from the partial file, or from the file when it has its name, as soon as they are written; readers wait
for what is missing, through pauses and retries, on whatever loop they run. A download that begins again at byte 0 has
another version to give: whoever has read some of the old one is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from bgdl_jupyter.errors import InvalidRequest, ResourceChanged, StorageFailed, TransferCanceled
from bgdl_jupyter.events import OperationEvent
from bgdl_jupyter.model import display
from bgdl_jupyter.storage.descriptor import Descriptor, FileIdentity
from bgdl_jupyter.storage.partial_file import partial_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path
    from types import TracebackType

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner

T = TypeVar("T")

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Reach:
    """Up to where bytes can be read, and where they are; ``stop`` at the position itself stands for the end."""

    stop: int
    generation: int
    paths: tuple[Path, ...]
    identity: FileIdentity | None


class _Source:
    """The bytes of one operation as one reader sees them; every method may be called from any loop."""

    def __init__(self, runner: Runner, operation: DownloadOperation) -> None:
        self._runner = runner
        self._operation = operation
        self._generation: int | None = None
        self._descriptor: Descriptor | None = None
        self._identity: FileIdentity | None = None
        self._lock = asyncio.Lock()
        self._is_closed = False

    async def read(self, position: int, count: int, *, jumps: bool) -> bytes:
        """
        Return at least one and at most ``count`` bytes from a position on; none at the end.

        ``jumps`` has what is missing fetched before all else, and lets a known length be the end; else the end is
        where a complete and verified file ends.
        """
        async with self._lock:
            if self._is_closed:
                raise InvalidRequest("The reader is closed.")
            reach = await self._on_engine(self._reach(position, jumps=jumps))
            if reach.stop <= position:
                return b""
            data = await asyncio.to_thread(self._read, reach, position, min(count, reach.stop - position))
            # Looked at behind the bytes: what was truncated meanwhile was voided before.
            if await self._on_engine(self._present_generation()) != reach.generation:
                raise self._changed()
            self._generation = reach.generation
            if not data:
                raise StorageFailed(f"The file of {display.title(self._operation)} is shorter than it was.")
            return data

    async def length(self) -> int | None:
        """Wait until the server has answered, and return the length; None where it gives none."""
        return await self._on_engine(self._length())

    async def aclose(self) -> None:
        """Close the file; may be repeated."""
        async with self._lock:
            self._is_closed = True
            self._close()

    # ------------------------------------------------------------------------------------------ on the engine's loop

    async def _on_engine(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something where the model lives, from whatever loop this is."""
        place = self._runner.place
        if place.is_here():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, place.loop))

    async def _present_generation(self) -> int:
        return self._operation.generation

    async def _reach(self, position: int, *, jumps: bool) -> _Reach:
        async with _news_of(self._runner, self._operation) as news:
            while True:
                reach = self._look(position, jumps=jumps)
                if reach is not None:
                    return reach
                news.clear()
                if jumps:
                    self._runner.transfers.want(self._operation, position)
                await news.wait()

    async def _length(self) -> int | None:
        async with _news_of(self._runner, self._operation) as news:
            while self._operation.get_response_information() is None and not self._operation.status.is_success:
                self._check_that_more_may_come()
                news.clear()
                await news.wait()
        total: int | None = self._operation.progress.total_bytes_to_receive
        return total

    def _look(self, position: int, *, jumps: bool) -> _Reach | None:
        """Return what can be read at a position now; None where that is not known yet."""
        operation = self._operation
        if self._generation not in (None, operation.generation):
            raise self._changed()
        stop = operation.finished_ranges.contiguous_from(position)
        if stop > position:
            return self._reach_to(stop)
        total = operation.progress.total_bytes_to_receive
        if operation.status.is_success or (jumps and total is not None and position >= total):
            return self._reach_to(position)
        self._check_that_more_may_come()
        return None

    def _reach_to(self, stop: int) -> _Reach:
        operation, durable = self._operation, self._operation.durable
        part = operation.directory / partial_name(operation.guid, durable.file_epoch)
        named = [operation.result_file] if operation.result_file is not None else []
        paths = (*named, part) if operation.status.is_success else (part, *named)
        return _Reach(stop, operation.generation, paths, durable.file)

    def _check_that_more_may_come(self) -> None:
        operation = self._operation
        operation.check_not_held()
        error = operation.error
        if error is not None:
            self._runner.mark_seen(operation)
            raise error
        if self._runner.registry.find(operation.guid) is not operation:
            raise TransferCanceled(f"{display.title(operation)} is not kept any longer.", operation=operation)

    def _changed(self) -> ResourceChanged:
        return ResourceChanged(
            f"{display.title(self._operation)} began again at byte 0; what was read belongs to another version.",
            hint="Open it again and read from the beginning.",
            operation=self._operation,
        )

    # ------------------------------------------------------------------------------------------------------ in a thread

    def _read(self, reach: _Reach, position: int, count: int) -> bytes:
        if self._descriptor is None or (reach.identity is not None and reach.identity != self._identity):
            self._open(reach)
        assert self._descriptor is not None  # noqa: S101 (it was just opened)
        try:
            with self._descriptor.borrow() as number:
                return os.pread(number, count, position)
        except OSError as error:
            raise StorageFailed(f"{reach.paths[0].name!r} cannot be read: {error.strerror}.") from error

    def _open(self, reach: _Reach) -> None:
        """Open the file that the bytes are in: the recorded one, whatever it is called now."""
        self._close()
        for path in reach.paths:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                identity = FileIdentity.of(os.fstat(descriptor))
                if reach.identity in (None, identity):
                    self._descriptor, self._identity = Descriptor(descriptor), identity
                    return
                os.close(descriptor)
        operation = self._operation
        if operation.store_url and operation.status.is_success:
            raise StorageFailed(f"The file is at {operation.store_url!r} now.", hint="Open it there: fsspec.open(…).")
        raise StorageFailed(f"The file of {display.title(operation)} is gone, or another one has its name.")

    def _close(self) -> None:
        descriptor, self._descriptor, self._identity = self._descriptor, None, None
        if descriptor is not None:
            descriptor.close()

    def __del__(self) -> None:
        self._close()


@contextlib.asynccontextmanager
async def _news_of(runner: Runner, operation: DownloadOperation) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set whenever something happened to an operation; on the engine's loop."""
    news = asyncio.Event()

    def hear(event: Event) -> None:
        if isinstance(event, OperationEvent) and event.operation_id == operation.guid:
            news.set()

    end: Callable[[], None] = runner.events.subscribe(hear)
    try:
        yield news
    finally:
        end()


class ResultStream:
    """
    The bytes of a download in order, as they arrive; made by `DownloadOperation.get_result_stream_at`.

    Waits for more, through pauses, and ends when the file is complete. May be used on any loop, by one reader.

    Raises
    ------
    ResourceChanged
        The download began again at byte 0 after some bytes had been read.
    BackgroundTransferError
        What ended the download.

    Examples
    --------
    >>> arrived = 0
    >>> async for chunk in operation.get_result_stream_at():  # doctest: +SKIP
    ...     arrived += len(chunk)
    """

    def __init__(self, runner: Runner, operation: DownloadOperation, position: int) -> None:
        if position < 0:
            raise InvalidRequest(f"A position is a number of bytes from the beginning, not {position}.")
        self._source = _Source(runner, operation)
        self._position = position

    def tell(self) -> int:
        """Return where the next byte comes from."""
        return self._position

    async def read(self, n: int = -1) -> bytes:
        """Return what has arrived, at least one and at most ``n`` bytes, none at the end; all to the end for -1."""
        if n == 0:
            return b""
        if n > 0:
            return await self._read_some(n)
        parts = []
        while part := await self._read_some(_CHUNK):
            parts.append(part)
        return b"".join(parts)

    async def _read_some(self, count: int) -> bytes:
        data = await self._source.read(self._position, count, jumps=False)
        self._position += len(data)
        return data

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self._read_some(_CHUNK)
        if not data:
            await self.aclose()
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Close the stream; the download goes on."""
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class ResultFile:
    """
    A download as a file that can be read anywhere; made by `DownloadOperation.open_result`.

    Reading what is missing has that range fetched before all else, where the server sends ranges. May be used on any
    loop, by one reader.

    Examples
    --------
    >>> async with await operation.open_result() as file:  # doctest: +SKIP
    ...     position = file.seek(8)
    ...     middle = await file.read(8)
    """

    def __init__(self, source: _Source, length: int | None) -> None:
        self._source = source
        self._length = length
        self._position = 0

    @classmethod
    async def open(cls, runner: Runner, operation: DownloadOperation) -> Self:
        """Return the file when the server has said how long it is; waits for the start of the download, too."""
        source = _Source(runner, operation)
        return cls(source, await source.length())

    @property
    def size(self) -> int | None:
        """How many bytes the whole has; None where the server does not say."""
        return self._length

    def tell(self) -> int:
        """Return where the next byte comes from."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """
        Read from another place next, and return it.

        Raises
        ------
        InvalidRequest
            The place is before the beginning, or relative to an end that is not known.
        """
        if whence == os.SEEK_END and self._length is None:
            raise InvalidRequest("Where the file ends is not known yet; seek from its beginning.")
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length or 0}
        if whence not in bases or bases[whence] + offset < 0:
            raise InvalidRequest(f"There is no place {offset} from there (whence {whence}).")
        self._position = bases[whence] + offset
        return self._position

    async def read(self, n: int = -1) -> bytes:
        """
        Return ``n`` bytes, fewer only at the end; all to the end for -1.

        Raises
        ------
        ResourceChanged
            The download began again at byte 0 after some bytes had been read.
        BackgroundTransferError
            What ended the download.
        """
        parts: list[bytes] = []
        left = n
        while left and (part := await self._source.read(self._position, _most(left), jumps=True)):
            parts.append(part)
            self._position += len(part)
            left -= len(part) if n > 0 else 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def aclose(self) -> None:
        """Close the file; the download goes on."""
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _most(left: int) -> int:
    return _CHUNK if left < 0 else min(left, _CHUNK)
