"""
From drafts to operations: durable in the state file before anybody sees them.

Two operations for the same thing are made impossible by the state file itself, across kernels; what it refuses is
told here in the user's terms, or answered with another name or the operation that exists.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, DuplicateDownload, StateFileError
from bgdl_jupyter.model.existing import completed_twin, refuse_foreign
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.persistence import plain
from bgdl_jupyter.model.restoring import restore
from bgdl_jupyter.model.stores import free_location
from bgdl_jupyter.status import BackgroundTransferStatus, CreationCollisionOption
from bgdl_jupyter.storage.filenames import destination_key, unique_names
from bgdl_jupyter.storage.records import OperationRow, RowConflict, loaded_text
from bgdl_jupyter.storage.spool import digest_of_body
from bgdl_jupyter.uris import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.runner import Runner

_DURABLE_WITHIN: Final = 60.0
_TOGETHER: Final = 2000
_MOST_NAMES: Final = 10_000
# Each try knows the names that were taken at the one before: only those who create at the same time are in the way.
_MOST_TRIES: Final = 100


class Creation:
    """One call of a user that creates operations: its operations make one batch."""

    def __init__(
        self, runner: Runner, application: str, *, batch: str | None = None, on_restore: str = "resume"
    ) -> None:
        self._runner = runner
        self._on_restore = on_restore
        self._application = application
        self._batch = batch or uuid4().hex

    def create_one(self, draft: Draft) -> DownloadOperation:
        """
        Create an operation, IDLE and durable.

        Raises
        ------
        DuplicateDownload, DestinationInUse, DestinationExists
            See `BackgroundDownloader.create_download`.
        """
        taken: frozenset[str] = frozenset()
        for _ in range(_MOST_TRIES):
            path = self._path(draft, taken)
            row = self._row(draft, path, taken)
            try:
                self._runner.state.insert([row])[0].result(_DURABLE_WITHIN)
            except RowConflict as conflict:
                if conflict.kind == "destination" and _may_rename(draft):
                    taken = self._taken()
                    continue
                raise self._refusal(conflict, draft, path) from None
            return self._introduce([(row, draft)])[0]
        raise StateFileError(f"No name like {draft.values['fallback_name']!r} is free.")

    def create_or_join(self, draft: Draft) -> DownloadOperation:
        """Create an operation; or return the one that fetches the same already, or has fetched it and verifies."""
        done = self._done(draft)
        if done is not None:
            return done
        try:
            return self.create_one(draft)
        except (DuplicateDownload, DestinationInUse) as refusal:
            twin = refusal.operation
            if isinstance(refusal, DuplicateDownload) and isinstance(twin, DownloadOperation):
                return twin
            raise

    def create_many(self, drafts: Iterable[Draft]) -> list[DownloadOperation]:
        """
        Create and start many operations; what is being fetched already, or is there, is left as it is.

        The drafts are taken some thousands at a time.

        Raises
        ------
        DuplicateDownload, DestinationInUse
            Some could not be created, and this is the first of their errors; the others were started.
        """
        created: list[DownloadOperation] = []
        source = iter(drafts)
        while together := list(itertools.islice(source, _TOGETHER)):
            created += self._create_together(together)
        return created

    def _create_together(self, drafts: Sequence[Draft]) -> list[DownloadOperation]:
        """Insert in one transaction; those that it refuses go the slow way, one by one."""
        pairs, done = [], []
        for draft in drafts:
            twin = self._done(draft)
            if twin is not None:
                done.append(twin)
            else:
                pairs.append((self._row(draft, self._path(draft, frozenset())), draft))
        conflicts = self._runner.state.insert_many([row for row, _ in pairs]).result(_DURABLE_WITHIN)
        inserted = [pair for pair, conflict in zip(pairs, conflicts, strict=True) if conflict is None]
        refused = [draft for (_, draft), conflict in zip(pairs, conflicts, strict=True) if conflict is not None]
        operations = self._introduce(inserted)
        refusals: list[DuplicateDownload | DestinationInUse] = []
        for draft in refused:
            try:
                operations.append(self.create_or_join(draft))
            except (DuplicateDownload, DestinationInUse) as refusal:
                refusals.append(refusal)
        self._runner.start_all(operations)
        if refusals:
            raise refusals[0]
        return operations + done

    def _done(self, draft: Draft) -> DownloadOperation | None:
        twin = completed_twin(self._runner, self._owner(draft), draft, self._identity(draft))
        if twin is not None and draft.plan is not None:
            self._runner.post_processor.ask(twin, draft.plan, draft.post_process)
        return twin

    def _path(self, draft: Draft, taken: frozenset[str]) -> Path | None:
        """
        Return the path to try; ``taken`` are the keys of destinations that others will write.

        Raises
        ------
        DestinationExists
            A file is there that may be neither replaced nor avoided.
        StateFileError
            No name is free.
        """
        path: Path | None = draft.values["result_file"]
        if path is None or not _may_rename(draft):
            self.check_existing(draft)
            return path

        def is_taken(each: Path) -> bool:
            return os.path.lexists(each) or destination_key(each) in taken

        for each in itertools.islice(unique_names(path, is_taken), _MOST_NAMES):
            if not is_taken(each):
                return each
        raise StateFileError(f"No name like {path.name!r} is free.")

    def check_existing(self, draft: Draft) -> None:
        """Raise `DestinationExists` where a file is there that may be neither replaced nor taken as it is."""
        path: Path | None = draft.values["result_file"]
        if path is None or not os.path.lexists(path):
            return
        if draft.values["collision"] is CreationCollisionOption.FAIL_IF_EXISTS:
            raise DestinationExists(f"{str(path)!r} exists.")
        if self._done(draft) is None:
            refuse_foreign(self._runner, self._owner(draft), draft, self._identity(draft))

    def _taken(self) -> frozenset[str]:
        """Return which destinations live operations of this user have: asked once, however many there are."""
        rows = self._runner.state.column_values("destination_key", live_only=True).result(_DURABLE_WITHIN)
        return frozenset(loaded_text(key) for (key,) in rows if key is not None)

    def _owner(self, draft: Draft) -> str:
        return draft.application or self._application

    def _identity(self, draft: Draft) -> str:
        body = draft.values["options"].get("request_body_file")
        digest = digest_of_body(Path(body)) if body else ""
        return identity(self._runner.state.identity_key, draft.uri, method=draft.values["method"], body_digest=digest)

    def _row(self, draft: Draft, path: Path | None, taken: frozenset[str] = frozenset()) -> OperationRow:
        key = destination_key(path) if path is not None else None
        values = {**draft.values, "result_file": path}
        location = draft.location
        if location is not None and not location.needs_name:
            location = free_location(location, taken) if _may_rename(draft) else location
            key, values["store_url"] = location.key, location.url
        return OperationRow(
            operation_id=draft.operation_id,
            application=self._owner(draft),
            group=draft.group,
            identity=self._identity(draft),
            destination_key=key,
            status=int(BackgroundTransferStatus.IDLE),
            position=self._runner.state.next_position(),
            created_at=time.time(),
            batch=self._batch,
            record=plain(values),
        )

    def _introduce(self, pairs: Sequence[tuple[OperationRow, Draft]]) -> list[DownloadOperation]:
        operations = self._runner.place.call_within(_DURABLE_WITHIN, self._make_all, pairs)
        for operation in operations:
            if operation.secrets.values():
                self._runner.vault.store(str(operation.guid), operation.secrets.to_secret())
        return operations

    def _make_all(self, pairs: Sequence[tuple[OperationRow, Draft]]) -> list[DownloadOperation]:
        operations = [self._make(row, draft) for row, draft in pairs]
        self._runner.introduce(operations)
        return operations

    def _make(self, row: OperationRow, draft: Draft) -> DownloadOperation:
        path = row.record["result_file"]
        values = {
            **draft.values,
            "result_file": Path(path) if path is not None else None,
            "store_url": row.record["store_url"],
        }
        fixed = {"guid": row.operation_id, "application": row.application, "group": row.group}
        operation = DownloadOperation(self._runner, **values, **fixed, created_at=row.created_at)
        operation.secrets = replace(draft.secrets)
        operation.position, operation.batch = row.position, row.batch
        operation.identity = row.identity
        operation.post_process = draft.post_process
        return operation

    def _refusal(self, conflict: RowConflict, draft: Draft, path: Path | None) -> DuplicateDownload | DestinationInUse:
        """Say what is in the way, as far as the caller may see it: of another group only that there is one."""
        if conflict.kind == "destination":
            place = draft.values["store_url"] or str(path)
            return DestinationInUse(f"Another download will write {place!r}; choose another name.")
        if conflict.group != draft.group:
            where = "another group" if conflict.group else "no group"
            return DuplicateDownload(f"The same is being fetched in {where}.")
        other = self._find(conflict)
        name = f" as {other.name!r}" if other is not None else ""
        return DuplicateDownload(
            f"The same is being fetched already{name}; attach() to it or cancel it.", operation=other
        )

    def _find(self, conflict: RowConflict) -> DownloadOperation | None:
        """Return the operation that is in the way; a kernel before this one may have left it."""
        if self._runner.registry.find(conflict.operation_id) is None and conflict.application == self._application:
            restore(self._runner, self._application, on_restore=self._on_restore)
        return self._runner.registry.find(conflict.operation_id)


def _may_rename(draft: Draft) -> bool:
    return draft.values["collision"] is CreationCollisionOption.GENERATE_UNIQUE_NAME
