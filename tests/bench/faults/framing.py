"""Where a body ends, and what it is coded in: H1 to H11, H53, N15, N16."""

from __future__ import annotations

from typing import Final

from tests.bench.faults.rows import HALF, NOT_SEGMENTED, OVERLAP, SIZE, End, Mode, Row
from tests.servers.coding_faults import bomb, coded, gzipped, gzipped_slices
from tests.servers.content import Pattern, digest
from tests.servers.faults import (
    chunked,
    close_after,
    cut_after,
    declare_length,
    no_length,
    reset_after,
    surplus,
    varied,
)

_CHUNK: Final = 100_000
#: A chunk on the wire: its length in hexadecimal, two line ends, its bytes.
_ON_THE_WIRE: Final = len(f"{_CHUNK:x}") + 4 + _CHUNK
_ANOTHER_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
_DIGEST: Final = digest(Pattern(SIZE, 1)).hex()

ROWS: Final = (
    Row(
        name="H1",
        fault="Content-Length longer than the body, then the end of the connection",
        faults=lambda on: (declare_length(SIZE + 1000, on=on),),
        most_twice=SIZE + 2 * OVERLAP,
    ),
    Row(
        name="H1b",
        fault="the body breaks off half-way",
        faults=lambda on: (cut_after(HALF // 2, on=on),),
    ),
    Row(
        name="H2",
        fault="bytes behind the body, in the same packet",
        faults=lambda on: (surplus(b"x" * 1000, on=on),),
        lasts="always",
    ),
    Row(
        name="H2b",
        fault="bytes behind the body, a moment later",
        faults=lambda on: (surplus(b"x" * 1000, after=0.3, on=on),),
        lasts="always",
    ),
    Row(
        name="H3",
        fault="chunked, cut in the middle of a chunk",
        faults=lambda on: (chunked(_CHUNK, on=on), cut_after(3 * _ON_THE_WIRE + 50, on=on)),
    ),
    Row(
        name="H3b",
        fault="chunked, cut between two chunks",
        faults=lambda on: (chunked(_CHUNK, on=on), cut_after(3 * _ON_THE_WIRE, on=on)),
    ),
    Row(
        name="H3c",
        fault="chunked, without the last line end",
        faults=lambda on: (chunked(_CHUNK, on=on), cut_after(-2, on=on)),
    ),
    Row(
        name="H4",
        fault="no length, the connection ends in order half-way",
        faults=lambda on: (no_length(on=on), close_after(HALF // 2, on=on)),
        modes=NOT_SEGMENTED,
        most_twice=OVERLAP + 1,
    ),
    Row(
        name="H5",
        fault="no length, a reset half-way",
        faults=lambda on: (no_length(on=on), reset_after(HALF // 2, on=on)),
    ),
    Row(
        name="H6",
        fault="no length, TLS cut without close_notify",
        faults=lambda on: (no_length(on=on), cut_after(HALF // 2, on=on)),
        schemes=("https",),
        for_peers=False,
    ),
    Row(
        name="H7",
        fault="gzip although identity was asked for, whole",
        faults=lambda on: (gzipped(on=on),),
        lasts="always",
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
    ),
    Row(
        name="H8",
        fault="gzip cut short, its Content-Length says so",
        faults=lambda on: (gzipped("cut", on=on),),
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
    ),
    Row(
        name="H9",
        fault="gzip with rubbish behind it, once",
        faults=lambda on: (gzipped("rubbish behind", on=on),),
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
    ),
    Row(
        name="H9b",
        fault="gzip with a wrong checksum, every time",
        faults=lambda on: (gzipped("wrong checksum", on=on),),
        lasts="always",
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
        most_requests=12,
    ),
    Row(
        name="H9c",
        fault="labelled gzip and it is not, every time",
        faults=lambda on: (gzipped("not gzip", on=on),),
        lasts="always",
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
        most_requests=12,
    ),
    Row(
        name="H10",
        fault="each range is coded by itself, the offsets are those of the decoded bytes",
        faults=lambda on: (gzipped_slices(on=on),),
        lasts="always",
        most_twice=SIZE,
    ),
    Row(
        name="H11",
        fault="one megabyte of gzip that decodes to a thousand",
        faults=lambda on: (coded(bomb(1024), on=on),),
        lasts="always",
        end=End.FAILS,
        modes=frozenset({Mode.FRESH}),
        options={"max_size": 100_000_000},
        most_requests=12,
        for_peers=False,
    ),
    Row(
        name="H48",
        fault="two answers to one request",
        faults=lambda on: (surplus(_ANOTHER_ANSWER, on=on),),
        lasts="always",
    ),
    Row(
        name="H53",
        fault="an empty file",
        file={"size": 0},
        modes=frozenset({Mode.FRESH}),
    ),
    Row(
        name="N15",
        fault="a reset after 300 kB, each time",
        faults=lambda on: (reset_after(300_000, on=on),),
        lasts="always",
        modes=NOT_SEGMENTED,
        most_requests=12,
        most_twice=12 * 65_536,
    ),
    Row(
        name="N16",
        fault="other bytes on the way, once, and the digest is known",
        faults=lambda on: (varied(seed=2, on=on),),
        options={"sha256": _DIGEST},
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
        for_peers=False,
    ),
)
