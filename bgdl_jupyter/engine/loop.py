"""
A place to run: an event loop on one thread, and the safe ways onto it.

The engine does not know which loop runs it: a subshell of the kernel, a thread of our own, the main shell's loop or a
script's. It knows a `Place`. `LoopPlace` is a loop that somebody else runs, `ThreadPlace` a loop on a thread of ours.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import functools
import logging
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, TypeVarTuple

from bgdl_jupyter.errors import EngineNotResponding

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PlaceKind = Literal["subshell", "thread", "main"]

#: How long a caller waits for a step, in seconds.
DEADLINE: Final = 5.0
#: How long a thread may hold up the end of the interpreter, in seconds.
_EXIT_BUDGET: Final = 1.5
_SLICES: Final = 10


class Place(ABC):
    """
    A loop to run on, and how to get there from elsewhere.

    Attributes
    ----------
    kind:
        "subshell", "thread" or "main".
    reason:
        A sentence that says why it is this place and no other.
    loop:
        The event loop; touched from other threads only through the methods below.
    """

    kind: PlaceKind
    reason: str
    loop: asyncio.AbstractEventLoop

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether steps are taken here: not stopped, not closed by its owner, not a forked copy."""

    @abstractmethod
    def is_here(self) -> bool:
        """Tell whether the caller is on the loop's thread."""

    @abstractmethod
    def call_within(self, seconds: float, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """
        Run a function on the loop's thread and return what it returns; in line when already there.

        What the function raises is raised here, with its traceback. An exception in the waiting caller (an interrupt)
        takes nothing back: a step that was handed over is taken whole.

        Raises
        ------
        EngineNotResponding
            The step was not taken in `seconds`; unless the message says otherwise it will not be taken later either.
        """

    def call(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Do as `call_within` does, with the usual deadline of 5 seconds."""
        return self.call_within(DEADLINE, function, *args)

    @abstractmethod
    def post(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        """Have a function run on the loop and do not wait; what it raises is logged."""

    @abstractmethod
    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """
        Start a task on the loop, keep it referenced until it ends, and log what it raises.

        Raises
        ------
        EngineNotResponding
            The task was not started; the coroutine is closed.
        """

    @abstractmethod
    def stop(self, timeout: float) -> None:
        """
        Cancel what was spawned, wait up to `timeout` seconds for it to end, and refuse further steps.

        Called on the loop's own thread it cancels and does not wait. Once stopped, it does nothing.
        """


class LoopPlace(Place):
    """
    A loop that somebody else runs: it is used, and never stopped or closed.

    Parameters
    ----------
    loop:
        The loop, running or about to run.
    thread:
        The thread that runs it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, thread: threading.Thread, *, kind: PlaceKind, reason: str
    ) -> None:
        self.loop = loop
        self.kind = kind
        self.reason = reason
        self._thread = thread
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        self._is_exiting = False
        self._is_forked = False
        self._mark_children()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} kind={self.kind!r} thread={self._thread.name!r} alive={self.is_alive}>"

    @property
    def is_alive(self) -> bool:
        """Whether steps are taken here."""
        return not (self._is_forked or self._is_stopping or self.loop.is_closed())

    def is_here(self) -> bool:
        """Tell whether the caller is on the loop's thread; never in a forked child, whose loop is a dead copy."""
        return threading.get_ident() == self._thread.ident and not self._is_forked

    def call_within(self, seconds: float, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a function on the loop's thread and return what it returns."""
        if self.is_here():
            return function(*args)
        step: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._hand_over(_take_step, step, function, args)
        return self._outcome(step, seconds)

    def post(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        """Have a function run on the loop and do not wait."""
        try:
            self._hand_over(_take_and_log, function, args)
        except EngineNotResponding as error:
            log.log(logging.DEBUG if self._is_stopping else self._level(logging.WARNING), "Not posted: %s", error)

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start a task on the loop and keep it referenced until it ends."""
        try:
            return self._start(coroutine, name) if self.is_here() else self.call(self._start, coroutine, name)
        except EngineNotResponding:
            coroutine.close()
            raise

    def stop(self, timeout: float) -> None:
        """Cancel what was spawned and wait up to `timeout` seconds for it to end."""
        if self._is_forked or self._is_stopping:
            return
        self._is_stopping = True
        if self.is_here():
            self._begin_ending(self._end)
        elif not self.loop.is_closed():
            self._end_tasks(timeout)
            self._end()

    # ------------------------------------------------------------------------------------------------ steps

    def _hand_over(self, function: Callable[[*Ts], None], *args: *Ts) -> None:
        if self._is_forked:
            raise EngineNotResponding(
                "This process is a forked copy, and downloads run in its parent only.",
                hint="Use it in the parent, or start the child by the 'spawn' method.",
            )
        if self._is_stopping and not self.is_here():
            raise EngineNotResponding(f"The {self.kind} that ran the downloads was stopped.")
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:  # what asyncio raises for a closed loop
            raise EngineNotResponding(
                f"The event loop of the {self.kind} that ran the downloads is closed.",
                hint="Restart the kernel; the downloads go on from the bytes they have.",
            ) from error

    def _outcome(self, step: concurrent.futures.Future[T], seconds: float) -> T:
        for _ in range(_SLICES):
            # In slices, because a stretch in which no thread could run (a C call that holds the GIL, a stopped process)
            # must not count in full: the loop had no chance to answer in it.
            if concurrent.futures.wait((step,), timeout=seconds / _SLICES).done:
                break
        if step.cancel():
            raise EngineNotResponding(
                f"The loop of the downloads did not answer for {seconds:g} s; nothing was changed.",
                hint=self._advice(),
            )
        if not step.done():
            raise EngineNotResponding(
                f"The loop of the downloads has begun this step and not finished it in {seconds:g} s; "
                "it will still take effect.",
                hint=self._advice(),
            )
        return step.result()

    def _advice(self) -> str:
        if self.kind == "main":
            return "A cell keeps the main shell busy; wait for its end, or use loop='auto'."
        return "Something blocks that loop or the whole interpreter; try again."

    # ------------------------------------------------------------------------------------------------ tasks

    def _start(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = self.loop.create_task(_contained(coroutine), name=name)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._settle, coroutine))
        return task

    def _settle(self, coroutine: Coroutine[Any, Any, Any], task: asyncio.Task[Any]) -> None:
        # A task that is canceled before its first step never reaches the coroutine, which would warn of it.
        coroutine.close()
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.log(self._level(logging.ERROR), "%s failed", task.get_name(), exc_info=error)

    def _end_tasks(self, timeout: float) -> None:
        ended = threading.Event()
        self.loop.call_soon_threadsafe(self._begin_ending, ended.set)
        if not ended.wait(timeout):
            names = ", ".join(sorted(task.get_name() for task in tuple(self._tasks)))
            log.log(self._level(logging.WARNING), "Not ended within %g s: %s", timeout, names or "the loop is blocked")

    def _begin_ending(self, then: Callable[[], None]) -> None:
        self._ending = self.loop.create_task(self._all_ended())  # kept: a loop refers to its tasks weakly
        self._ending.add_done_callback(lambda _: then())

    async def _all_ended(self) -> None:
        """Cancel what was spawned, also what is spawned meanwhile, until nothing is left."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(tuple(self._tasks))

    def _end(self) -> None:
        """Let go of the loop, on whatever thread; there is nothing to do where it is somebody else's."""

    def _level(self, level: int) -> int:
        """Return the level to log at: what fails because the interpreter ends is no news."""
        return logging.DEBUG if self._is_exiting or self._is_forked else level

    # ------------------------------------------------------------------------------------------------ forks

    def _mark_children(self) -> None:
        if not hasattr(os, "register_at_fork"):  # Windows
            return
        become_inert = weakref.WeakMethod(self._become_inert)

        def in_child() -> None:
            if (mark := become_inert()) is not None:
                mark()

        os.register_at_fork(after_in_child=in_child)

    def _become_inert(self) -> None:
        # The child shares the selector with its parent: closing the loop here would unregister the parent's sockets.
        self._is_forked = True


class ThreadPlace(LoopPlace):
    """
    A daemon thread with a loop of its own, running as soon as it is made.

    It runs in a copy of the maker's context (`contextvars`), where ipykernel finds the cell that output belongs to.

    Parameters
    ----------
    reason:
        A sentence that says why a thread and nothing else.
    name:
        The name of the thread.
    """

    def __init__(self, *, reason: str, name: str = "bgdl_jupyter") -> None:
        thread = _LoopThread(target=contextvars.copy_context().run, args=(self._run,), name=name, daemon=True)
        super().__init__(asyncio.new_event_loop(), thread, kind="thread", reason=reason)
        self._is_to_end = False
        self.loop.set_exception_handler(self._report)
        thread.start()
        # A backstop for those who do not stop it: a daemon thread that is cut in the middle leaves noise on stderr.
        atexit.register(self._at_exit)

    def stop(self, timeout: float) -> None:
        """Cancel what was spawned, end the thread and close its loop, within `timeout` seconds."""
        if self._is_forked or self._is_stopping:
            return
        atexit.unregister(self._at_exit)
        deadline = time.monotonic() + timeout
        super().stop(timeout)
        if self.is_here():
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            log.debug("The thread %s is left behind: its loop is blocked", self._thread.name)

    def _at_exit(self) -> None:
        self._is_exiting = True
        self.stop(_EXIT_BUDGET)

    def _end(self) -> None:
        self._is_to_end = True
        self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while not self._is_to_end:
                self._run_once()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    def _run_once(self) -> None:
        # A callback that raises SystemExit, or calls `loop.stop()`, ends `run_forever`: the transfers are to go on.
        try:
            self.loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            log.exception("A callback tried to end the loop of the downloads")

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self._is_exiting or self._is_forked:
            log.debug("While ending: %s", context.get("message"))
        else:
            loop.default_exception_handler(context)


class _LoopThread(threading.Thread):
    """A thread that a debugger lets run on while a cell stands at a breakpoint, as it does the kernel's own threads."""

    pydev_do_not_trace = True
    is_pydev_daemon_thread = True


def _take_step(step: concurrent.futures.Future[T], function: Callable[[*Ts], T], args: tuple[*Ts]) -> None:
    """Run the step and keep its outcome for the caller, unless he has given up."""
    if not step.set_running_or_notify_cancel():
        return
    try:
        step.set_result(function(*args))
    except BaseException as error:  # noqa: BLE001 (SystemExit would end the loop; it is the caller's)
        step.set_exception(error)
    finally:
        del step  # the error's traceback holds this frame: without this the two would keep each other


def _take_and_log(function: Callable[[*Ts], object], args: tuple[*Ts]) -> None:
    try:
        function(*args)
    except BaseException:  # (SystemExit, too, must not end the loop)
        log.exception("%r failed", function)


async def _contained(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine; a task that lets SystemExit out would end the loop with it."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"A task of the downloads tried to end the process by {error!r}.") from error
