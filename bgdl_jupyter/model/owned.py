"""
Traits that belong to one thread: the engine's.

Assigning a public trait on another thread hands the assignment over and returns when it is done. Observers of users
run on the callback loop, never on the engine's: a slow one must not hold up a download.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from traitlets import All, HasTraits
from traitlets.traitlets import EventHandler

from bgdl_jupyter.model.host import host

if TYPE_CHECKING:
    from collections.abc import Callable

    from traitlets.utils.sentinel import Sentinel

    from bgdl_jupyter.engine.loop import Place

log = logging.getLogger(__name__)


class Owned(HasTraits):
    """A `HasTraits` whose traits are written on the thread of `_place` only; before it has one, anywhere."""

    _place: Place | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._traits or name.startswith("_") or (place := self._place) is None or place.is_here():
            super().__setattr__(name, value)
        else:
            place.call(super().__setattr__, name, value)

    def observe(self, handler: Any, names: Any = All, type: Sentinel | str = "change") -> None:  # noqa: A002 (traitlets' name)
        """
        Call ``handler`` with every change, on the callback loop.

        As `traitlets.HasTraits.observe`; what the handler raises is logged and stops nothing.
        """
        if isinstance(handler, EventHandler):
            super().observe(handler, names, type)
            return
        super().observe(_queued(self, handler), names, type)

    def unobserve(self, handler: Any, names: Any = All, type: Sentinel | str = "change") -> None:  # noqa: A002 (as above)
        """End what `observe` began."""
        super().unobserve(self._observers().get(handler, handler), names, type)

    def _observers(self) -> dict[Callable[..., object], Callable[..., object]]:
        """Return the queued form of every observer, so that it can be taken away again."""
        found: dict[Callable[..., object], Callable[..., object]] = self.__dict__.setdefault("_queued_observers", {})
        return found


def _queued(owner: Owned, handler: Callable[..., object]) -> Callable[..., object]:
    observers = owner._observers()  # noqa: SLF001 (of the class above)
    if handler not in observers:

        def queue(change: object) -> None:
            host().callback_place().post(handler, change)

        observers[handler] = queue
    return observers[handler]
