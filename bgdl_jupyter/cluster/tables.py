"""Result tables: what became of each line of a shard, as Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = dict[str, Any]
#: The columns, and the types that Parquet gives them.
COLUMNS: Final = {
    "line": "int64",
    "uri": "string",
    "destination": "string",
    "status": "string",
    "error": "string",
    "web_error_status": "string",
    "http_status": "int32",
    "bytes_received": "int64",
    "total": "int64",
    "integrity": "string",
    "digest": "string",
    "attempts": "int32",
    "seconds": "float64",
    "has_restarted": "bool_",
    "actual_uri": "string",
}
COMPLETED: Final = "COMPLETED"


def to_parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the table of these rows; columns that a row lacks are empty."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    taken = list(rows)
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    columns = {name: [each.get(name) for each in taken] for name in COLUMNS}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(content: bytes) -> list[Row]:
    """Return the rows of a table."""
    import pyarrow.parquet as pq

    rows: list[Row] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows
