"""What became of the operations of a group: values to look at, a table, and a manifest of what failed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.manifests.writing import write_manifest
from bgdl_jupyter.status import BackgroundTransferCostPolicy, BackgroundTransferPriority

if TYPE_CHECKING:
    import pandas as pd

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.model.verification import Verification
    from bgdl_jupyter.status import BackgroundTransferStatus, Integrity
    from bgdl_jupyter.web_error_status import WebErrorStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    """
    What became of one operation, or where it stands.

    Parameters
    ----------
    uri:
        Where the bytes come from; a secret query reads ``?…``.
    actual_uri:
        Where they came from in the end, after redirects or from a mirror; None before an answer.
    destination:
        The path of the file, or its URL in a store; None until the server has named it.
    error, web_error_status, http_status:
        What ended it; None where nothing did.
    bytes_received, total:
        Bytes in the file, and of the whole; ``total`` is None while it is unknown.
    integrity, digest:
        What was checked, and the digest that was verified, ``algorithm:hexadecimal``.
    attempts:
        How many requests were made for it, but those for further connections.
    seconds:
        From the first request to the end, or to now, pauses included; None where there was no request.
    has_restarted:
        Whether it began again at byte 0.
    standing:
        The status together with what follows the file: ERROR where unpacking failed, though the file is there.
    unpacked:
        Where its archive was unpacked; None where it was not.
    """

    guid: UUID
    uri: str
    actual_uri: str | None
    destination: str | None
    status: BackgroundTransferStatus
    error: BackgroundTransferError | None
    web_error_status: WebErrorStatus | None
    http_status: int | None
    bytes_received: int
    total: int | None
    integrity: Integrity | None
    digest: str | None
    attempts: int
    seconds: float | None
    has_restarted: bool
    standing: BackgroundTransferStatus
    unpacked: str | None = None

    @property
    def result_file(self) -> Path | None:
        """The file on this machine; None where there is none."""
        return Path(self.destination) if self.destination and "://" not in self.destination else None


def result_of(operation: DownloadOperation) -> DownloadResult:
    """Return what became of an operation."""
    error, answered = operation.error, operation.get_response_information()
    ended_at = operation.final_at or time.time()
    return DownloadResult(
        guid=operation.guid,
        uri=operation.requested_uri,
        actual_uri=answered.actual_uri if answered is not None else None,
        destination=operation.destination,
        status=operation.status,
        error=error,
        web_error_status=error.web_error_status if error is not None else operation.current_web_error_status,
        http_status=error.http_status if error is not None else None,
        bytes_received=operation.bytes_received,
        total=operation.progress.total_bytes_to_receive,
        integrity=operation.integrity,
        digest=operation.digest or None,
        attempts=operation.attempts,
        seconds=max(0.0, ended_at - operation.started_at) if operation.started_at is not None else None,
        has_restarted=operation.has_restarted,
        standing=operation.standing,
        unpacked=operation.post_processing.path,
    )


class HasResults:
    """The part of a group that tells what became of its operations."""

    if TYPE_CHECKING:
        name: Any
        _runner: Runner

        @property
        def operations(self) -> list[DownloadOperation]: ...  # noqa: D102 (the group says it)

    def results(self) -> list[DownloadResult]:
        """Return what became of each operation, or where it stands, in the order of their creation."""
        return [result_of(each) for each in self.operations]

    def to_dataframe(self) -> pd.DataFrame:
        """
        Return the results as a pandas data frame: a row for each operation, a column for each field, in plain values.

        Raises
        ------
        BackgroundTransferError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            hint = "Install it with: pip install pandas; or use results(), which needs nothing."
            raise BackgroundTransferError("A data frame needs pandas, which is not installed.", hint=hint) from None
        names = [field.name for field in fields(DownloadResult)]
        columns: dict[str, list[object]] = {name: [] for name in names}
        for operation in self.operations:
            result = result_of(operation)
            for name in names:
                columns[name].append(plain_value(getattr(result, name)))
        return pd.DataFrame(columns)

    def verify(self) -> list[Verification]:
        """
        Read the file of each completed operation again and compare it with what was fetched; blocks.

        Returns
        -------
        list of Verification
            ``is_whole``, and in words what was compared.
        """
        return [each.verify() for each in self.operations if each.status.is_success]

    def export_failed(self, path: str | os.PathLike[str], *, directory: str | os.PathLike[str] | None = None) -> int:
        """
        Write what failed as a manifest that `download_many` takes, and return how many lines it has.

        No secret is in it: a line names under ``missing`` what was one, and is refused until that is given again.

        Parameters
        ----------
        path:
            The file; ``.jsonl`` or ``.csv``.
        directory:
            The folder that the destinations are relative to, for `download_many` too; None for the working folder.

        Raises
        ------
        InvalidRequest
            The suffix is another one, or a destination is not in the folder.
        """
        folder = _Folder(directory)
        failed = [each for each in self.operations if each.status.is_failure]
        records = [_record(each, folder) for each in failed]
        return write_manifest(Path(path).expanduser(), records)


def plain_value(value: object) -> object:
    """Return a value of a result as a table has it."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, BackgroundTransferError | UUID):
        return str(value)
    return value


class _Folder:
    """The folder, or the place in a store, that destinations are written relative to."""

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        text = os.fspath(directory or ".")
        self._start = text if "://" in text else os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (links stay)
        self._start = self._start.rstrip("/") + "/"

    def relative(self, destination: str) -> str:
        if not destination.startswith(self._start):
            raise InvalidRequest(
                f"{destination!r} is not in {self._start!r}.", hint="Say with directory= which folder has them all."
            )
        return destination.removeprefix(self._start)


def _record(operation: DownloadOperation, folder: _Folder) -> dict[str, Any]:
    """Return the line of an operation; what is left at its default is left out."""
    destination = operation.destination or f"{operation.store_url or operation.directory}".rstrip("/") + "/"
    options, error = operation.options, operation.error
    is_default = operation.priority is BackgroundTransferPriority.DEFAULT
    is_free = operation.cost_policy is BackgroundTransferCostPolicy.DEFAULT
    body = ["request_body_file"] if options.get("request_body_file") else []
    return {
        "uri": operation.requested_uri,
        "destination": folder.relative(destination),
        "checksum": operation.checksum,
        "mirrors": list(operation.mirrors),
        "headers": dict(operation.plain_headers),
        "priority": None if is_default else operation.priority.name.lower(),
        "cost_policy": None if is_free else operation.cost_policy.name.lower(),
        "max_size": options.get("max_size"),
        "expect_type": options.get("expect_type"),
        "missing": [*operation.secret_names, *body],
        "error": error.message if error is not None else None,
        "http_status": error.http_status if error is not None else None,
    }
