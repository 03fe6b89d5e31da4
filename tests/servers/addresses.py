"""Addresses where nobody answers: a port that refuses, a port that swallows."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILLERS = 8


@contextlib.contextmanager
def closed_port(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a port that refuses connections and is nobody else's until the block ends."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as bound:
        bound.bind((host, 0))  # bound and not listening: the kernel answers RST
        yield int(bound.getsockname()[1])


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a port whose SYNs are dropped: a connect neither succeeds nor fails."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind((host, 0))
        full.listen(0)
        port = int(full.getsockname()[1])
        # Nobody accepts, so that a few connections fill the queue for good.
        for _ in range(_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((host, port))
        yield port
