"""Where somebody waits for bytes of a file that is still coming: that place is fetched before all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.engine.connections import NEAR, Crew
from bgdl_jupyter.engine.segments import ActiveSegment, next_range_for
from bgdl_jupyter.resource import range_to_ask

if TYPE_CHECKING:
    from bgdl_jupyter.engine.delivery import Delivery
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Options


class Wanted:
    """
    The one position that somebody waits for.

    Attributes
    ----------
    position:
        It; None while nobody waits, or nothing can be done about it.
    is_read:
        Whether the file was ever read while it came: what has come is then handed on sooner.
    """

    def __init__(self, holding: Holding, options: Options) -> None:
        self._holding = holding
        self._options = options
        self.position: int | None = None
        self.is_read = False

    def want(self, position: int, delivery: Crew | Delivery | None) -> None:
        """
        Turn what is delivered to a position.

        One at a time: another position that is wanted meanwhile has to be asked for again. Does nothing where the
        server sends no parts, or where the byte is about to come anyway.
        """
        self.is_read = True
        is_busy = self.position is not None and self.position != position
        if is_busy or position in self._holding.written or not self._has_parts():
            return
        self.position = position
        if isinstance(delivery, Crew):
            delivery.want(position)
        elif delivery is not None and delivery.has_begun:
            self._turn(position, delivery)

    def has_come(self) -> bool:
        """Whether the byte is there now that was waited for; nobody waits any more then."""
        if self.position is None or self.position not in self._holding.written:
            return False
        self.position = None
        return True

    def _has_parts(self) -> bool:
        resource = self._holding.resource
        if resource is None or not resource.accepts_ranges or resource.content_encoding is not None:
            return False
        is_provable = range_to_ask(self._holding.kept_from(1), overlap=0) is not None
        return self._options.may_ask_for_parts and is_provable

    def _turn(self, position: int, delivery: Delivery) -> None:
        """End the one connection where it is far from what is wanted; the next attempt begins there."""
        length = self._holding.length or 0
        active = ActiveSegment(delivery.written_to, delivery.stop or length)
        gaps = self._holding.written.missing(length)
        if next_range_for(position, gaps, active=[active], smallest=NEAR) is not None:
            delivery.stop_now()
