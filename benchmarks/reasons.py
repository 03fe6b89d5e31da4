"""Why a must is missed where it is, as far as it is known; the page has the reason of each workload that misses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Final[Mapping[str, str]] = {
    "W1": "Ours takes no longer than the C floor, a loop of recv and pwrite followed by an fdatasync: the disk "
    "sets the time.",
    "W2": "Two processors are busy: the server encrypts, one thread of ours receives and decrypts, another "
    "copies into the page cache. asyncio's TLS takes each record by itself, 16 KiB at a time.",
    "W4": "Without any sync it takes as long (the column of the last byte): what sets the time is the engine's "
    "loop, with about half a millisecond of the processor for each file and no function above a few "
    "hundredths of it.",
    "W5": "A file of 4 MiB takes the way of large files: a partial file, a record before its bytes and one "
    "behind them.",
    "W7": "aria2 is told to take 16 connections; ours finds out how many help, and each step of that takes "
    "round trips.",
    "W9": "Server, loop and writer are at work on two processors meanwhile, and a cell waits for its turns "
    "there and at the interpreter.",
    "W12": "What 1,000 files cost beside what their bytes cost: connecting to 1,000 hosts, a file and two "
    "records each.",
}
