"""Finds the end of a response's head in what arrives, and holds the head to its bounds."""

from __future__ import annotations

import re
from typing import Final

from bgdl_jupyter.errors import ProtocolViolation

MAX_HEAD: Final = 64 * 1024
MAX_INTERIM_ANSWERS: Final = 20

_END: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = b"\ncontent-length:"
_CODING: Final = b"\ntransfer-encoding:"
_MAX_DIGITS: Final = 19
# What nearly every answer begins with; the others are read with more care.
_FINAL: Final = (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4", b"HTTP/1.1 5")
_HEARD: Final = 16


class HeadReader:
    """Reads the heads of one response, the interim ones (RFC 9110 15.2) and the last."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._size = 0
        self._interim_answers = 0
        self.heard = b""
        self.is_complete = False
        #: The length of the body, if the head tells one.
        self.length: int | None = None

    def feed(self, data: bytes) -> int:
        """
        Return how many of the next bytes belong to the head.

        Raises
        ------
        ProtocolViolation
            The head is too long or holds a NUL, or there are too many interim ones.
        """
        if not self.heard:
            self.heard = data[:_HEARD]
        end = 0
        while end < len(data) and not self.is_complete:
            end += self._next_end(data[end:] if end else data)
            if end + self._size > MAX_HEAD:
                raise ProtocolViolation(f"The header of the answer is longer than {MAX_HEAD // 1024} KiB.")
            if self._interim_answers > MAX_INTERIM_ANSWERS:
                raise ProtocolViolation(f"The server sent more than {MAX_INTERIM_ANSWERS} interim answers.")
        self._size += end
        return end

    def _next_end(self, data: bytes) -> int:
        """Return where the present head ends in new bytes; their length where it does not."""
        known = len(self._head)
        if not known and data.startswith(_FINAL) and (end := data.find(b"\r\n\r\n") + 4) > 3:  # noqa: PLR2004 (found)
            self._complete(data, end)
            return end
        self._head += data
        match = _END.search(self._head, max(0, known - 3))
        if match is None:
            return len(data)
        if self._head[9:10] == b"1" and self._head[9:12] != b"101":
            self._interim_answers += 1
        else:
            self._complete(self._head, match.end())
        self._head.clear()
        return match.end() - known

    def _complete(self, head: bytes | bytearray, end: int) -> None:
        self.is_complete = True
        # Every answer comes through here, and a search that ignores case is slow.
        lines = bytes(head[:end]).lower()
        if 0 in lines:
            raise ProtocolViolation("The header of the answer holds a NUL.")
        start = lines.find(_LENGTH)
        if start >= 0 and _CODING not in lines:
            digits = lines[start + len(_LENGTH) : lines.find(b"\n", start + 1)].strip()
            self.length = int(digits) if digits.isdigit() and len(digits) <= _MAX_DIGITS else None
