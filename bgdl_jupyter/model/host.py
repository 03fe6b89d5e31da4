"""
What the model needs from above, through slots.

A notebook has a kernel with loops, and eyes to see widgets; a script has neither. The model does not ask which: it
takes its place to run and its views from the `Host`. The slots are filled from `bgdl_jupyter.frontends` where an
IPython kernel runs; empty slots mean a thread and text.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from bgdl_jupyter.engine.loop import LoopPlace, Place, ThreadPlace
from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from traitlets.config import Config

    from bgdl_jupyter.conditions.base import ConditionsMonitor
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.stores import StoreProvider

__all__ = [
    "FLUSH_BUDGET",
    "ClusterProvider",
    "ConsentAnswer",
    "ConsentForm",
    "Host",
    "LoopPlace",
    "LoopProvider",
    "Place",
    "PlacePreference",
    "ThreadPlace",
    "ViewFactory",
    "callback_thread",
    "host",
    "kernel_is_running",
    "place_without_kernel",
    "running_loop_place",
]

PlacePreference = Literal["auto", "subshell", "thread", "main"]
#: How long a flush may take, in seconds.
FLUSH_BUDGET: Final = 1.0


class LoopProvider(Protocol):
    """What knows the loops of this process; the module `bgdl_jupyter.frontends.kernel` is one."""

    def provide_place(self, preference: PlacePreference = "auto") -> Place:
        """Return a new place for the downloads."""

    def callback_place(self) -> Place:
        """Return a new place for the callbacks of users."""

    def on_shutdown(self, flush: Callable[[float], object]) -> Callable[[], None]:
        """Have `flush` called once, with its seconds, before the process ends; return what takes that back."""

    def notebook_path(self) -> str | None:
        """Return the absolute path of the notebook that this process belongs to."""

    def has_front_end(self) -> bool:
        """Whether somebody can answer a question."""


class ViewFactory(Protocol):
    """What makes the view of an object of the model: a widget."""

    def __call__(self, model: object) -> object:
        """Return a new view of `model`, or the one it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentAnswer:
    """What somebody said to a question, or why nobody did."""

    is_allowed: bool
    reason: str


class ConsentForm(Protocol):
    """What puts a question before the user: a widget with Allow and Deny."""

    async def __call__(self, question: str) -> ConsentAnswer:
        """Return the answer; never waits where nobody can give one."""


class ClusterProvider(Protocol):
    """What has clusters fetch; the module `bgdl_jupyter.cluster.starting` is one."""

    def download_many(self, downloader: Any, manifest: object, **given: Any) -> BackgroundTransferGroup:
        """Cut a manifest into shards, have a cluster fetch them, and return their group."""

    def revive(self, runner: Any, values: dict[str, Any]) -> BackgroundTransferGroup:
        """Return the group that an earlier kernel had; ``values`` are its recorded traits."""


