"""What tests do with a state file: await what it promised, put operations in, hold up the thread that commits."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from tests.storage.kernel_process import DEADLINE


def done(future):
    return future.result(DEADLINE)


def inserted(state, *rows):
    return [done(future) for future in state.insert(rows)]


@contextmanager
def held_up(state):
    """Keep the thread busy, so that what is queued meanwhile comes together; gives the statements that follow."""
    go_on = threading.Event()
    statements: list[str] = []
    busy = state._commits.submit(lambda _: go_on.wait(DEADLINE), is_read=True)
    yield statements
    state._store.connection.set_trace_callback(statements.append)
    go_on.set()
    assert done(busy)
