from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.frontends.ledger import Ledger
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.model.far import FarGroup
from bgdl_jupyter.model.group import GroupProgress
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus, Step

if TYPE_CHECKING:
    from bgdl_jupyter.events import Event


class Asked(FarGroup):
    """A group that only remembers what it was asked."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[Step] = []
        self.was_asked = threading.Event()

    def ask(self, step: Step) -> None:
        self.asked.append(step)
        self.was_asked.set()


@pytest.fixture
def group(new_downloader):
    new_downloader()
    runner = current_runner()
    group = Asked(runner, name="far", application="here")
    runner.place.call(runner.registry.put_group, group)
    return group


@pytest.fixture
def ledger(group):
    runner = current_runner()
    ledger = Ledger(runner.registry)

    def note(event: Event) -> None:
        ledger.note(event)

    runner.events.subscribe(note)
    return ledger


def tell(group, standing, **progress) -> None:
    current_runner().place.call(group.told, GroupProgress(**progress), standing, "3 of 9 shards done")


def test_a_group_that_is_fetched_elsewhere_is_shown_with_its_own_sums(group, ledger):
    tell(group, BackgroundTransferStatus.RUNNING, total=900, completed=300, running=8, queued=592, bytes_received=5)
    changes = ledger.refresh_all()
    assert changes.groups == {("here", "far")}
    tally = ledger.group(("here", "far"))
    assert tally.progress.completed == 300
    assert tally.share == pytest.approx(1 / 3)
    assert tally.remark == "3 of 9 shards done"
    assert tally.allowed == {Verb.PAUSE, Verb.CANCEL}
    assert ledger.is_live
    assert [key for key, _ in ledger.groups("here")] == [("here", "far")]
    assert tally.first(20) == []


def test_its_buttons_ask_the_group_and_what_is_not_allowed_is_left(group, ledger):
    tell(group, BackgroundTransferStatus.PAUSED_BY_APPLICATION, total=9, paused=9)
    ledger.refresh_all()
    runner = current_runner()
    tally = ledger.group(("here", "far"))
    for verb in (Verb.PAUSE, Verb.RESUME):
        runner.place.call(tally.perform, runner, verb)
    assert group.was_asked.wait(20)
    assert group.asked == [Step.RESUME]


def test_what_is_cleared_is_shown_no_longer(group, ledger):
    tell(group, BackgroundTransferStatus.COMPLETED, total=9, completed=9)
    ledger.refresh_all()
    runner = current_runner()
    runner.place.call(ledger.group(("here", "far")).perform, runner, Verb.CLEAR)
    ledger.refresh_all()
    assert list(ledger.groups("here")) == []
    assert not len(ledger.group(("here", "far")))
