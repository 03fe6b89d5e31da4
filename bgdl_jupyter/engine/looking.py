"""What is on the disk, looked at for many at once: handing one look to a thread costs more than the look."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.storage.descriptor import Footprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

# What was looked at for those who are about to ask is as good as looked at when they ask, for so many seconds.
_FRESH: Final = 0.5
_FARTHEST: Final = 64


def _nobody(_: int) -> Iterable[str]:
    return ()


class Looking:
    """
    Looks at paths for all that ask in one turn of the loop, and for those that are about to ask.

    Parameters
    ----------
    run:
        Runs something that blocks on another thread.

    Attributes
    ----------
    ahead:
        Gives so many paths that will be asked for next; set by who knows them.
    """

    def __init__(self, run: Callable[..., Awaitable[list[Footprint | OSError | None]]]) -> None:
        self._run = run
        self._asked: list[tuple[str, asyncio.Future[Footprint | None]]] = []
        self._looks: set[asyncio.Task[None]] = set()
        self._seen: dict[str, Footprint | OSError | None] = {}
        self._seen_at = float("-inf")
        self._reach = 0
        self.ahead: Callable[[int], Iterable[str]] = _nobody

    async def footprint(self, path: str) -> Footprint | None:
        """Return the footprint of what a path itself leads to, None where there is nothing; raises ``OSError``."""
        if path in self._seen:
            seen = self._seen.pop(path)
            if time.monotonic() - self._seen_at < _FRESH and not isinstance(seen, OSError):
                return seen
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._begin)
        outcome: asyncio.Future[Footprint | None] = loop.create_future()
        self._asked.append((path, outcome))
        return await outcome

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        look = asyncio.get_running_loop().create_task(self._look(asked, self._next(len(asked))))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    def _next(self, count: int) -> list[str]:
        """Return what to look at for those who come next: the farther, the faster they came lately."""
        is_used = not self._seen and time.monotonic() - self._seen_at < _FRESH
        self._seen.clear()
        self._reach = min(_FARTHEST, 2 * self._reach + count) if is_used else count
        return list(self.ahead(self._reach))

    async def _look(self, asked: list[tuple[str, asyncio.Future[Footprint | None]]], ahead: list[str]) -> None:
        paths = [path for path, _ in asked]
        seen: Sequence[Footprint | BaseException | None]
        looked_at = time.monotonic()
        try:
            seen = await self._run(_look_at_all, paths + ahead)
        except BaseException as error:
            seen = [error] * len(paths)
            if not isinstance(error, Exception):  # the loop is being shut down, and nobody is left to look
                raise
        else:
            self._seen, self._seen_at = dict(zip(ahead, seen[len(paths) :], strict=True)), looked_at
        finally:
            for (_, outcome), what in zip(asked, seen, strict=False):
                _tell(outcome, what)


def _tell(outcome: asyncio.Future[Footprint | None], what: Footprint | BaseException | None) -> None:
    if outcome.done():  # whoever asked was canceled
        return
    if isinstance(what, asyncio.CancelledError):
        outcome.cancel()
    elif isinstance(what, BaseException):
        outcome.set_exception(what)
    else:
        outcome.set_result(what)


def _look_at_all(paths: Sequence[str]) -> list[Footprint | OSError | None]:
    return [_look_at(path) for path in paths]


def _look_at(path: str) -> Footprint | OSError | None:
    try:
        return Footprint.at(path)
    except OSError as error:
        return error
