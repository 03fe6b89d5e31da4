"""What is on the disk, looked at for many at once: handing one look to a thread costs more than the look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bgdl_jupyter.storage.descriptor import Footprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path


class Looking:
    """
    Looks at paths for all that ask in one turn of the loop.

    Parameters
    ----------
    run:
        Runs something that blocks on another thread.
    """

    def __init__(self, run: Callable[..., Awaitable[list[Footprint | OSError | None]]]) -> None:
        self._run = run
        self._asked: list[tuple[Path, asyncio.Future[Footprint | None]]] = []
        self._looks: set[asyncio.Task[None]] = set()

    async def footprint(self, path: Path) -> Footprint | None:
        """Return the footprint of what a path itself leads to, None where there is nothing; raises ``OSError``."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._begin)
        outcome: asyncio.Future[Footprint | None] = loop.create_future()
        self._asked.append((path, outcome))
        return await outcome

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        look = asyncio.get_running_loop().create_task(self._look(asked))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look(self, asked: list[tuple[Path, asyncio.Future[Footprint | None]]]) -> None:
        paths = [path for path, _ in asked]
        seen: Sequence[Footprint | BaseException | None]
        try:
            seen = await self._run(_look_at_all, paths)
        except BaseException as error:
            seen = [error] * len(paths)
            if not isinstance(error, Exception):  # the loop is being shut down, and nobody is left to look
                raise
        finally:
            for (_, outcome), what in zip(asked, seen, strict=True):
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


def _look_at_all(paths: Sequence[Path]) -> list[Footprint | OSError | None]:
    return [_look_at(path) for path in paths]


def _look_at(path: Path) -> Footprint | OSError | None:
    try:
        return Footprint.at(path)
    except OSError as error:
        return error
