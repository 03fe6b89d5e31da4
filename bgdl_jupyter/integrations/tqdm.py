"""
A tqdm bar for a download or a group, in the place of our own views.

::

    operation.attach(progress=progress_bar())   # moves while other cells run
    wait(group, desc="data")                   # blocks, with a bar, as `group.wait()` does
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from bgdl_jupyter.errors import BackgroundTransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bgdl_jupyter.model.values import BackgroundDownloadProgress

_REDRAW: Final = 0.1


class Waited(Protocol):
    """What can be waited for: an operation or a group."""

    @property
    def progress(self) -> Any:
        """How far it is."""

    def wait(self, timeout: float | None = None) -> Any:
        """Block until it is over."""


W = TypeVar("W", bound=Waited)


def progress_bar(**options: Any) -> Callable[[BackgroundDownloadProgress], None]:
    """
    Return a ``progress=`` callable that draws a tqdm bar: for `start` and `attach` of an operation.

    Parameters
    ----------
    options:
        Of ``tqdm.auto.tqdm``; bytes are its unit unless they say otherwise.

    Raises
    ------
    BackgroundTransferError
        tqdm is not installed.
    """
    bar = _Bar(_tqdm(), options)

    def tell(progress: BackgroundDownloadProgress) -> None:
        bar.show(progress)
        if progress.status.is_final:
            bar.close()

    return tell


def wait(target: W, timeout: float | None = None, **options: Any) -> W:
    """
    Block until an operation or a group is over, with a tqdm bar; an interrupt ends the waiting, not the download.

    Parameters
    ----------
    timeout:
        Seconds; None waits as long as it takes.
    options:
        As for `progress_bar`.

    Returns
    -------
    DownloadOperation or BackgroundTransferGroup
        The target. Raises as its own ``wait`` does.
    """
    with closing_bar(target, **options) as draw:
        return wait_drawing(target, draw, timeout)


@contextlib.contextmanager
def closing_bar(target: Waited, **options: Any) -> Iterator[Callable[[Any], None]]:
    """Give what draws a progress on a bar that is named after the target, and close the bar at the end."""
    name = getattr(target, "name", None)
    bar = _Bar(_tqdm(), {"desc": name, **options})
    try:
        yield bar.show
    finally:
        bar.show(target.progress)
        bar.close()


def wait_drawing(target: W, draw: Callable[[Any], None], timeout: float | None = None) -> W:
    """Block until the target is over and have its progress drawn in this thread; raises as the target's ``wait``."""
    outcome: Future[W] = Future()

    def watch() -> None:
        try:
            outcome.set_result(target.wait())
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            outcome.set_exception(error)

    end = None if timeout is None else time.monotonic() + timeout
    # A daemon: who is interrupted here leaves it waiting, and the process must be able to end.
    threading.Thread(target=watch, name="bgdl-bar", daemon=True).start()
    while True:
        left = _REDRAW if end is None else min(_REDRAW, end - time.monotonic())
        try:
            return outcome.result(max(0.0, left))
        except TimeoutError:
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"Not over after {timeout:g} s.") from None
        draw(target.progress)


class _Bar:
    """One bar, made when there is something to show: what was there before does not count for its rate."""

    def __init__(self, tqdm: Any, options: dict[str, Any]) -> None:
        self._tqdm = tqdm
        self._options = {"unit": "B", "unit_scale": True, **options}
        self._bar: Any = None

    def show(self, progress: Any) -> None:
        if self._bar is None:
            self._bar = self._tqdm(initial=progress.bytes_received, **self._options)
        self._bar.total = progress.total_bytes_to_receive
        self._bar.update(progress.bytes_received - self._bar.n)  # below 0 where a download began again
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise BackgroundTransferError("tqdm is not installed.", hint="Run: pip install tqdm") from None
    return tqdm
