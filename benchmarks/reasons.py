"""Why a must is missed where it is, as far as it is known; the page has the reason of each workload that misses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Final[Mapping[str, str]] = {
    "W1": "Ours takes as long as the C floor, a loop of recv and pwrite followed by an fdatasync: the disk sets"
    " the time, and what is left is how much faster than aria2 a disk lets anybody be.",
    "W2": "Two processors are too few: the server encrypts while ours receives and decrypts in one thread and "
    "copies into the page cache in another. Half of the receiving thread's time is Python's own, which "
    "asyncio's TLS needs for each of 131,072 records; without it both processors would still be busy for "
    "about as long as the target allows. Reading larger pieces (SO_RCVLOWAT of 256 KiB) changed nothing.",
    "W4": "The engine's loop computes for about two thirds of the time, half a millisecond for each file, with no "
    "function above a few hundredths of it: the exchange, the records, the events that a model is made from. With "
    "all work of the disk taken away the process needs nearly as much processor time. More batches at a time, "
    "other orders of the syncs and one lock for each directory changed nothing beyond the noise.",
    "W5": "A file of 4 MiB takes the way of large files, with a record of its own before and after its bytes. "
    "The way through memory that files of up to 2 MiB take saved two fifths of the time in user mode "
    "here, and took longer.",
    "W7": "aria2 is told to take 16 connections; ours finds out how many help, and each step of that takes "
    "round trips.",
    "W9": "Server, loop and writer keep both processors busy meanwhile, and a cell has to wait for its turns "
    "there and at the interpreter. A lower priority of the threads that write changed nothing beyond the "
    "noise.",
    "W12": "What 1,000 files cost beside what their bytes cost: connecting to 1,000 hosts, a file and two "
    "records each. One file alone is as fast as the page cache takes it.",
}