class Host:
    """
    The process as the model sees it.

    Attributes
    ----------
    loop_provider, view_factory, consent_form:
        The slots; None until they are filled.
    conditions_factory:
        What makes the monitor of this machine's conditions; None for the real one.
    store_provider:
        What knows stores; None until the first use.
    """

    def __init__(self) -> None:
        self.loop_provider: LoopProvider | None = None
        self.view_factory: ViewFactory | None = None
        self.consent_form: ConsentForm | None = None
        self.conditions_factory: Callable[[], ConditionsMonitor] | None = None
        self.configuration: Config | None = None
        self.store_provider: StoreProvider | None = None
        self._callback_place: Place | None = None
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Fill the slots if a kernel runs in this process and they are empty; cheap, and asked again at each use."""
        if self.loop_provider is None and kernel_is_running():
            # By name: an import statement would point up. What is above is loaded in notebooks only.
            importlib.import_module("bgdl_jupyter.frontends").furnish(self)

    @property
    def stores(self) -> StoreProvider:
        """What knows stores; loaded at the first use, which takes a while."""
        if self.store_provider is None:
            # By name, as above.
            self.store_provider = cast("StoreProvider", importlib.import_module("bgdl_jupyter.integrations.fsspec"))
        return self.store_provider

    @property
    def clusters(self) -> ClusterProvider:
        """What has clusters fetch; loaded at the first use."""
        return cast("ClusterProvider", importlib.import_module("bgdl_jupyter.cluster.starting"))  # by name, as above

    def present_configuration(self) -> Config | None:
        """Return the configuration of the kernel, None where there is no kernel."""
        self.fill()
        return self.configuration

    def provide_place(self, preference: PlacePreference = "auto") -> Place:
        """Return a new place for the downloads; raises `BackgroundTransferError` where there can be no such place."""
        self.fill()
        if self.loop_provider is None:
            return place_without_kernel(preference)
        return self.loop_provider.provide_place(preference)

    def callback_place(self) -> Place:
        """Return the one place for the callbacks of users: the main shell, or a thread made when first asked for."""
        self.fill()
        with self._lock:
            if self._callback_place is None or not self._callback_place.is_alive:
                self._callback_place = self._new_callback_place()
            return self._callback_place

    def on_shutdown(self, flush: Callable[[float], object]) -> Callable[[], None]:
        """Have `flush` called once, with the seconds it has, before the process ends; return what takes that back."""
        self.fill()
        if self.loop_provider is not None:
            return self.loop_provider.on_shutdown(flush)
        wish = functools.partial(flush, FLUSH_BUDGET)
        atexit.register(wish)
        return functools.partial(atexit.unregister, wish)

    def notebook_path(self) -> str | None:
        """Return the absolute path of the notebook that this process belongs to; None where there is none."""
        self.fill()
        return None if self.loop_provider is None else self.loop_provider.notebook_path()

    def has_front_end(self) -> bool:
        """Whether somebody can answer a question."""
        self.fill()
        return self.loop_provider is not None and self.loop_provider.has_front_end()

    async def ask_consent(self, question: str) -> ConsentAnswer:
        """Ask the user; answers at once, in the negative, where nobody can be asked."""
        self.fill()
        if self.consent_form is None:
            return ConsentAnswer(is_allowed=False, reason="There is no front end in which somebody could allow it.")
        return await self.consent_form(question)

    def new_conditions(self) -> ConditionsMonitor:
        """Return a new monitor of this machine's conditions; called on the loop that it is to run on."""
        if self.conditions_factory is not None:
            return self.conditions_factory()
        from bgdl_jupyter.conditions.monitor import Conditions  # what never downloads needs no monitor

        return Conditions()

    def view(self, model: object) -> object | None:
        """Return the view of an object of the model; None where text has to do."""
        self.fill()
        return None if self.view_factory is None else self.view_factory(model)

    def _new_callback_place(self) -> Place:
        if self.loop_provider is not None:
            return self.loop_provider.callback_place()
        return callback_thread()


@functools.cache
def host() -> Host:
    """Return the host of this process."""
    return Host()


def kernel_is_running() -> bool:
    """Whether an IPython kernel runs in this process; loads nothing to find out."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and getattr(get_ipython(), "kernel", None) is not None


def place_without_kernel(preference: PlacePreference) -> Place:
    """Return a place for the downloads in a script or a terminal, or raise `BackgroundTransferError`."""
    match preference:
        case "auto":
            return ThreadPlace(reason="No Jupyter kernel runs in this process, so a thread has to do.")
        case "thread":
            return ThreadPlace(reason="A thread was asked for.")
        case "main":
            return running_loop_place()
        case "subshell":
            raise BackgroundTransferError(
                "No Jupyter kernel runs in this process, so there are no subshells.", hint="Use loop='auto'."
            )
    raise InvalidRequest(f"There is no loop {preference!r}.", hint="Use 'auto', 'subshell', 'thread' or 'main'.")


def running_loop_place() -> LoopPlace:
    """Return the loop that runs in this thread; raises `BackgroundTransferError` where none does."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise BackgroundTransferError("No event loop runs in this thread.", hint="Use loop='thread'.") from error
    return LoopPlace(loop, threading.current_thread(), kind="main", reason="The running loop was asked for.")


def callback_thread() -> ThreadPlace:
    """Return a new thread for the callbacks of users: a slow one must not hold up the downloads."""
    return ThreadPlace(reason="No main shell runs in this process.", name="bgdl_jupyter-callbacks")
