"""
Request bodies that come as a stream.

They are written to a private file before the operation exists, so that they can be sent again, and removed when
nobody can ask for that any more: the download is complete, canceled, or not kept. One that failed keeps its body for
`retry`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack, runtime_checkable
from uuid import UUID, uuid4

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest, InvalidTransferState
from bgdl_jupyter.events import OperationRemoved, OperationsAdded, StatusChanged
from bgdl_jupyter.model import display
from bgdl_jupyter.model.application import state_file_path
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.storage.spool import SpoolFile, discard_body, spool_folder, spooled

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.creation import Creation
    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.options import DownloadOptions
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.status import BackgroundTransferStatus

log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 20
_OPTIONS: Final = frozenset({"options"})


@runtime_checkable
class BinaryFile(Protocol):
    """Something that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


BodyStream = bytes | bytearray | memoryview | BinaryFile | AsyncIterable[bytes] | Iterable[bytes]


class SendsBodies:
    """The part of a downloader that takes request bodies as streams."""

    if TYPE_CHECKING:

        @property
        def _runner(self) -> Runner: ...

        def _draft(
            self, uri: str, result_file: Any, options: Mapping[str, Any], *, may_be_folder: bool = True
        ) -> Draft: ...

        def _creation(self, *, is_alone: bool = False) -> AbstractContextManager[Creation]: ...

    async def create_download_from_stream(
        self,
        uri: str,
        result_file: str | os.PathLike[str] | None,
        stream: BodyStream,
        **options: Unpack[DownloadOptions],
    ) -> DownloadOperation:
        """
        Create an operation that sends what a stream gives; it is IDLE, and durable with its body, when this returns.

        Parameters
        ----------
        uri, result_file, options:
            As `BackgroundDownloader.create_download`; without ``method`` the request is a POST.
        stream:
            Bytes, a binary file, or an (async) iterable of bytes; read to its end here, and not closed. It is kept
            in a file that only this user can read until the download is complete, canceled, or not kept any more.

        Raises
        ------
        InvalidRequest
            The stream gives something else than bytes, or see `BackgroundDownloader.create_download`.
        StorageFailed
            The body could not be kept.
        """
        if "request_body_file" in options:
            raise InvalidRequest("Give request_body_file or a stream, not both.")
        chunks = _chunks_of(stream)
        await asyncio.to_thread(self._draft, uri, result_file, {"method": "POST", **options}, may_be_folder=False)
        runner, operation_id = self._runner, uuid4()
        body = await asyncio.to_thread(SpoolFile, runner.bodies.folder, operation_id)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(body.write, chunk)
            await asyncio.to_thread(body.finish)
            given = {**options, "request_body_file": body.path}
            return await asyncio.to_thread(self._create_with_body, uri, result_file, operation_id, given)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(runner.bodies.discard_unused, body, operation_id))
            raise

    def _create_with_body(
        self, uri: str, result_file: str | os.PathLike[str] | None, operation_id: UUID, options: Mapping[str, Any]
    ) -> DownloadOperation:
        draft = self._draft(uri, result_file, options, may_be_folder=False)._replace(operation_id=operation_id)
        with self._creation() as creation:
            return creation.create_one(draft)


class Bodies:
    """The bodies that are kept, and what becomes of them; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.folder: Path = spool_folder((runner.state.path or state_file_path()).parent)
        self._kept: set[UUID] = set()
        runner.events.subscribe(self._hear, OperationsAdded, StatusChanged, OperationRemoved)
        runner.place.spawn(self._sweep(), name="sweep bodies")

    def discard_unused(self, body: SpoolFile, operation_id: UUID) -> None:
        """Delete a body that got no operation; blocks."""
        if self._runner.registry.find(operation_id) is None:
            body.discard()

    def has_lost(self, operation: DownloadOperation) -> bool:
        """Whether an operation was canceled whose body was kept for it alone: nobody has that any more."""
        return operation.status.is_canceled and self._is_kept_here(operation)

    def check_kept(self, operation: DownloadOperation) -> None:
        """Raise `InvalidTransferState` where the body that is to be sent again is gone."""
        if self.has_lost(operation):
            message = f"{display.title(operation)} was canceled, and its request's body was not kept; create it again."
            raise InvalidTransferState(message, operation=operation)

    def _hear(self, event: Event) -> None:
        match event:
            case OperationsAdded(operation_ids=operation_ids):
                for values, some in alike(self._runner.registry.find_all(operation_ids), _OPTIONS):
                    if values["options"].get("request_body_file") is not None:
                        self._keep(some)
            case StatusChanged(operation_id=operation_id, new=new) if operation_id in self._kept:
                self._settle(operation_id, new)
            case OperationRemoved(operation_id=operation_id) if operation_id in self._kept:
                self._runner.place.spawn(self._discard_orphans([operation_id]), name=f"body of {operation_id}")

    def _keep(self, operations: Iterable[DownloadOperation]) -> None:
        for operation in operations:
            if self._is_kept_here(operation):
                self._kept.add(operation.guid)
                self._settle(operation.guid, operation.status)

    def _settle(self, operation_id: UUID, status: BackgroundTransferStatus) -> None:
        if status.is_success or status.is_canceled:
            self._runner.place.spawn(self._discard(operation_id), name=f"body of {operation_id}")

    def _is_kept_here(self, operation: DownloadOperation) -> bool:
        path = operation.values["options"].get("request_body_file")
        return path is not None and path == str(self.folder / str(operation.guid))

    async def _sweep(self) -> None:
        """Delete what a kernel left that died between a body and its operation, or before its removal."""
        await self._discard_orphans(await self._runner.facilities.run(spooled, self.folder))

    async def _discard_orphans(self, operation_ids: list[UUID]) -> None:
        if not operation_ids:
            return
        rows = await asyncio.wrap_future(self._runner.state.rows(operation_ids=operation_ids))
        known = {row.operation_id for row in rows}
        for operation_id in operation_ids:
            if operation_id not in known:
                await self._discard(operation_id)

    async def _discard(self, operation_id: UUID) -> None:
        self._kept.discard(operation_id)
        try:
            await self._runner.facilities.run(discard_body, self.folder, operation_id)
        except BackgroundTransferError as error:
            log.warning("The body of a request was left behind: %s", error)


def _chunks_of(stream: BodyStream) -> AsyncIterator[bytes]:
    """Return the bytes of a stream in pieces; what cannot be one is refused now."""
    if isinstance(stream, bytes | bytearray | memoryview):
        return _checked(_whole(bytes(stream)))
    if isinstance(stream, str | Mapping):
        raise InvalidRequest(f"A body is bytes, a binary file or an async iterable of bytes, not {_kind(stream)}.")
    if isinstance(stream, AsyncIterable):
        return _checked(stream)
    if isinstance(stream, BinaryFile):
        return _checked(_read(stream))
    if isinstance(stream, Iterable):
        return _checked(_iterated(stream))
    raise InvalidRequest(f"A body is bytes, a binary file or an async iterable of bytes, not {_kind(stream)}.")


async def _checked(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidRequest(f"The body's stream gives {_kind(chunk)}, not bytes; open files in binary mode.")
        yield chunk


def _kind(value: object) -> str:
    return type(value).__name__


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _read(file: BinaryFile) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


async def _iterated(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    iterator, end = iter(chunks), object()
    while (chunk := await asyncio.to_thread(next, iterator, end)) is not end:
        yield chunk  # type: ignore[misc]  # the end is none of them
