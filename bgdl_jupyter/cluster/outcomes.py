"""The part of a cluster's group that tells what became of its files, from the tables beside the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from bgdl_jupyter.cluster.tables import COLUMNS, COMPLETED
from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.manifests.writing import write_manifest
from bgdl_jupyter.model.results import DownloadResult
from bgdl_jupyter.status import BackgroundTransferStatus, Integrity
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pandas as pd

    from bgdl_jupyter.cluster.ledger import Ledger
    from bgdl_jupyter.cluster.tables import Row
    from bgdl_jupyter.model.verification import Verification


class HasOutcomes:
    """Results that are read when somebody asks for them."""

    if TYPE_CHECKING:
        name: Any
        job: Any

        def ledger(self) -> Ledger: ...  # noqa: D102 (the group says it)

    @property
    def result_tables(self) -> list[str]:
        """The Parquet files with what became of each line, one a shard, for whoever reads them with other tools."""
        folder = self.ledger().folder
        return [f"{folder.url}/results/{name}" for name in folder.names("results") if name.endswith(".parquet")]

    def iter_results(self) -> Iterator[DownloadResult]:
        """Yield what became of each file of the shards that are done, shard by shard, with little memory."""
        for row in self._rows():
            yield _result_of(row)

    def results(self) -> list[DownloadResult]:
        """Return what became of each file of the shards that are done; for very many, see `iter_results`."""
        return list(self.iter_results())

    def _rows(self) -> Iterator[Row]:
        ledger = self.ledger()
        for name in ledger.folder.names("results"):
            number, _, suffix = name.partition(".")
            if suffix == "parquet":
                yield from ledger.results(int(number))

    def to_dataframe(self) -> pd.DataFrame:
        """
        Return the results as a pandas data frame, a row for each file.

        Raises
        ------
        BackgroundTransferError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise BackgroundTransferError(
                "A data frame needs pandas, which is not installed.", hint="Install it with: pip install pandas."
            ) from None
        return pd.DataFrame(self._rows(), columns=list(COLUMNS))

    def verify(self) -> list[Verification]:
        """Raise `BackgroundTransferError`: files of a cluster are verified where they are, before they get a name."""
        raise BackgroundTransferError(
            "The files of a cluster are not read again here.", hint="to_dataframe() has their sizes and digests."
        )

    def export_failed(self, path: str | os.PathLike[str], *, directory: str | os.PathLike[str] | None = None) -> int:
        """
        Write what failed as a manifest that `download_many` takes, and return how many lines it has.

        Parameters
        ----------
        path:
            The file; ``.jsonl`` or ``.csv``.
        directory:
            The folder that the destinations are relative to; None for that of the group.

        Raises
        ------
        InvalidRequest
            The suffix is another one, or ``directory`` is not that of the group.
        """
        if directory is not None and str(directory).rstrip("/") != self.job["directory"].rstrip("/"):
            raise InvalidRequest(f"The destinations of this group are relative to {self.job['directory']!r}.")
        return write_manifest(Path(path).expanduser(), self._failed_lines())

    def _failed_lines(self) -> Iterator[Row]:
        ledger = self.ledger()
        for marker in ledger.markers().values():
            if not marker.failed:
                continue
            lines = {line.pop("line"): line for line in ledger.lines(marker.shard)}
            for row in ledger.results(marker.shard):
                if row["status"] != COMPLETED:
                    yield {**lines[row["line"]], "error": row["error"], "http_status": row["http_status"]}


def _result_of(row: Row) -> DownloadResult:
    status = BackgroundTransferStatus[row["status"]]
    web_error = row["web_error_status"]
    return DownloadResult(
        guid=uuid5(NAMESPACE_URL, f"{row['destination']}"),
        uri=row["uri"],
        actual_uri=row["actual_uri"],
        destination=row["destination"],
        status=status,
        error=BackgroundTransferError(row["error"]) if row["error"] else None,
        web_error_status=WebErrorStatus[web_error] if web_error else None,
        http_status=row["http_status"],
        bytes_received=row["bytes_received"] or 0,
        total=row["total"],
        integrity=Integrity(row["integrity"]) if row["integrity"] else None,
        digest=row["digest"],
        attempts=row["attempts"] or 0,
        seconds=row["seconds"],
        has_restarted=bool(row["has_restarted"]),
        standing=status,
    )
