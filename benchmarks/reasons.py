"""Why a must is missed where it is, as far as it is known; the page has the reason of each workload that misses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Final[Mapping[str, str]] = {
    "W1": "Ours takes no longer than the C floor, a loop of recv and pwrite followed by an fdatasync: the disk "
    "sets the time. Tried without gain: more connections.",
    "W2": "Two processors are busy: the server encrypts, one thread of ours receives and decrypts, another "
    "copies into the page cache. asyncio's TLS takes each record by itself, 16 KiB at a time, and copies it twice more "
    "than curl does. Tried without gain: to be woken only when many records are there (SO_RCVLOWAT). Tried with gain, "
    "and kept: one connection where that is fast, and none of what is not wanted any more is decrypted.",
    "W4": "What sets the time is the interpreter, which the engine's loop and the threads that write share: about half "
    "a millisecond of the processor for each file, with no function above a few hundredths of it. Tried with gain, and "
    "kept: answers without a session or a stream, one rename in place of four calls, two transactions for 128 files, "
    "looks at folders for many at once, one batch that writes at a time, the next files asked for before those that "
    "wait have their names. Tried without gain: other turns of the interpreter, larger batches, no early write-back.",
    "W5": "A file of 4 MiB is received into memory where it comes soon, and written with others in one turn; the "
    "server, the loop and the disk's threads share the processors.",
    "W7": "aria2 is told to take 16 connections and opens them at the first answer; ours begins with one, and has 16 "
    "some seven round trips later (the profile says when). Tried with gain, and kept: steps that grow while the "
    "shares stay equal.",
    "W9": "Server, loop and writer are at work on two processors meanwhile, and a cell waits for its turns "
    "there and at the interpreter. Tried without gain: niceness of the writer's threads. Tried with gain, and kept: "
    "shorter turns at the interpreter while transfers run.",
    "W12": "Ten at once take hardly longer than one, 100 keep most of its rate; 1,000 cost about two milliseconds of "
    "the processor each beside what their bytes do: connecting to 1,000 hosts, a file and two records each. Tried with "
    "gain, and kept: the loop is woken when more has come, bodies of up to 4 MiB past the partial file, who runs "
    "counted as they come and go, fewer ticks for each of very many.",
}
