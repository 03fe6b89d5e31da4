"""How long final operations are remembered, and what goes with them when they are forgotten."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.storage.leftovers import discard_leftovers

if TYPE_CHECKING:
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow

log = logging.getLogger(__name__)

#: How many days final operations are remembered.
HISTORY: Final = 90
_DAY: Final = 24 * 3600.0
# A clock that is years ahead must not make one start forget everything.
_LEAP: Final = 30 * _DAY
_SETTING: Final = "history looked at"
_WITHIN: Final = 60.0


async def forget_history(runner: Runner, *, days: float = HISTORY) -> None:
    """Forget what became final longer ago, with the bytes and the secrets that it kept for a retry; files stay."""
    await runner.facilities.run(_forget, runner, days * _DAY)


def present_time(now: float, last: object) -> float:
    """
    Return the time that the history goes by, in seconds since the epoch.

    Parameters
    ----------
    now:
        What the clock says.
    last:
        What was returned at the last start; None at the first. One start is a month behind it at most: whoever was
        away for longer is caught up with by the next ones.
    """
    return min(now, last + _LEAP) if isinstance(last, int | float) else now


def _forget(runner: Runner, age: float) -> None:
    try:
        now = present_time(time.time(), runner.state.setting("", _SETTING).result(_WITHIN))
        runner.state.put_setting("", _SETTING, now).result(_WITHIN)
        before = now - age
        expired = runner.state.expired(before).result(_WITHIN)
        for row in expired:
            _discard(runner, row)
        if expired:
            runner.state.prune(before).result(_WITHIN)
    except (BackgroundTransferError, TimeoutError) as error:
        log.warning("The history was not shortened: %s", error)


def _discard(runner: Runner, row: OperationRow) -> None:
    """Remove what is left of an operation beside its row: nothing would ever find it again."""
    try:
        discard_leftovers(Path(row.record["directory"]), row.operation_id, row.epoch)
    except (BackgroundTransferError, OSError, KeyError, TypeError) as error:
        log.warning("A partial file of %s was left behind: %s", row.operation_id, error)
    if row.record.get("secret_names"):
        runner.vault.delete(str(row.operation_id))
