"""What the state file holds beside operations: groups, batches and settings, by application, and whole applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bgdl_jupyter.storage import queries, reports

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from concurrent.futures import Future

    from bgdl_jupyter.storage.commits import CommitThread
    from bgdl_jupyter.storage.records import ApplicationSummary, OperationRow
    from bgdl_jupyter.storage.store import Store


class ApplicationRecords:
    """The part of `StateFile` that knows no single operation."""

    _store: Store
    _commits: CommitThread

    def put_group(self, application: str, name: str, record: Mapping[str, Any]) -> Future[None]:
        """Store a group."""
        return self._put("groups", application, name, record)

    def groups(self, application: str) -> Future[dict[str, dict[str, Any]]]:
        """Return the groups of an application by name."""
        return self._records("groups", application)

    def delete_group(self, application: str, name: str) -> Future[bool]:
        """Delete a group, and tell whether there was one."""
        return self._commits.submit(lambda connection: queries.delete_record(connection, "groups", application, name))

    def put_batch(self, batch_id: str, application: str, record: Mapping[str, Any]) -> Future[None]:
        """Store a batch."""
        return self._put("batches", application, batch_id, record)

    def batches(self, application: str) -> Future[dict[str, dict[str, Any]]]:
        """Return the batches of an application by id."""
        return self._records("batches", application)

    def delete_batch(self, batch_id: str, application: str) -> Future[bool]:
        """Delete a batch, and tell whether there was one: of several kernels, one alone hears that there was."""
        return self._commits.submit(
            lambda connection: queries.delete_record(connection, "batches", application, batch_id)
        )

    def put_setting(self, application: str, name: str, value: Any) -> Future[None]:
        """Store a setting, any JSON value; "" as the application for one of the user's."""
        return self._put("settings", application, name, {"value": value})

    def setting(self, application: str, name: str) -> Future[Any]:
        """Return a setting, None where there is none."""

        def read(connection: sqlite3.Connection) -> Any:
            settings, _ = queries.records(connection, "settings", application)
            return settings.get(name, {}).get("value")

        return self._commits.submit(read, is_read=True)

    def _put(self, table: str, application: str, name: str, record: Mapping[str, Any]) -> Future[None]:
        kept = dict(record)
        return self._commits.submit(
            lambda connection: queries.put_record(connection, table, application, name, kept), is_kept=True
        )

    def _records(self, table: str, application: str) -> Future[dict[str, dict[str, Any]]]:
        def read(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
            readable, unreadable = queries.records(connection, table, application)
            if unreadable and not self._store.is_read_only:
                self._set_records_aside(table, application, unreadable)
            return readable

        return self._commits.submit(read, is_read=True)

    def _set_records_aside(self, table: str, application: str, unreadable: list[tuple[Any, str]]) -> None:
        def move(connection: sqlite3.Connection) -> None:
            now = self._store.now()
            for name, reason in unreadable:
                queries.set_record_aside(connection, table, application, name, reason=reason, now=now)

        self._store.note_unreadable(len(unreadable))
        self._commits.submit(move)

    def applications(self) -> Future[list[ApplicationSummary]]:
        """Return what each application has here."""
        return self._commits.submit(
            lambda connection: reports.applications(connection, self._store.leases, self._store.now()), is_read=True
        )

    def count(self, application: str) -> Future[int]:
        """Return how many operations an application has; the indexes know it."""
        return self._commits.submit(lambda connection: queries.count(connection, application), is_read=True)

    def adopt(self, old_application: str, new_application: str) -> Future[int]:
        """Give what no living kernel has of one application to another, with its groups and batches; the number."""
        return self._commits.submit(
            lambda connection: reports.adopt(
                connection, self._store.leases, (old_application, new_application), self._store.now()
            )
        )

    def purge(self, application: str | None) -> Future[list[OperationRow]]:
        """
        Remove all that no other living kernel has of an application, None for all; return the operations.

        The caller deletes their partial files.
        """
        return self._commits.submit(
            lambda connection: reports.purge(connection, self._store.leases, application, self._store.now())
        )
