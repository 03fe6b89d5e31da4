"""Checksum files that downloads name by a URI: fetched before the transfer begins, once for all that name the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.patience import Patience
from bgdl_jupyter.engine.small_file import fetch_small_file
from bgdl_jupyter.errors import IntegrityFailed, InvalidRequest
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.manifests.checksums import MAX_SIZE, ChecksumFile, read_checksum_file
from bgdl_jupyter.model.checksum_files import path_of_uri
from bgdl_jupyter.model.orders import make_request, order_of
from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.storage.digests import parse_checksum
from bgdl_jupyter.uris import SplitUri

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.order import Park
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.transport.base import Request

# A hundred thousand downloads with one checksum file have it fetched once in so many seconds.
_KEPT: Final = 600.0
_MOST_KEPT: Final = 4


class ChecksumFiles:
    """The checksum files that the operations of this process were given as URIs; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._fetches: dict[tuple[str, str], tuple[float, asyncio.Task[ChecksumFile]]] = {}

    async def resolve(self, operation: DownloadOperation, *, park: Park, draw: Callable[[], float]) -> None:
        """
        Let an operation know the digest that its checksum file has for it.

        Raises
        ------
        TransferFailed
            The file cannot be had, is none, or does not name the operation's.
        """
        uri = (operation.peek("options") or {}).get("checksum_file")
        if not uri or operation.checksum:
            return
        doing = TransferActivity.VERIFYING
        reason = "fetching its checksum file"
        self._runner.publish(ActivityChanged(operation_id=operation.guid, activity=doing, reason=reason))
        found = await asyncio.shield(self._fetch(operation, uri, park, draw))
        try:
            checksum = parse_checksum(found.checksum_of(path_of_uri(operation.requested_uri), operation.name))
        except InvalidRequest as error:
            raise IntegrityFailed(error.message, hint="") from None
        operation.set_trait("checksum", str(checksum))
        self._runner.save(operation)

    def _fetch(
        self, operation: DownloadOperation, uri: str, park: Park, draw: Callable[[], float]
    ) -> asyncio.Task[ChecksumFile]:
        key, now = (operation.application, uri), time.monotonic()
        begun, task = self._fetches.get(key, (0.0, None))
        if task is None or now - begun > _KEPT or (task.done() and (task.cancelled() or task.exception() is not None)):
            work = self._read(operation, uri, park, draw)
            task = self._runner.place.spawn(work, name=f"checksum file {uri}")
            self._fetches[key] = now, task
            while len(self._fetches) > _MOST_KEPT:
                self._fetches.pop(next(iter(self._fetches)))
        return task

    async def _read(
        self, operation: DownloadOperation, uri: str, park: Park, draw: Callable[[], float]
    ) -> ChecksumFile:
        facilities, split = self._runner.facilities, SplitUri(uri)

        async def request() -> Request:
            return await make_request(self._runner, operation, start=None, stop=None, condition=None, other=split)

        patience = Patience(order_of(operation).options, facilities=facilities, tell=_say_nothing, park=park, draw=draw)
        contents = await fetch_small_file(request, most=MAX_SIZE, facilities=facilities, patience=patience)
        try:
            return await facilities.run(read_checksum_file, contents, Path(path_of_uri(uri)).name)
        except InvalidRequest as error:
            raise IntegrityFailed(error.message, hint="") from None


def _say_nothing(*_: object, **__: object) -> None:
    """Tell nothing: several operations may wait for the same file."""
