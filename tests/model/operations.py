"""The files that the tests of operations serve, and the status of an operation as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.faults import cut_after, hold_after, hold_head, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.status import BackgroundTransferStatus as Status
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SIZE = 400_000
HALF = SIZE // 2
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),))


def served(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once, one that stops half-way, one that is not there, and one that asks who we are."""
    return fault_server(
        {
            "/plain": FileSpec(size=SIZE),
            "/held": HELD,
            "/gone": FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(404, on=2))),
            "/post": FileSpec(size=SIZE, faults=(hold_head(until="go"),)),
        }
    )


def status_of(operation: DownloadOperation) -> Status:
    """Return the status as it is now."""
    now: Status = operation.status
    return now
