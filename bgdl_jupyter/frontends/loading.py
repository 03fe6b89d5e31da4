"""What ``%load_ext bgdl_jupyter`` does, and what takes it back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bgdl_jupyter.frontends import magics
from bgdl_jupyter.frontends.kernel import control_comms
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.host import kernel_is_running
from bgdl_jupyter.model.housekeeping import far_groups_of
from bgdl_jupyter.model.process import current_runner, existing_runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.model.far import FarGroup
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
    far = far_groups_of(downloader)
    sys.stdout.write(f"bgdl_jupyter: {in_a_line(news, far)}\n")
    if (news or far) and kernel_is_running():
        from IPython.display import display

        runner.place.call(_prepare_rows, runner, news, far)
        display(downloader)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away and hang up; downloads go on."""
    magics.unregister(shell)
    runner = existing_runner()
    if runner is not None and kernel_is_running():
        runner.place.call(_end, runner)


def in_a_line(restored: Sequence[DownloadOperation], far: Sequence[FarGroup] = ()) -> str:
    """Return what became of the downloads of earlier kernels; ``far`` are groups that clusters fetch."""
    groups = [f"{len(far):,} group{'s' if len(far) > 1 else ''} on a cluster"] if far else []
    if not restored:
        return groups[0] if groups else "no downloads from before; %bgdl URI starts one"
    running = sum(each.status.is_running and not each.is_held for each in restored)
    held = sum(each.is_held for each in restored)
    failed = sum(each.standing.is_failure for each in restored)
    parts = [f"{len(restored):,} download{'s' if len(restored) > 1 else ''} restored"]
    parts += [f"{running:,} running"] if running else []
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{held:,} held by another kernel"] if held else []
    return ", ".join(parts + groups)


def _begin(runner: Runner) -> None:
    _views(runner).comm.open()


def _end(runner: Runner) -> None:
    _views(runner).comm.close()


def _prepare_rows(runner: Runner, restored: Sequence[DownloadOperation], far: Sequence[FarGroup]) -> None:
    widgets = _views(runner).widgets
    widgets.revive(restored)
    for group in far:
        widgets.box((group.application, group.name))


def _views(runner: Runner) -> Views:
    from bgdl_jupyter.frontends.views import views_of

    return views_of(runner)
