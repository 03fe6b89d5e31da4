"""Views of the model, and the kernel it runs in; nothing here decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bgdl_jupyter.model.host import Host


def furnish(host: Host) -> None:
    """Fill the slots of the model's host; called once a kernel runs in this process."""
    from bgdl_jupyter.frontends import kernel

    host.loop_provider = kernel
