"""One shard in a worker process: fetched by the same engine, its results durable, its unfinished files alone again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bgdl_jupyter.cluster.folder import Folder
from bgdl_jupyter.cluster.ledger import Ledger, Marker
from bgdl_jupyter.cluster.references import looked_up
from bgdl_jupyter.cluster.scratch import downloader_of, operation_id_of, scratch, storage_in
from bgdl_jupyter.cluster.tables import COLUMNS, COMPLETED
from bgdl_jupyter.cluster.ticket import CANCEL, PAUSE, RUN, Beat, Report, Ticket, topic_of
from bgdl_jupyter.errors import AttentionRequired, DestinationInUse, DuplicateDownload, InvalidManifest
from bgdl_jupyter.model.housekeeping import clear
from bgdl_jupyter.model.results import plain_value, result_of
from bgdl_jupyter.model.stores import is_store
from bgdl_jupyter.storage.digests import parse_checksum
from bgdl_jupyter.storage.leftovers import discard_leftovers

if TYPE_CHECKING:
    from uuid import UUID

    from bgdl_jupyter.cluster.ledger import Begun
    from bgdl_jupyter.cluster.tables import Row
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation

log = logging.getLogger(__name__)

#: Results are kept so often, in seconds; what came since is known by the files that are there.
_KEEP_EVERY: Final = 10.0
#: From so many bytes a file on average, one file gets all connections of the shard.
_LARGE: Final = 64 << 20
_EPOCHS: Final = 3
_HEARD_WITHIN: Final = 5.0
_ENDING: Final = frozenset({"closing", "closing_gracefully", "closed", "failed"})


def run_shard(ticket: Ticket) -> Report:
    """
    Fetch what of a shard is not there yet, and return how it ended; what Dask runs in a worker.

    Idempotent: it may be run again, after whatever became of it before, also by another worker.

    Raises
    ------
    BackgroundTransferError
        The ledger cannot be had, or this process cannot download.
    """
    return _Run(ticket).carry_out()


class _Run:
    def __init__(self, ticket: Ticket) -> None:
        from distributed import get_client, get_worker
        from distributed.variable import Variable

        self._ticket = ticket
        self._worker: Any = get_worker()
        self._order: Any = Variable(topic_of(ticket.job_id), client=get_client())
        self._ordered = RUN
        self._secrets = looked_up(ticket.references) | ticket.sealed.secrets()
        self._storage = storage_in(self._secrets)
        self._ledger = Ledger(Folder(ticket.ledger, self._storage))
        self._files = Folder(ticket.directory, self._storage)
        self._is_store = is_store(ticket.directory)
        self._token = uuid4().hex
        self._rows: dict[int, Row] = {}
        self._unkept: list[Row] = []
        self._kept_at = time.monotonic()
        self._parts = 0
        self._waited: dict[UUID, str] = {}

    def carry_out(self) -> Report:
        ticket = self._ticket
        lines = {each["line"]: each for each in self._ledger.lines(ticket.shard)}
        begun = self._ledger.begin(ticket.shard, self._token)
        earlier = self._ledger.results(ticket.shard) if ticket.round > 1 else []
        self._rows = {row["line"]: row for row in (*earlier, *begun.rows) if row["status"] == COMPLETED}
        todo = [line for number, line in lines.items() if number not in self._rows and not self._is_there(line, begun)]
        is_done = not todo or self._fetch(todo)
        completed = [row for row in self._rows.values() if row["status"] == COMPLETED]
        size = sum(row["bytes_received"] or 0 for row in completed)
        marker = Marker(
            shard=ticket.shard,
            round=ticket.round,
            completed=len(completed),
            failed=len(lines) - len(completed),
            size=size,
        )
        if is_done:
            self._ledger.finish(marker, [self._rows[number] for number in sorted(self._rows)])
        else:
            self._keep()
        return Report(
            shard=ticket.shard,
            round=ticket.round,
            is_done=is_done,
            completed=marker.completed,
            failed=marker.failed,
            size=size,
        )

    # ----------------------------------------------------------------------------------------------- what is there

    def _is_there(self, line: dict[str, Any], begun: Begun) -> bool:
        """
        Whether a worker before got this file and did not live to say so: only whole and verified ones get their name.

        What is older than the beginning of the shard is somebody else's.
        """
        if begun.since is None:
            return False
        found = self._files.look_at(line["destination"])
        if found is None or found.since < begun.since:
            self._discard(line, begun)
            return False
        digest = _digest_of(line)
        row = {
            "line": line["line"],
            "uri": line["uri"],
            "destination": self._place_of(line),
            "status": COMPLETED,
            "bytes_received": found.size,
            "total": found.size,
            "digest": digest,
        }
        self._take(row)
        return True

    def _discard(self, line: dict[str, Any], begun: Begun) -> None:
        """Remove what workers before had of a file; those of a store's are on their own disks."""
        if self._is_store:
            return
        place = self._place_of(line)
        for token in begun.tokens:
            discard_leftovers(Path(place).parent, operation_id_of(token, place), _EPOCHS)

    def _place_of(self, line: dict[str, Any]) -> str:
        return f"{self._ticket.directory.rstrip('/')}/{line['destination']}"

    # -------------------------------------------------------------------------------------------------- fetching

    def _fetch(self, todo: list[dict[str, Any]]) -> bool:
        """Fetch lines, and return whether it came to an end."""
        downloader = downloader_of(self._ticket, self._token, self._secrets)
        files, connections = _shape(todo, self._ticket.connections)
        downloader.max_connections_per_download = connections
        group = downloader.create_group(f"{self._ticket.shard}-{self._token}")
        group.max_parallel, group.max_rate = files, self._ticket.rate
        try:
            refusals = self._start(downloader, group, todo)
            for line in todo:
                if not refusals.get(line["line"]):
                    continue
                self._take(self._row_of_refused(line, refusals[line["line"]]))
            by_id = {operation_id_of(self._token, self._place_of(line)): line for line in todo}
            is_done = self._watch(group, by_id)
            self._collect(group, by_id)
            for line in todo:
                if is_done and line["line"] not in self._rows:
                    self._take(self._row_of_refused(line, refusals.get(0, "It was not started.")))
            return is_done
        finally:
            clear(group.operations)
            runner = scratch().runner
            # The host's limit is about to be another worker's.
            idle = asyncio.run_coroutine_threadsafe(runner.facilities.close_idle(), runner.place.loop)
            with contextlib.suppress(TimeoutError):
                idle.result(_HEARD_WITHIN)
            runner.place.call(runner.registry.drop_group, group.application, group.name)
            runner.state.delete_group(group.application, group.name)

    def _start(
        self, downloader: BackgroundDownloader, group: BackgroundTransferGroup, todo: list[dict[str, Any]]
    ) -> dict[int, str]:
        """Start lines; return by number why some were refused, and under 0 why those that are not there at the end."""
        options: dict[str, Any] = dict(self._ticket.options)
        if self._storage and self._is_store:
            options["storage_options"] = {**(options.get("storage_options") or {}), **self._storage}
        given = {"group": group.name, "directory": self._ticket.directory, **options}
        try:
            downloader.download_many(todo, **given)
        except InvalidManifest as error:
            refused = {each.line: each.reason for each in error.problems}
            rest = [line for line in todo if line["line"] not in refused]
            if rest and len(rest) < len(todo):
                refused |= self._start(downloader, group, rest)
            return refused
        except (DuplicateDownload, DestinationInUse) as error:
            return {0: str(error)}
        return {}

    def _watch(self, group: BackgroundTransferGroup, by_id: dict[Any, dict[str, Any]]) -> bool:
        """Stay until nothing is live, saying how far it is and doing what is ordered; False where it was given up."""
        while True:
            order = self._hear()
            if order == CANCEL or self._worker.status.name in _ENDING:
                with contextlib.suppress(TimeoutError):  # what it could not end, the end of the process will
                    group.cancel().wait(_HEARD_WITHIN)
                return False
            if order != self._ordered:
                (group.pause if order == PAUSE else group.resume)()
                self._ordered = order
            is_over = self._wait(group, self._ticket.beat)
            self._collect(group, by_id)
            self._tell(group)
            if time.monotonic() - self._kept_at > _KEEP_EVERY:
                self._keep()
            if is_over:
                return True

    def _wait(self, group: BackgroundTransferGroup, seconds: float) -> bool:
        if self._ordered == PAUSE:
            time.sleep(seconds)
            return not any(each.status.is_live for each in group.operations)
        try:
            group.wait(seconds)
        except TimeoutError:
            return False
        except AttentionRequired:
            # Nobody is here who could answer: what waits for a person has failed.
            for each in group.operations:
                if each.status.waits_for_a_person:
                    self._waited[each.guid] = each.status_reason
                    each.cancel()
            return False
        return True

    def _hear(self) -> str:
        """Return what is ordered; the same as before where the scheduler does not say."""
        try:
            order: str = self._order.get(timeout=_HEARD_WITHIN)
        except Exception as error:  # noqa: BLE001 (a scheduler that is away has many ways to say so)
            log.info("The order of the job cannot be heard: %s", type(error).__name__)
            return self._ordered
        return order

    def _tell(self, group: BackgroundTransferGroup) -> None:
        progress = group.progress
        failed = sum(row["status"] != COMPLETED for row in self._rows.values())
        beat = Beat(
            shard=self._ticket.shard,
            completed=len(self._rows) - failed,
            failed=failed,
            running=progress.running,
            size=sum(row["bytes_received"] or 0 for row in self._rows.values()),
            rate=progress.rate,
            is_paused=self._ordered == PAUSE,
        )
        self._worker.log_event(topic_of(self._ticket.job_id), {"beat": dataclasses.asdict(beat)})

    # --------------------------------------------------------------------------------------------------- results

    def _collect(self, group: BackgroundTransferGroup, by_id: dict[Any, dict[str, Any]]) -> None:
        """Take in what became final."""
        for operation in group.operations:
            line = by_id.get(operation.guid)
            is_final = operation.is_over and (not operation.status.is_canceled or operation.guid in self._waited)
            if line is not None and is_final and line["line"] not in self._rows:
                self._take(self._row_of(line, operation))

    def _take(self, row: Row) -> None:
        self._rows[row["line"]] = row
        self._unkept.append(row)

    def _row_of(self, line: dict[str, Any], operation: DownloadOperation) -> Row:
        result = result_of(operation)
        row: Row = {name: plain_value(getattr(result, name)) for name in COLUMNS if hasattr(result, name)}
        reason = self._waited.get(operation.guid)
        if reason is not None:
            row |= {"status": "ERROR", "error": reason}
        elif not operation.standing.is_success:
            row |= {"status": "ERROR"}
        if operation.integrity is not None:
            row["integrity"] = operation.integrity.value
        return row | {"line": line["line"]}

    def _row_of_refused(self, line: dict[str, Any], reason: str) -> Row:
        place = self._place_of(line)
        return {"line": line["line"], "uri": line["uri"], "destination": place, "status": "ERROR", "error": reason}

    def _keep(self) -> None:
        """Make durable what is new."""
        self._kept_at = time.monotonic()
        if self._unkept:
            self._parts += 1
            self._ledger.put_part(self._ticket.shard, self._token, self._parts, self._unkept)
            self._unkept = []


def _digest_of(line: dict[str, Any]) -> str | None:
    text = f"sha256:{line['sha256']}" if line.get("sha256") else line.get("checksum")
    return str(parse_checksum(text)) if text else None


def _shape(lines: list[dict[str, Any]], connections: int) -> tuple[int, int]:
    """Return how many files at once, and how many connections each: never more together than the shard has."""
    sizes = [int(each.get("max_size") or 0) for each in lines]
    is_large = sum(sizes) / len(sizes) >= _LARGE
    files = 1 if is_large else min(connections, len(lines))
    return files, connections // files
