"""The files that the tests of the magics download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SMALL = FileSpec(size=40_000)
#: Stands still after some bytes, until the test sets the event "go".
HELD = FileSpec(size=400_000, faults=(hold_after(30_000, until="go"),))
BROKEN = FileSpec(faults=(status(404),))


def served(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(
        {"/a.bin": SMALL, "/b.bin": FileSpec(size=50_000, seed=2), "/held.bin": HELD, "/gone.bin": BROKEN}
    )
