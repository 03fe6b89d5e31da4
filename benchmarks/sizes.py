"""How much each workload moves, in three sizes; only `FULL` is judged for the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MiB: Final = 1 << 20
GiB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """
    The amounts of one size.

    Attributes
    ----------
    name:
        What the command line calls it.
    large:
        Bytes of the one large file (W1, W2, W3).
    small_files, small_bytes:
        How many small files there are, and the bytes of each (W4).
    middle_files, middle_bytes:
        The same for those of the middle (W5).
    paced:
        Bytes of the file that comes at 20 MB/s a connection (W6, W7).
    cell_seconds:
        How long the cell computes beside a paced server; half of it beside one without limit (W8).
    flood:
        Bytes of the file that a kernel gets at full speed, and throws away (W8, W9).
    round_trips:
        How many empty cells are run (W9).
    queued:
        How many operations are created and restored (W10).
    fixed_total:
        Bytes that 1, 10, 100, … transfers share (W12).
    transfers:
        The numbers of concurrent transfers (W12).
    limits:
        Bytes per second; of these a machine is asked to keep those that it can reach (limits).
    limited_seconds:
        How long what comes under a limit is to take (limits).
    operations:
        The numbers of operations of the growth plot.
    finished:
        Those of them that are fetched as well.
    """

    name: str
    large: int
    small_files: int
    small_bytes: int
    middle_files: int
    middle_bytes: int
    paced: int
    cell_seconds: float
    flood: int
    round_trips: int
    queued: int
    fixed_total: int
    transfers: tuple[int, ...]
    limits: tuple[int, ...]
    limited_seconds: float
    operations: tuple[int, ...]
    finished: tuple[int, ...]


_LIMITS: Final = (64 << 10, 1_000_000, 20_000_000, 100_000_000, 1_000_000_000)
FULL: Final = Sizes(
    name="full",
    large=2 * GiB,
    small_files=5_000,
    small_bytes=10 << 10,
    middle_files=200,
    middle_bytes=4 * MiB,
    paced=256 * MiB,
    cell_seconds=10.0,
    flood=7 * GiB,
    round_trips=200,
    queued=100_000,
    fixed_total=GiB,
    transfers=(1, 10, 100, 1_000),
    limits=_LIMITS,
    limited_seconds=15.0,
    operations=(1, 10, 100, 1_000, 10_000, 100_000),
    finished=(1, 10, 100, 1_000, 10_000),
)
SMALL: Final = Sizes(
    name="small",
    large=512 * MiB,
    small_files=1_000,
    small_bytes=10 << 10,
    middle_files=50,
    middle_bytes=4 * MiB,
    paced=128 * MiB,
    cell_seconds=3.0,
    flood=3 * GiB,
    round_trips=100,
    queued=10_000,
    fixed_total=256 * MiB,
    transfers=(1, 10, 100),
    limits=_LIMITS,
    limited_seconds=8.0,
    operations=(1, 10, 100, 1_000),
    finished=(1, 10, 100, 1_000),
)
TINY: Final = Sizes(
    name="tiny",
    large=2 * MiB,
    small_files=20,
    small_bytes=10 << 10,
    middle_files=4,
    middle_bytes=64 << 10,
    paced=4 * MiB,
    cell_seconds=0.2,
    flood=GiB,
    round_trips=5,
    queued=50,
    fixed_total=MiB,
    transfers=(1, 4),
    limits=(1_000_000,),
    limited_seconds=0.1,
    operations=(1, 10),
    finished=(1, 10),
)
SIZES: Final = {sizes.name: sizes for sizes in (FULL, SMALL, TINY)}
