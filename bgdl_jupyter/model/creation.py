"""
From drafts to operations: durable in the state file before anybody sees them.

Two operations for the same thing are made impossible by the state file itself, across kernels; what it refuses is
told here in the user's terms, or answered with another name or the operation that exists.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, DuplicateDownload, StateFileError
from bgdl_jupyter.model.by_and_by import in_steps
from bgdl_jupyter.model.existing import completed_twin, refuse_foreign
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.persistence import common_record, shared_of
from bgdl_jupyter.model.restoring import restore
from bgdl_jupyter.model.stores import free_location
from bgdl_jupyter.status import BackgroundTransferStatus, CreationCollisionOption
from bgdl_jupyter.storage.filenames import MOST_NAMES, destination_key, name_from_uri, unique_names
from bgdl_jupyter.storage.record_texts import split_record
from bgdl_jupyter.storage.records import OperationRow, RowConflict, loaded_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.light import SharedValues
    from bgdl_jupyter.model.runner import Runner

_DURABLE_WITHIN: Final = 60.0
# In one transaction: most of what one costs is the same for few and for many.
_TOGETHER: Final = 10_000
# What is created to be started at once is recorded as started: there is no state in between to come back to.
_STARTED: Final = BackgroundTransferStatus.RUNNING
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
        self._in_common: dict[tuple[object, ...], tuple[Mapping[str, Any], SharedValues]] = {}

    def create_one(self, draft: Draft) -> DownloadOperation:
        """
        Create an operation, IDLE and durable.

        Raises
        ------
        DuplicateDownload, DestinationInUse, DestinationExists
            See `BackgroundDownloader.create_download`.
        """
        taken: frozenset[str] = frozenset()
        self._refuse_live(draft)
        for _ in range(_MOST_TRIES):
            path = self._path(draft, taken)
            key = None if path is None else destination_key(path)
            place = None if path is None else str(path)
            row = self._row(draft, place, destination_key=key, taken=taken)
            try:
                self._runner.state.insert([row])[0].result(_DURABLE_WITHIN)
            except RowConflict as conflict:
                if conflict.kind == "destination" and _may_rename(draft):
                    taken = self._taken()
                    continue
                raise self._refusal(conflict, draft, path) from None
            return self._introduce([(row, draft)])[0]
        raise StateFileError(f"No name like {name_from_uri(draft.shown)!r} is free.")

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
        pairs, done, refused = [], [], []
        for draft in drafts:
            twin = self._done(draft)
            if twin is not None:
                done.append(twin)
                continue
            if self._live(draft) is not None:
                refused.append(draft)
                continue
            place, key = draft.result_file, draft.destination_key
            if place is not None and (draft.is_there or _may_rename(draft)):
                path = self._path(draft, frozenset())
                place, key = str(path), destination_key(path or Path(place))
            pairs.append((self._row(draft, place, destination_key=key, status=_STARTED), draft))
        conflicts = self._runner.state.insert_many([row for row, _ in pairs]).result(_DURABLE_WITHIN)
        inserted = [pair for pair, conflict in zip(pairs, conflicts, strict=True) if conflict is None]
        refused += [draft for (_, draft), conflict in zip(pairs, conflicts, strict=True) if conflict is not None]
        operations = self._introduce(inserted)
        late: list[DownloadOperation] = []
        refusals: list[DuplicateDownload | DestinationInUse] = []
        for draft in refused:
            try:
                late.append(self.create_or_join(draft))
            except (DuplicateDownload, DestinationInUse) as refusal:
                refusals.append(refusal)
        self._runner.start_all(late)
        if refusals:
            raise refusals[0]
        return operations + late + done

    def _live(self, draft: Draft) -> DownloadOperation | None:
        return self._runner.registry.live_as(self._owner(draft), draft.identity)

    def _refuse_live(self, draft: Draft) -> None:
        """Refuse what the state file cannot know yet: one that is tried again gets its lease when it has its turn."""
        twin = self._live(draft)
        if twin is not None:
            conflict = RowConflict(
                kind="identity", operation_id=twin.guid, application=twin.application, group=twin.group
            )
            raise self._refusal(conflict, draft, None)

    def _done(self, draft: Draft) -> DownloadOperation | None:
        twin = completed_twin(self._runner, self._owner(draft), draft, draft.identity)
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
        if draft.result_file is None or not _may_rename(draft):
            self.check_existing(draft)
            return draft.path
        path = Path(draft.result_file)

        def is_taken(each: Path) -> bool:
            return os.path.lexists(each) or destination_key(each) in taken

        for each in itertools.islice(unique_names(path, is_taken), MOST_NAMES):
            if not is_taken(each):
                return each
        raise StateFileError(f"No name like {path.name!r} is free.")

    def check_existing(self, draft: Draft) -> None:
        """Raise `DestinationExists` where a file is there that may be neither replaced nor taken as it is."""
        path = draft.result_file
        if path is None or not os.path.lexists(path):
            return
        if draft.collision is CreationCollisionOption.FAIL_IF_EXISTS:
            raise DestinationExists(f"{path!r} exists.")
        if self._done(draft) is None:
            refuse_foreign(self._runner, self._owner(draft), draft, draft.identity)

    def _taken(self) -> frozenset[str]:
        """Return which destinations live operations of this user have: asked once, however many there are."""
        rows = self._runner.state.column_values("destination_key", live_only=True).result(_DURABLE_WITHIN)
        return frozenset(loaded_text(key) for (key,) in rows if key is not None)

    def _owner(self, draft: Draft) -> str:
        return draft.application or self._application

    def _row(
        self,
        draft: Draft,
        place: str | None,
        *,
        destination_key: str | None,
        taken: frozenset[str] = frozenset(),
        status: BackgroundTransferStatus = BackgroundTransferStatus.IDLE,
    ) -> OperationRow:
        own = {"requested_uri": draft.shown, "result_file": place, "directory": str(draft.directory)}
        if draft.checksum:
            own["checksum"] = draft.checksum
        location = draft.location
        if location is not None and not location.needs_name:
            location = free_location(location, taken) if _may_rename(draft) else location
            destination_key, own["store_url"] = location.key, location.url
        return OperationRow(
            operation_id=draft.operation_id,
            application=self._owner(draft),
            group=draft.group,
            identity=draft.identity,
            destination_key=destination_key,
            status=int(status),
            position=self._runner.state.next_position(),
            created_at=time.time(),
            batch=self._batch,
            record=split_record(common_record(self._shared(draft, status)), own),
        )

    def _introduce(self, pairs: Sequence[tuple[OperationRow, Draft]]) -> list[DownloadOperation]:
        with self._runner.collector.resting(len(pairs)):
            operations = [self._make(row, draft) for row, draft in pairs]
            in_steps(self._runner.place, self._let_in, operations)
        for operation, (_, draft) in zip(operations, pairs, strict=True):
            if draft.secrets is not None and operation.secrets.values():
                self._runner.vault.store(str(operation.guid), operation.secrets.to_secret())
        return operations

    def _let_in(self, operations: Sequence[DownloadOperation]) -> Sequence[DownloadOperation]:
        self._runner.introduce(operations)
        return operations

    def _make(self, row: OperationRow, draft: Draft) -> DownloadOperation:
        own: dict[str, Any] = {
            "guid": row.operation_id,
            "requested_uri": draft.shown,
            "directory": draft.directory,
            "created_at": row.created_at,
        }
        if row.record["result_file"] is not None:
            own["result_file"] = row.record["result_file"]
        if draft.checksum:
            own["checksum"] = draft.checksum
        if draft.location is not None:
            own["store_url"] = row.record["store_url"]
        shared = self._shared(draft, BackgroundTransferStatus(row.status))
        operation = DownloadOperation.alike(self._runner, own, shared)
        if draft.secrets is not None:
            operation.secrets = draft.secrets
        operation.keep_place(row)
        if draft.post_process is not None:
            operation.post_process = draft.post_process
        return operation

    def _shared(self, draft: Draft, status: BackgroundTransferStatus) -> SharedValues:
        """Return what all have in common whose drafts have; put together once."""
        key = id(draft.common), draft.group, draft.application, status
        found = self._in_common.get(key)
        if found is None:
            values = {**draft.common, "application": self._owner(draft), "group": draft.group}
            # With what they are made of, so that nothing else can come to stand in its place.
            found = self._in_common[key] = draft.common, shared_of(values, status)
        return found[1]

    def _refusal(self, conflict: RowConflict, draft: Draft, path: Path | None) -> DuplicateDownload | DestinationInUse:
        """Say what is in the way, as far as the caller may see it: of another group only that there is one."""
        if conflict.kind == "destination":
            place = draft.common["store_url"] or str(path)
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
    return draft.collision is CreationCollisionOption.GENERATE_UNIQUE_NAME
