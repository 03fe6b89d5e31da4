"""What a server makes of ranges, validators and versions: H12 to H31, H51, H52, H58."""

from __future__ import annotations

import functools
from typing import Final

from tests.bench.faults.rows import LATER, NOT_SEGMENTED, SIZE, End, Mode, Row
from tests.servers.faults import chunked, cut_after, drop_validators, ignore_range, set_header, varied
from tests.servers.range_faults import (
    align_to_blocks,
    claim_range,
    multipart_range,
    omit_content_range,
    refuse_range,
    shorten_range,
    slice_as_200,
    start_earlier,
    start_later,
    unasked_range,
)

_RESUMED: Final = frozenset({Mode.RESUMED})
_JUST_BEFORE: Final = "Sun, 22 Nov 2026 08:59:30 GMT"
_DATE: Final = "Sun, 22 Nov 2026 09:00:00 GMT"
_V2: Final[dict[str, object]] = {"seed": 2, "etag": '"v2"'}


#: A server that answers every range wrongly: the file has to come whole all the same.
_lies: Final = functools.partial(Row, lasts="always", modes=LATER, most_twice=SIZE)

ROWS: Final = (
    _lies(name="H12", fault="ranges are ignored: 200 and the whole file", faults=lambda on: (ignore_range(on=on),)),
    _lies(name="H13", fault="a slice with a Content-Range, as a 200", faults=lambda on: (slice_as_200(on=on),)),
    _lies(name="H14", fault="a 206 that begins earlier than asked", faults=lambda on: (start_earlier(100_000, on=on),)),
    _lies(name="H14b", fault="a 206 at the borders of blocks", faults=lambda on: (align_to_blocks(1 << 20, on=on),)),
    _lies(name="H15", fault="a 206 that begins later than asked", faults=lambda on: (start_later(1000, on=on),)),
    _lies(
        name="H15b",
        fault="a 206 of another total",
        faults=lambda on: (claim_range("bytes {first}-{last}/99999999", on=on),),
    ),
    _lies(
        name="H15c",
        fault="a 206 that ends beyond its total",
        faults=lambda on: (claim_range("bytes {first}-99999998/{size}", on=on),),
    ),
    _lies(name="H16", fault="a 206 without Content-Range", faults=lambda on: (omit_content_range(on=on),)),
    _lies(
        name="H17",
        fault="a 206 with less than was asked for",
        faults=lambda on: (shorten_range(300_000, on=on),),
        most_requests=40,
        most_twice=40 * 65_536,
        modes=_RESUMED,
    ),
    _lies(name="H18", fault="multipart/byteranges for one range", faults=lambda on: (multipart_range(on=on),)),
    Row(
        name="H19",
        fault="a 206 that nobody asked for",
        faults=lambda on: (unasked_range(0, SIZE // 2, on=on),),
        lasts="always",
        end=End.FAILS,
        modes=frozenset({Mode.FRESH}),
        most_twice=12 * SIZE,
        most_requests=12,
    ),
    _lies(name="H20", fault="the file changed, If-Range is honoured", faults=lambda on: (varied(on=on, **_V2),)),
    _lies(
        name="H21",
        fault="the file changed, If-Range is ignored",
        faults=lambda on: (varied(on=on, honours_if_range="ignores it", **_V2),),
    ),
    _lies(
        name="H22",
        fault="the file changed, and a 206 bears no validator",
        faults=lambda on: (varied(on=on, seed=2, honours_if_range="ignores it"), drop_validators(on=on)),
    ),
    _lies(
        name="H23",
        fault="only a weak ETag, and the file changed",
        faults=lambda on: (varied(on=on, seed=2),),
        file={"etag": 'W/"1"', "last_modified": None, "honours_if_range": "ignores it"},
    ),
    Row(
        name="H24",
        fault="another ETag from each backend, for the same bytes, and connections that break",
        faults=lambda _: (
            varied(on=lambda request: request.number % 2 == 0, etag='"other"'),
            cut_after(SIZE // 2, on=(1, 2)),
        ),
        modes=frozenset({Mode.FRESH}),
        most_twice=2 * SIZE,
    ),
    _lies(
        name="H25",
        fault="If-Range is never honoured",
        faults=lambda on: (varied(on=on, honours_if_range="never matches"),),
    ),
    _lies(
        name="H26",
        fault="Last-Modified is within a minute of Date, and the file changed",
        faults=lambda on: (varied(on=on, seed=2),),
        file={"etag": None, "last_modified": _JUST_BEFORE, "date": _DATE, "honours_if_range": "ignores it"},
    ),
    _lies(
        name="H27",
        fault="the file grew",
        faults=lambda on: (varied(on=on, size=SIZE + 5000, etag='"longer"'),),
        modes=_RESUMED,
    ),
    _lies(
        name="H28",
        fault="another version of the same size, no validators",
        faults=lambda on: (varied(on=on, seed=2),),
        file={"etag": None, "last_modified": None},
    ),
    Row(
        name="H29",
        fault="416 with the length that is there: chunked, and only the last chunk is missing",
        faults=lambda on: (chunked(on=on), cut_after(-5, on=on), refuse_range(f"bytes */{SIZE}")),
        modes=frozenset({Mode.FRESH}),
    ),
    _lies(
        name="H30",
        fault="416 with a smaller length",
        faults=lambda on: (refuse_range("bytes */1000", on=on),),
        lasts="once",
    ),
    _lies(
        name="H30b",
        fault="416 with a larger length",
        faults=lambda on: (refuse_range("bytes */99999999", on=on),),
        lasts="once",
    ),
    _lies(name="H31", fault="416 without Content-Range", faults=lambda on: (refuse_range(None, on=on),), lasts="once"),
    Row(
        name="H51",
        fault="ranges are advertised and not served, and the connection breaks",
        faults=lambda on: (cut_after(SIZE // 2, on=on),),
        file={"serves_ranges": False},
        modes=NOT_SEGMENTED,
        most_twice=2 * SIZE,
    ),
    Row(
        name="H51b",
        fault="ranges are served and not advertised, and the connection breaks",
        faults=lambda on: (cut_after(SIZE // 4, on=on),),
        file={"accept_ranges": None},
        modes=NOT_SEGMENTED,
    ),
    Row(
        name="H52",
        fault="the file changes between its parts",
        file={"flip_after": 2},
        modes=frozenset({Mode.SEGMENTED}),
        for_peers=False,
    ),
    _lies(
        name="H58",
        fault="another Content-Type on resuming",
        faults=lambda on: (set_header("Content-Type", "text/html", on=on),),
    ),
)
