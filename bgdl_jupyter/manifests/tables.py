"""CSV (RFC 4180, with any of the usual separators) and rows of tables that others have read."""

from __future__ import annotations

import csv
from typing import IO, TYPE_CHECKING, Any, Final

from bgdl_jupyter.manifests.columns import Columns, canonical
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry, Unreadable
from bgdl_jupyter.manifests.lines import MAX_LINE, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SEPARATORS: Final = ",;\t|"


def separator_of(header: str) -> str | None:
    """Return what separates the columns of a line that names them; None where it names no ``uri``."""
    for separator in _SEPARATORS:
        if "uri" in {canonical(name.strip('" ')) for name in header.split(separator)}:
            return separator
    return None


def read_csv(file: IO[bytes]) -> Iterator[ManifestEntry | BadLine]:
    """Give the rows of a CSV file; its first line names the columns."""
    feed = _Feed(file)
    header = next(feed, "")
    while not header.strip() and not feed.has_ended:
        feed.begin_row()
        header = next(feed, "")
    separator = separator_of(header)
    if separator is None:
        yield from feed.bad_lines()
        yield BadLine(line=max(feed.number, 1), reason="no column of the first line is called 'uri'", ends=True)
        return
    try:
        columns = Columns(next(csv.reader([header], delimiter=separator)))
    except (Unreadable, csv.Error) as error:
        yield BadLine(line=feed.number, reason=str(error), ends=True)
        return
    yield from _rows(feed, csv.reader(feed, delimiter=separator, strict=True), columns)


def _rows(feed: _Feed, reader: Any, columns: Columns) -> Iterator[ManifestEntry | BadLine]:
    while True:
        feed.begin_row()
        try:
            row = next(reader)
        except StopIteration:
            yield from feed.bad_lines()
            return
        except csv.Error as error:
            yield BadLine(line=feed.row, reason=f"the line is no CSV: {error}")
            continue
        yield from feed.bad_lines()
        if any(map(str.strip, row)):
            yield columns.entry(feed.row, row)


class _Feed:
    """The good lines of a file for the reader of the standard library, and the bad ones apart."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = lines_of(file)
        self._bad: list[BadLine] = []
        self.number = 0
        self.row = 0
        self._size = 0
        self.has_ended = False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            self.number = number
            if isinstance(line, str):
                self.row = self.row or number
                self._size += len(line)
                if self._size > MAX_LINE:
                    raise csv.Error(f"the row has more than {MAX_LINE:,} characters")
                return line + "\n"  # a line end inside of quotes is part of the value
            self._bad.append(line)
        self.has_ended = True
        raise StopIteration

    def begin_row(self) -> None:
        """Let ``row`` be the number of the next good line."""
        self.row = self._size = 0

    def bad_lines(self) -> list[BadLine]:
        """Return those that came since the last call."""
        bad, self._bad = self._bad, []
        return bad


def read_rows(names: Iterable[object], rows: Iterable[tuple[object, ...]]) -> Iterator[ManifestEntry | BadLine]:
    """Give the rows of a table in memory, which count from 1."""
    try:
        columns = Columns(list(names))
    except Unreadable as error:
        yield BadLine(line=1, reason=str(error), ends=True)
        return
    for number, row in enumerate(rows, 1):
        yield columns.entry(number, row)


def read_parquet(file: IO[bytes]) -> Iterator[ManifestEntry | BadLine]:
    """
    Give the rows of a Parquet file, which count from 1; only the columns that mean something are read.

    Raises
    ------
    ImportError
        pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        wanted = [names[place] for place in Columns(names).places]
        columns, number = Columns(wanted), 0
        for batch in table.iter_batches(batch_size=4096, columns=wanted):
            arrays = [column.to_pylist() for column in batch.columns]
            for row in zip(*arrays, strict=True):
                number += 1
                yield columns.entry(number, row)
    except Unreadable as error:
        yield BadLine(line=1, reason=str(error), ends=True)
    except (pa.ArrowException, OSError) as error:
        yield BadLine(line=1, reason=f"the file is no Parquet, or damaged: {str(error)[:200]}", ends=True)
