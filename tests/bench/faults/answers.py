"""What is answered in place of the file, and heads that are none: H32 to H50, H57, N13."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.bench.faults.rows import HALF, NOT_SEGMENTED, OVERLAP, PATH, SIZE, End, MakeFaults, Mode, Row
from tests.servers.content import Pattern, digest
from tests.servers.faults import (
    extra_headers,
    hold_head,
    informational,
    instead,
    login_page,
    redirect,
    redirects,
    set_header,
    stall_after,
    status,
    trickle,
    trickle_head,
)
from tests.servers.steps import Close, raw

if TYPE_CHECKING:
    from tests.servers.files import Fault, On

_FRESH: Final = frozenset({Mode.FRESH})
_DIGEST: Final = digest(Pattern(SIZE, 1)).hex()
_PAST: Final = "Sun, 22 Nov 2015 09:00:00 GMT"
_WAITS: Final = ("0", "1", _PAST, "-1", "1.5", "1e9", "", "soon")
_NO_FILES: Final = (201, 202, 204, 205, 226, 299, 300, 304, 404, 410, 999)
_SCHEMES: Final = ("file:///etc/passwd", "ftp://127.0.0.1/a", "unix:/a", "data:,a", "javascript:a", "gopher://a/")
_HEADS: Final = {
    "H47b": ("a header of a megabyte", extra_headers(1, size=1_000_000)),
    "H47c": ("twenty thousand headers", extra_headers(20_000)),
    "H49": ("SSH speaks", instead(raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Close())),
    "H49b": ("TLS speaks", instead(raw(b"\x15\x03\x01\x00\x02\x02\x46"), Close())),
    "H43b": ("interim answers without end", informational(103, times=None)),
}


def _retry_after(number: int, value: str) -> Row:
    def faults(on: On) -> tuple[Fault, ...]:
        return (status(503, retry_after=value, on=on),)

    return Row(name=f"H32.{number}", fault=f"503 with Retry-After {value!r}", faults=faults)


def _no_file(code: int) -> Row:
    def faults(on: On) -> tuple[Fault, ...]:
        return (status(code, body=b"not the file", on=on),)

    return Row(
        name=f"H36.{code}",
        fault=f"{code} in place of the file",
        faults=faults,
        lasts="always",
        end=End.FAILS,
        modes=NOT_SEGMENTED,
    )


def _leads_nowhere(number: int, place: str | None, *, fault: str = "") -> Row:
    def faults(on: On) -> tuple[Fault, ...]:
        return (redirect(place, on=on),)

    return Row(
        name=f"H37.{number}",
        fault=fault or f"a redirect to {place.partition(':')[0] if place else 'nowhere'}",
        faults=faults,
        lasts="always",
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        most_requests=14,
    )


def _always(made: Fault) -> MakeFaults:
    return lambda on: (replace(made, on=on),)


ROWS: Final = (
    *(_retry_after(number, value) for number, value in enumerate(_WAITS, 1)),
    Row(
        name="H32.9",
        fault="503 with a Retry-After of many years",
        faults=lambda on: (status(503, retry_after="99999999999999999999", on=on),),
        lasts="always",
        end=End.WAITS,
        modes=NOT_SEGMENTED,
        most_requests=2,
        for_peers=False,
    ),
    Row(
        name="H34",
        fault="500 with two gigabytes of explanation",
        faults=lambda on: (status(500, body=Pattern(2_000_000_000), on=on),),
        modes=NOT_SEGMENTED,
        for_peers=False,
    ),
    Row(
        name="H35",
        fault="a login page in place of the file, once, and the digest is known",
        faults=lambda on: (login_page(on=on),),
        options={"sha256": _DIGEST},
        modes=NOT_SEGMENTED,
        most_twice=SIZE,
        for_peers=False,
    ),
    Row(
        name="H35b",
        fault="a login page in place of the file, and the type is known",
        faults=lambda on: (login_page(on=on),),
        lasts="always",
        options={"expect_type": "application/octet-stream"},
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        for_peers=False,
    ),
    *(_no_file(code) for code in _NO_FILES),
    *(_leads_nowhere(number, place) for number, place in enumerate((None, "", *_SCHEMES), 1)),
    _leads_nowhere(9, PATH, fault="a redirect to itself"),
    Row(
        name="H38",
        fault="fifty redirects",
        faults=lambda on: (redirect("/hop1", on=on),),
        lasts="always",
        routes=dict(redirects(50, to="/end")),
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        most_requests=14,
    ),
    Row(name="H43", fault="an interim answer before the file", faults=lambda on: (informational(103, on=on),)),
    Row(
        name="H44",
        fault="a head that trickles",
        faults=lambda on: (trickle_head(pause=0.1, on=on),),
        settings={"response_timeout": 0.5},
    ),
    Row(
        name="H44b",
        fault="no head at all",
        faults=lambda on: (hold_head(until="never", on=on),),
        settings={"response_timeout": 0.5},
    ),
    Row(
        name="H45",
        fault="a body that trickles",
        faults=lambda on: (trickle(piece=10, pause=0.1, after=HALF // 2, on=on),),
        settings={"stall_timeout": 1.0},
        modes=NOT_SEGMENTED,
        most_twice=OVERLAP + 100,  # what trickles in while the connection is being given up
    ),
    Row(
        name="H46",
        fault="nothing more comes half-way, and the connection stays",
        faults=lambda on: (stall_after(HALF // 2, on=on),),
        settings={"stall_timeout": 1.0},
    ),
    Row(name="H47", fault="a header of 12 kB", faults=lambda on: (extra_headers(1, size=12_000, on=on),)),
    *(
        Row(
            name=name,
            fault=fault,
            faults=_always(made),
            lasts="always",
            end=End.FAILS,
            modes=NOT_SEGMENTED,
            most_requests=14,
        )
        for name, (fault, made) in _HEADS.items()
    ),
    Row(
        name="H47d",
        fault="a NUL in a header",
        faults=lambda on: (set_header("X-Odd", "a\0b", on=on),),
        lasts="always",
        end=End.FAILS,
        modes=NOT_SEGMENTED,
        most_requests=14,
    ),
    Row(
        name="H49c",
        fault="nothing is answered and the connection ends",
        faults=lambda on: (instead(Close(), on=on),),
    ),
    Row(name="H50", fault="HEAD is refused", file={"methods": frozenset({"GET"})}),
    Row(
        name="H57",
        fault="cookies in every answer",
        faults=lambda on: (set_header("Set-Cookie", "a=b; Domain=test", "c=" + "d" * 4000, on=on),),
        lasts="always",
    ),
    Row(
        name="N13",
        fault="a portal that redirects to its login page, and the type is known",
        faults=lambda on: (redirect("/portal", on=on),),
        lasts="always",
        routes={"/portal": (raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nlogin"),)},
        options={"expect_type": "application/octet-stream"},
        end=End.FAILS,
        modes=_FRESH,
        for_peers=False,
    ),
)
