"""The life of an operation: every cell of the table, written out here a second time, as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import BackgroundTransferError, InvalidTransferState
from bgdl_jupyter.status import (
    NEXT,
    USER_STEPS,
    BackgroundTransferBehavior,
    BackgroundTransferCostPolicy,
    BackgroundTransferPriority,
    BackgroundTransferStatus,
    CreationCollisionOption,
    Integrity,
    NotificationSetting,
    Step,
    TransferActivity,
    advance,
    allowed_steps,
    diagram,
)

# A dot is a refusal, "stays" a step that is taken and changes nothing.
TABLE = """
from                                 START    PAUSE   RESUME   OVERRIDE  CANCEL    RETRY    CAUSE_ENDED
IDLE                                 RUNNING  .       .        .         CANCELED  .        .
RUNNING                              .        BY_APP  .        .         CANCELED  .        .
PAUSED_BY_APPLICATION                .        .       RUNNING  RUNNING   CANCELED  .        .
PAUSED_COSTED_NETWORK                .        BY_APP  .        RUNNING   CANCELED  .        RUNNING
PAUSED_NO_NETWORK                    .        BY_APP  .        RUNNING   CANCELED  .        RUNNING
PAUSED_SYSTEM_POLICY                 .        BY_APP  .        RUNNING   CANCELED  .        RUNNING
PAUSED_RECOVERABLE_WEB_ERROR_STATUS  .        .       RUNNING  RUNNING   CANCELED  .        .
COMPLETED                            .        .       .        .         stays     .        .
CANCELED                             .        .       .        .         stays     RUNNING  .
ERROR                                .        .       .        .         stays     RUNNING  .

from                                 NETWORK_LOST  COST_DENIED  POLICY_DENIED  MEET_RECOVERABLE_ERROR  FAIL   COMPLETE
IDLE                                 .             .            .              .                       .      .
RUNNING                              NO_NET        COSTED       POLICY         RECOVERABLE             ERROR  COMPLETED
PAUSED_BY_APPLICATION                stays         stays        stays          .                       .      .
PAUSED_COSTED_NETWORK                .             .            .              RECOVERABLE             .      .
PAUSED_NO_NETWORK                    .             .            .              RECOVERABLE             .      .
PAUSED_SYSTEM_POLICY                 .             .            .              RECOVERABLE             .      .
PAUSED_RECOVERABLE_WEB_ERROR_STATUS  .             .            .              .                       .      .
COMPLETED                            .             .            .              .                       .      .
CANCELED                             .             .            .              .                       .      .
ERROR                                .             .            .              .                       .      .
"""
SHORT = {
    "BY_APP": "PAUSED_BY_APPLICATION",
    "COSTED": "PAUSED_COSTED_NETWORK",
    "NO_NET": "PAUSED_NO_NETWORK",
    "POLICY": "PAUSED_SYSTEM_POLICY",
    "RECOVERABLE": "PAUSED_RECOVERABLE_WEB_ERROR_STATUS",
}


def cells():
    """Return (status, step, what follows or None) for each cell."""
    for block in TABLE.strip().split("\n\n"):
        header, *rows = (line.split() for line in block.splitlines())
        for name, *entries in rows:
            for step, entry in zip(header[1:], entries, strict=True):
                following = name if entry == "stays" else SHORT.get(entry, entry)
                status = BackgroundTransferStatus[name]
                yield status, Step[step], None if entry == "." else BackgroundTransferStatus[following]


CELLS = list(cells())


def test_the_table_here_has_a_cell_for_every_status_and_step():
    assert {(status, step) for status, step, _ in CELLS} == {
        (status, step) for status in BackgroundTransferStatus for step in Step
    }
    assert len(CELLS) == 10 * 13


@pytest.mark.parametrize(
    ("status", "step", "following"), CELLS, ids=[f"{status.name}-{step.name}" for status, step, _ in CELLS]
)
def test_what_follows_each_step(status, step, following):
    if following is not None:
        assert advance(status, step) is following
    else:
        with pytest.raises(InvalidTransferState):
            advance(status, step)


@pytest.mark.parametrize("status", BackgroundTransferStatus)
def test_the_allowed_steps_are_those_that_a_user_takes_and_that_are_not_refused(status):
    expected = {step for each, step, following in CELLS if each is status and following is not None}
    assert allowed_steps(status) == expected & set(USER_STEPS)


def test_a_refusal_names_the_operation_its_status_and_what_is_allowed():
    with pytest.raises(InvalidTransferState) as caught:
        advance(BackgroundTransferStatus.PAUSED_BY_APPLICATION, Step.START, name="big.tar")
    assert str(caught.value) == (
        "big.tar is PAUSED_BY_APPLICATION, start is refused; "
        "allowed here: resume, resume(override_policy=True), cancel."
    )


def test_a_refusal_in_a_status_that_allows_little_says_so():
    with pytest.raises(InvalidTransferState, match=r"file is COMPLETED, resume is refused; allowed here: cancel\."):
        advance(BackgroundTransferStatus.COMPLETED, Step.RESUME, name="file")


def test_a_refusal_is_an_error_of_this_package():
    assert issubclass(InvalidTransferState, BackgroundTransferError)


def test_what_must_not_be_sent_twice_cannot_be_paused():
    """A POST: pausing would mean to send it again."""
    with pytest.raises(InvalidTransferState, match=r"pause is refused; allowed here: cancel\."):
        advance(BackgroundTransferStatus.RUNNING, Step.PAUSE, can_pause=False)
    assert allowed_steps(BackgroundTransferStatus.RUNNING, can_pause=False) == {Step.CANCEL}


@pytest.mark.parametrize(("status", "step", "following"), [cell for cell in CELLS if cell[1] is not Step.PAUSE])
def test_what_cannot_be_paused_can_still_do_everything_else(status, step, following):
    if following is not None:
        assert advance(status, step, can_pause=False) is following


@given(steps=st.lists(st.sampled_from(Step), max_size=30))
def test_cancelling_always_ends_it_whatever_came_before(steps):
    status = BackgroundTransferStatus.IDLE
    for step in steps:
        status = NEXT[status].get(step, status)
    assert advance(status, Step.CANCEL).is_final


@pytest.mark.parametrize("status", BackgroundTransferStatus)
def test_every_status_can_be_reached(status):
    reached = {BackgroundTransferStatus.IDLE}
    while True:
        further = {following for each in reached for following in NEXT[each].values()} - reached
        if not further:
            break
        reached |= further
    assert status in reached


PREDICATES = """
                                     final  running  paused  live  person  conditions  failure  success  idle
