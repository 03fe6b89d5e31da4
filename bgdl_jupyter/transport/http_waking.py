"""
Wakes the loop less often for a body that comes fast.

A turn of the loop costs the same however little it brings, and of many connections each brings little at a time: the
loop is there again as soon as 64 KiB have come. So the system is told to wait for more of them (SO_RCVLOWAT,
socket(7)), for as long as more is to come and does.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final

# So much at once says that a body comes fast; so much is then waited for, and no longer than so many seconds.
_FAST: Final = 64 * 1024
_ENOUGH: Final = 256 * 1024
_PATIENCE: Final = 0.1


class Waking:
    """
    How much has to have come before the loop is woken, for the length of one body.

    Elsewhere than on Linux, and under TLS, whose records hide what is still to come, it does nothing.
    """

    __slots__ = ("_enough", "_loop", "_read_at", "_socket", "_timer")

    def __init__(self, transport: asyncio.Transport) -> None:
        is_plain = sys.platform == "linux" and transport.get_extra_info("ssl_object") is None
        self._socket: socket.socket | None = transport.get_extra_info("socket") if is_plain else None
        self._loop = asyncio.get_running_loop()
        self._enough = 1
        self._read_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def read(self, count: int, *, room: int, left: int | None) -> None:
        """Take in that ``count`` bytes were read into so much room, and ``left`` are to come, None for unknown."""
        if self._socket is None:
            return
        if left is not None and left < _ENOUGH:
            self._wait_for(1)
        elif count >= _FAST:
            self._read_at = self._loop.time()
            self._wait_for(_ENOUGH)
            if self._timer is None:
                self._timer = self._loop.call_later(_PATIENCE, self._look)
        elif count < room:
            self._wait_for(1)

    def end(self) -> None:
        """Have the loop woken by whatever comes; may be repeated."""
        self._wait_for(1)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Wait no longer for a body that does not come any more: what has come of it wakes the loop at once."""
        self._timer = None
        if self._loop.time() - self._read_at >= _PATIENCE:
            self._wait_for(1)
        elif self._enough > 1:
            self._timer = self._loop.call_later(_PATIENCE, self._look)

    def _wait_for(self, count: int) -> None:
        if self._socket is None or count == self._enough:
            return
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
        except OSError:  # it was closed, or is none that can: then it wakes the loop as it always did
            self._socket = None
        self._enough = count
