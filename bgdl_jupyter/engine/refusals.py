"""How long a host that refused a further connection is not asked for another one."""

from __future__ import annotations

from typing import Final

_FIRST_PAUSE: Final = 0.5
# Doubled with each refusal, so many times.
_MOST_DOUBLINGS: Final = 7


class Refusals:
    """
    Those of one transfer's further connections, each of which is worth a pause.

    What there is goes on meanwhile, and who refused one would refuse the next: a server counts connections that it has
    yet to notice the end of. All times are seconds of the loop's clock.
    """

    __slots__ = ("_again_at", "_count")

    def __init__(self) -> None:
        self._count = 0
        self._again_at = float("-inf")

    def may_ask(self, now: float) -> bool:
        """Whether it is time for another one."""
        return now >= self._again_at

    def refused(self, now: float) -> None:
        """Take in that one was; several in one moment are one piece of news."""
        if self.may_ask(now):
            self._again_at = now + _FIRST_PAUSE * 2 ** min(self._count, _MOST_DOUBLINGS)
            self._count += 1

    def forget(self) -> None:
        """Take in that one was given."""
        self._count = 0
