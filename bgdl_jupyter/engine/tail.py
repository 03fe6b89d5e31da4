"""The end of a body that had no length: whether it was one is asked of the server (R7)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from bgdl_jupyter.errors import NetworkFailed, TransferFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.transport.base import Framing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.transport.base import Exchange

    OpenPart = Callable[[ByteRange], AbstractAsyncContextManager[Exchange]]

log = logging.getLogger(__name__)


async def look_behind(holding: Holding, position: int, open_part: OpenPart | None) -> Framing:
    """
    Return how it is known that a body ended at ``position`` which the end of its connection ended.

    Parameters
    ----------
    open_part:
        Asks for a part under the validator of the bytes; None where that must not be done.

    Raises
    ------
    NetworkFailed
        There is more: the connection broke in a way that looks like an end.
    """
    resource = holding.resource
    is_askable = resource is not None and resource.accepts_ranges and resource.validator is not None
    if open_part is None or not (is_askable and position):
        return Framing.CLOSED
    try:
        async with open_part(ByteRange(position, position + 1)) as exchange:
            answer = exchange.answer
    except TransferFailed as error:
        log.info("Whether a body had its end could not be asked: %s", error)
        return Framing.CLOSED
    total = answer.content_range.total if answer.content_range is not None else None
    if answer.status == HTTPStatus.PARTIAL_CONTENT and total is not None and total > position:
        raise NetworkFailed(f"The connection ended in order after {position:,} of {total:,} bytes.")
    is_proven = answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and total == position
    return Framing.CONFIRMED if is_proven else Framing.CLOSED