IDLE                                 .      .        .       .     .       .           .        .        x
RUNNING                              .      x        .       x     .       .           .        .        .
PAUSED_BY_APPLICATION                .      .        x       x     x       .           .        .        .
PAUSED_COSTED_NETWORK                .      .        x       x     .       x           .        .        .
PAUSED_NO_NETWORK                    .      .        x       x     .       x           .        .        .
PAUSED_SYSTEM_POLICY                 .      .        x       x     .       x           .        .        .
PAUSED_RECOVERABLE_WEB_ERROR_STATUS  .      .        x       x     x       .           .        .        .
COMPLETED                            x      .        .       .     .       .           .        x        .
CANCELED                             x      .        .       .     .       .           .        .        .
ERROR                                x      .        .       .     .       .           x        .        .
"""


@pytest.mark.parametrize("row", [line.split() for line in PREDICATES.strip().splitlines()[1:]], ids=lambda row: row[0])
def test_what_a_status_means(row):
    status = BackgroundTransferStatus[row[0]]
    assert [mark == "x" for mark in row[1:]] == [
        status.is_final,
        status.is_running,
        status.is_paused,
        status.is_live,
        status.waits_for_a_person,
        status.waits_for_conditions,
        status.is_failure,
        status.is_success,
        status.is_idle,
    ]


@pytest.mark.parametrize(
    ("enumeration", "members"),
    [
        (
            BackgroundTransferStatus,
            {
                "IDLE": 0,
                "RUNNING": 1,
                "PAUSED_BY_APPLICATION": 2,
                "PAUSED_COSTED_NETWORK": 3,
                "PAUSED_NO_NETWORK": 4,
                "COMPLETED": 5,
                "CANCELED": 6,
                "ERROR": 7,
                "PAUSED_RECOVERABLE_WEB_ERROR_STATUS": 8,
                "PAUSED_SYSTEM_POLICY": 32,
            },
        ),
        (BackgroundTransferPriority, {"DEFAULT": 0, "HIGH": 1, "LOW": 2}),
        (BackgroundTransferBehavior, {"PARALLEL": 0, "SERIALIZED": 1}),
        (BackgroundTransferCostPolicy, {"DEFAULT": 0, "UNRESTRICTED_ONLY": 1, "ALWAYS": 2}),
        (
            CreationCollisionOption,
            {"GENERATE_UNIQUE_NAME": 0, "REPLACE_EXISTING": 1, "FAIL_IF_EXISTS": 2, "OPEN_IF_EXISTS": 3},
        ),
        (
            NotificationSetting,
            {
                "ENABLED": 0,
                "DISABLED_FOR_APPLICATION": 1,
                "DISABLED_FOR_USER": 2,
                "DISABLED_BY_GROUP_POLICY": 3,
                "DISABLED_BY_MANIFEST": 4,
            },
        ),
    ],
)
def test_the_numbers_are_those_of_windows(enumeration, members):
    assert {each.name: int(each) for each in enumeration} == members


def test_what_a_running_operation_may_be_doing():
    assert [each.name for each in TransferActivity] == [
        "NONE",
        "QUEUED",
        "CONNECTING",
        "DOWNLOADING",
        "BACKING_OFF",
        "VERIFYING",
        "COMMITTING",
    ]


def test_how_a_file_can_have_been_checked():
    assert [each.value for each in Integrity] == ["digest", "length+validator", "length", "none"]


def test_high_goes_before_default_and_default_before_low():
    assert [each.name for each in sorted(BackgroundTransferPriority, key=lambda each: each.rank)] == [
        "HIGH",
        "DEFAULT",
        "LOW",
    ]


def test_the_diagram_has_an_arrow_for_every_change_and_no_other():
    drawn = {
        (old, new)
        for line in diagram().splitlines()
        if "-->" in line and "[*]" not in line
        for old, new in [line.split(":")[0].strip().split(" --> ")]
    }
    assert drawn == {(status.name, following.name) for status, _, following in CELLS if following not in (None, status)}
