"""A transport of another package: ``shelf://HOST/PATH`` is a file below the folder that SHELF names."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from yarl import URL

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import Answer, ContentRange, Resource, Validator, ValidatorKind
from bgdl_jupyter.transport.base import Exchange, Framing, Request, Sink
from bgdl_jupyter.uris import Origin, origin_of
from bgdl_jupyter.web_error_status import WebErrorStatus


class ShelfTransport:
    """Finds files."""

    schemes = frozenset({"shelf"})

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Exchange]:
        """Open a file for a request."""
        path = Path(os.environ["SHELF"], URL(request.uri.full).path.lstrip("/"))
        if not path.is_file():
            raise TransferFailed("The shelf has no such file.", web_error_status=WebErrorStatus.NOT_FOUND)
        with path.open("rb") as file:
            yield ShelfExchange(file, request)

    async def aclose(self) -> None:
        """Close all connections: there are none."""


class ShelfExchange:
    """A file that was found, and has not been read."""

    has_sent_body = False

    def __init__(self, file: BinaryIO, request: Request) -> None:
        size, modified = os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_mtime_ns
        start = request.start or 0
        stop = size if request.stop is None else min(request.stop, size)
        validator = Validator(ValidatorKind.ETAG, f'"{modified}-{size}"')
        self._file, self._start, self._stop = file, start, stop
        self.origin: Origin = origin_of(request.uri.public)
        self.answer = Answer(
            resource=Resource(
                actual_uri=request.uri.public, status_code=200, length=size, validator=validator, accepts_ranges=True
            ),
            status=200 if request.start is None else 206,
            content_length=stop - start,
            content_range=None if request.start is None else ContentRange(ByteRange(start, stop), size),
            has_content_range=request.start is not None,
        )

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """Deliver the bytes that were asked for."""
        self._file.seek(self._start)
        left = self._stop - self._start
        left = left if limit is None else min(left, limit)
        while left and (chunk := self._file.read(min(left, 1 << 16))):
            left -= len(chunk)
            if (room := sink.write(chunk)) is not None:
                await room
        return Framing.LENGTH
