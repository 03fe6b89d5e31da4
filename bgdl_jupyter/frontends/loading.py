"""What ``%load_ext bgdl_jupyter`` does, and what takes it back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bgdl_jupyter.frontends import magics
from bgdl_jupyter.frontends.kernel import control_comms
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.host import kernel_is_running
from bgdl_jupyter.model.process import current_runner, existing_runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner


def load(shell: InteractiveShell) -> None:
    """Add the magics, take this notebook's downloads up again, say so in a line, and show them."""
    magics.register(shell)
    downloader = default_downloader()
    runner = current_runner()
    if kernel_is_running():
        control_comms()
        runner.place.call(_begin, runner)
    restored = downloader.restore()
    news = [each for each in restored if not (each.is_over and each.was_seen)]
    sys.stdout.write(f"bgdl_jupyter: {in_a_line(news)}\n")
    if news and kernel_is_running():
        from IPython.display import display

        runner.place.call(_prepare_rows, runner, news)
        display(downloader)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away and hang up; downloads go on."""
    magics.unregister(shell)
    runner = existing_runner()
    if runner is not None and kernel_is_running():
        runner.place.call(_end, runner)


def in_a_line(restored: Sequence[DownloadOperation]) -> str:
    """Return what became of the downloads of earlier kernels."""
    if not restored:
        return "no downloads from before; %bgdl URI starts one"
    running = sum(each.status.is_running and not each.is_held for each in restored)
    held = sum(each.is_held for each in restored)
    failed = sum(each.standing.is_failure for each in restored)
    parts = [f"{len(restored):,} download{'s' if len(restored) > 1 else ''} restored"]
    parts += [f"{running:,} running"] if running else []
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{held:,} held by another kernel"] if held else []
    return ", ".join(parts)


def _begin(runner: Runner) -> None:
    _views(runner).comm.open()


def _end(runner: Runner) -> None:
    _views(runner).comm.close()


def _prepare_rows(runner: Runner, restored: Sequence[DownloadOperation]) -> None:
    _views(runner).widgets.revive(restored)


def _views(runner: Runner) -> Views:
    from bgdl_jupyter.frontends.views import views_of

    return views_of(runner)
