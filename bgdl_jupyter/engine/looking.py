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


class _Look:
    """A look at some paths, under way or done."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.seen: Sequence[Footprint | OSError | None] | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def at(self, place: int) -> Footprint | OSError | None:
        """Return what was seen; an error where nothing could be looked at."""
        if not self.done.done():
            await asyncio.shield(self.done)
        return OSError("nobody looked") if self.seen is None else self.seen[place]


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
        # Where it was seen, or will be, what those see who are about to ask; the oldest first.
        self._ahead: dict[str, tuple[_Look, int]] = {}
        self._is_due = False
        self._reach = 0
        self._looked_at = float("-inf")
        self.ahead: Callable[[int], Iterable[str]] = _nobody

    async def footprint(self, path: str) -> Footprint | None:
        """Return the footprint of what a path itself leads to, None where there is nothing; raises ``OSError``."""
        look, place = self._ahead.pop(path, (None, 0))
        if look is not None and time.monotonic() - look.begun < _FRESH:
            if 2 * len(self._ahead) < self._reach:
                self._begin_soon()  # before anybody has to wait
            seen = await look.at(place)
            if not isinstance(seen, OSError):
                return seen
        outcome: asyncio.Future[Footprint | None] = asyncio.get_running_loop().create_future()
        self._asked.append((path, outcome))
        self._begin_soon()
        return await outcome

    def _begin_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        asked, self._asked = self._asked, []
        now = time.monotonic()
        paths = [path for path, _ in asked]
        look = _Look(now)
        for place, path in enumerate(self._next(len(asked), now), len(asked)):
            self._ahead[path] = look, place
            paths.append(path)
        if paths:
            task = asyncio.get_running_loop().create_task(self._look(look, asked, paths))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    def _next(self, count: int, now: float) -> list[str]:
        """Return what to look at for those who come next: the farther, the faster they came lately."""
        old = [path for path, (look, _) in self._ahead.items() if now - look.begun >= _FRESH]
        for path in old:
            del self._ahead[path]
        is_used = not old and now - self._looked_at < _FRESH
        self._reach = min(_FARTHEST, 2 * self._reach + count) if is_used else count
        self._looked_at = now
        return [path for path in self.ahead(self._reach) if path not in self._ahead]

    async def _look(
        self, look: _Look, asked: Sequence[tuple[str, asyncio.Future[Footprint | None]]], paths: Sequence[str]
    ) -> None:
        seen: Sequence[Footprint | BaseException | None]
        try:
            seen = look.seen = await self._run(_look_at_all, paths)
        except BaseException as error:
            seen = [error] * len(asked)
            if not isinstance(error, Exception):  # the loop is being shut down, and nobody is left to look
                raise
        finally:
            look.done.set_result(None)
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
