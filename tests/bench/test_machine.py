"""Any order of what users, servers, disks and kernels do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.bench.living import watched
from tests.bench.machine import DownloaderMachine, settings
from tests.bench.stage import build_shim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def shim(tmp_path: Path) -> Iterator[None]:
    with watched(build_shim(tmp_path)):
        yield


@pytest.mark.timeout(600)
def test_whatever_is_done_in_whatever_order_the_invariants_hold():
    run_state_machine_as_test(DownloaderMachine, settings=settings(6, 25))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_invariants_hold_for_longer():
    run_state_machine_as_test(DownloaderMachine, settings=settings(200, 40))
