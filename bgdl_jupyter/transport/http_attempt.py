"""One request on the wire: what it may do, and what became of it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bgdl_jupyter.errors import TransferFailed
    from bgdl_jupyter.transport.http_watch import Watch


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """
    What is shared by the connector, the connection's watch and who sends.

    ``flaw`` is what we found wrong ourselves; it is the reason for whatever aiohttp says then. ``loss`` is what the
    system said when the connection broke.
    """

    response_timeout: float
    refuses_private: bool = False
    is_direct: bool = True
    wants_fresh: bool = False
    is_reused: bool = False
    peer: str = ""
    watch: Watch | None = None
    flaw: TransferFailed | None = None
    loss: BaseException | None = None

    @property
    def heard(self) -> bytes:
        """The first bytes of the answer."""
        return self.watch.heard if self.watch else b""


#: The attempt that the current task makes; aiohttp has no other way through to its connector.
current_attempt: Final[ContextVar[Attempt]] = ContextVar("current_attempt")
