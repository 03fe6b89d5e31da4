"""What the tests of the model share: a machine whose conditions they set, and a front end that hears alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.conditions.fake import FakeConditions
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.process import current_runner

if TYPE_CHECKING:
    from bgdl_jupyter.conditions.base import ConditionsMonitor


class Machine:
    """The conditions that every runner of a test finds, also the next one after a restart."""

    def __init__(self) -> None:
        self.monitors: list[FakeConditions] = []
        self._said: dict[str, Any] = {}

    def new(self) -> ConditionsMonitor:
        monitor = FakeConditions()
        monitor.change(**self._said)
        self.monitors.append(monitor)
        return monitor

    def change(self, **conditions: Any) -> None:
        """Let it be so from now on; returns when the runner has taken it in."""
        self._said |= conditions
        if self.monitors:
            current_runner().place.call(lambda: self.monitors[-1].change(**conditions))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return the machine's conditions: everything is allowed until the test says otherwise."""
    machine = Machine()
    monkeypatch.setattr(host(), "conditions_factory", machine.new)
    return machine
