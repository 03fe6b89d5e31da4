"""
Shorter turns at the interpreter while bytes come.

A thread that comes back from a read or a write waits until the one that computes has had its turn, by default 5 ms, and
does so several times for each buffer: beside a cell of pure Python that is most of the time of a transfer.
"""

from __future__ import annotations

import math
import sys
from typing import Final

#: Seconds of a turn. Shorter ones bring more bytes beside a cell and cost it more of its speed (`benchmarks` W8); a
#: watermark takes some twenty turns one after the other, and bytes wait for it.
TURN: Final = 0.0007


class ShortTurns:
    """Keeps the turns short from `begin` to `end`, and leaves what somebody else chose meanwhile."""

    def __init__(self) -> None:
        self._before: float | None = None

    def begin(self) -> None:
        """Shorten the turns, unless they are short; may be repeated."""
        if self._before is None and (present := sys.getswitchinterval()) > TURN:
            self._before = present
            sys.setswitchinterval(TURN)

    def end(self) -> None:
        """Have the turns as they were."""
        before, self._before = self._before, None
        if before is not None and math.isclose(sys.getswitchinterval(), TURN):
            sys.setswitchinterval(before)
