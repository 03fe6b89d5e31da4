"""The wait between two attempts of a transfer, out of the way of others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.retry import GiveUp, decide_retry, is_trouble
from bgdl_jupyter.status import TransferActivity

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.order import Options, Park
    from bgdl_jupyter.errors import TransferFailed

    #: Is told the activity, the reason and the end of a wait.
    Tell = Callable[..., None]


class Patience:
    """Waits as `decide_retry` says, and tells why."""

    def __init__(
        self, options: Options, *, facilities: Facilities, tell: Tell, park: Park, draw: Callable[[], float]
    ) -> None:
        self._options = options
        self._facilities = facilities
        self._tell = tell
        self._park = park
        self._draw = draw

    async def back_off(self, error: TransferFailed, failures: int, *, host: str) -> bool:
        """Wait until it is worth another try, and return whether this one counts; raise the error where none is."""
        decision = decide_retry(
            error,
            failures_without_progress=failures,
            policy=self._options.retry,
            is_repeatable=self._options.is_repeatable,
            draw=self._draw,
            has_network=error.http_status is not None or await self._facilities.is_reachable(host),
        )
        if isinstance(decision, GiveUp):
            raise error
        reason = decision.sentence(time.time())
        if is_trouble(error):
            self._facilities.hosts.trouble(host, time.monotonic())
        if decision.holds_host:
            self._facilities.hosts.hold(host, time.monotonic() + decision.seconds)
        until = time.time() + decision.seconds
        self._tell(TransferActivity.BACKING_OFF, reason=reason, until=until)
        await self._park(time.monotonic() + decision.seconds, reason)
        return decision.spends_attempt
