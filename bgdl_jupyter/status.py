"""
The life of an operation as one table, and the enumerations with Windows' numbers.

Law: no other module compares two statuses to decide what may happen next. What a module needs to know about a
status is a predicate here; what may be done is `allowed_steps`; what comes of it is `advance`.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

from bgdl_jupyter.errors import InvalidTransferState


class BackgroundTransferStatus(IntEnum):
    """Where an operation stands: ``Windows.Networking.BackgroundTransfer.BackgroundTransferStatus``."""

    IDLE = 0
    RUNNING = 1
    PAUSED_BY_APPLICATION = 2
    PAUSED_COSTED_NETWORK = 3
    PAUSED_NO_NETWORK = 4
    COMPLETED = 5
    CANCELED = 6
    ERROR = 7
    PAUSED_RECOVERABLE_WEB_ERROR_STATUS = 8
    PAUSED_SYSTEM_POLICY = 32

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself or by a step other than retry."""
        return self in _FINAL

    @property
    def is_running(self) -> bool:
        """Whether the operation has, or waits in the queue for, a transfer."""
        return self is BackgroundTransferStatus.RUNNING

    @property
    def is_paused(self) -> bool:
        """Whether the operation was started and stands still for a stated reason."""
        return self in _PAUSED

    @property
    def is_live(self) -> bool:
        """Whether the operation was started and is not final."""
        return self.is_running or self.is_paused

    @property
    def waits_for_a_person(self) -> bool:
        """Whether only somebody's decision can move the operation on."""
        return self in _NEEDS_A_PERSON

    @property
    def waits_for_conditions(self) -> bool:
        """Whether the operation moves on by itself when the network, its cost or the machine allow."""
        return self in _NEEDS_CONDITIONS

    @property
    def is_failure(self) -> bool:
        """Whether the operation ended without its file and without having been told to."""
        return self is BackgroundTransferStatus.ERROR

    @property
    def is_success(self) -> bool:
        """Whether the file is whole and has its name."""
        return self is BackgroundTransferStatus.COMPLETED

    @property
    def is_canceled(self) -> bool:
        """Whether somebody gave it up, and nothing of it is to be kept."""
        return self is BackgroundTransferStatus.CANCELED

    @property
    def is_idle(self) -> bool:
        """Whether the operation was created and not started."""
        return self is BackgroundTransferStatus.IDLE

    def comes_of(self, step: Step) -> bool:
        """Whether this is where a step leads that is found out while an operation runs."""
        return NEXT[BackgroundTransferStatus.RUNNING].get(step) is self


class TransferActivity(IntEnum):
    """What a running operation is doing."""

    NONE = 0
    QUEUED = 1
    CONNECTING = 2
    DOWNLOADING = 3
    BACKING_OFF = 4
    VERIFYING = 5
    COMMITTING = 6


class BackgroundTransferPriority(IntEnum):
    """``Windows.Networking.BackgroundTransfer.BackgroundTransferPriority``."""

    DEFAULT = 0
    HIGH = 1
    LOW = 2

    @property
    def rank(self) -> int:
        """The place in the queue: smaller goes first."""
        return _RANKS[self]


# By number: DEFAULT, HIGH, LOW. A queue asks often, and hashing a member of an enumeration is slow.
_RANKS: Final = (1, 0, 2)


class BackgroundTransferBehavior(IntEnum):
    """``Windows.Networking.BackgroundTransfer.BackgroundTransferBehavior``."""

    PARALLEL = 0
    SERIALIZED = 1


class BackgroundTransferCostPolicy(IntEnum):
    """``Windows.Networking.BackgroundTransfer.BackgroundTransferCostPolicy``."""

    DEFAULT = 0
    UNRESTRICTED_ONLY = 1
    ALWAYS = 2


class CreationCollisionOption(IntEnum):
    """What to do when the destination exists: ``Windows.Storage.CreationCollisionOption``."""

    GENERATE_UNIQUE_NAME = 0
    REPLACE_EXISTING = 1
    FAIL_IF_EXISTS = 2
    OPEN_IF_EXISTS = 3


class NotificationSetting(IntEnum):
    """Whether toasts are shown: ``Windows.UI.Notifications.NotificationSetting``."""

    ENABLED = 0
    DISABLED_FOR_APPLICATION = 1
    DISABLED_FOR_USER = 2
    DISABLED_BY_GROUP_POLICY = 3
    DISABLED_BY_MANIFEST = 4


class Integrity(Enum):
    """What was checked before a file got its name."""

    DIGEST = "digest"
    LENGTH_AND_VALIDATOR = "length+validator"
    LENGTH = "length"
    NONE = "none"


class Step(Enum):
    """What can happen to an operation. The first six are a user's, the others are found out."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    OVERRIDE = "resume(override_policy=True)"
    NETWORK_LOST = "network lost"
    COST_DENIED = "cost denies"
    POLICY_DENIED = "system policy denies"
    CAUSE_ENDED = "cause ended"
    MEET_RECOVERABLE_ERROR = "listed error"
    FAIL = "other error"
    COMPLETE = "done"


#: The steps that a user takes, in the order in which messages list them.
USER_STEPS: Final = (Step.START, Step.PAUSE, Step.RESUME, Step.OVERRIDE, Step.CANCEL, Step.RETRY)

_S = BackgroundTransferStatus
_FINAL: Final = frozenset({_S.COMPLETED, _S.CANCELED, _S.ERROR})
_NEEDS_CONDITIONS: Final = frozenset({_S.PAUSED_COSTED_NETWORK, _S.PAUSED_NO_NETWORK, _S.PAUSED_SYSTEM_POLICY})
_NEEDS_A_PERSON: Final = frozenset({_S.PAUSED_BY_APPLICATION, _S.PAUSED_RECOVERABLE_WEB_ERROR_STATUS})
_PAUSED: Final = _NEEDS_CONDITIONS | _NEEDS_A_PERSON

_WAITING_FOR_CONDITIONS: Final = {
    Step.PAUSE: _S.PAUSED_BY_APPLICATION,
    Step.OVERRIDE: _S.RUNNING,
    Step.CANCEL: _S.CANCELED,
    Step.CAUSE_ENDED: _S.RUNNING,
    Step.MEET_RECOVERABLE_ERROR: _S.PAUSED_RECOVERABLE_WEB_ERROR_STATUS,
}

#: The law: what comes of a step in a status. A pair that is not here is refused.
NEXT: Final[dict[BackgroundTransferStatus, dict[Step, BackgroundTransferStatus]]] = {
    _S.IDLE: {
        Step.START: _S.RUNNING,
        Step.CANCEL: _S.CANCELED,
    },
    _S.RUNNING: {
        Step.PAUSE: _S.PAUSED_BY_APPLICATION,
        Step.CANCEL: _S.CANCELED,
        Step.NETWORK_LOST: _S.PAUSED_NO_NETWORK,
        Step.COST_DENIED: _S.PAUSED_COSTED_NETWORK,
        Step.POLICY_DENIED: _S.PAUSED_SYSTEM_POLICY,
        Step.MEET_RECOVERABLE_ERROR: _S.PAUSED_RECOVERABLE_WEB_ERROR_STATUS,
        Step.FAIL: _S.ERROR,
        Step.COMPLETE: _S.COMPLETED,
    },
    _S.PAUSED_BY_APPLICATION: {
        Step.RESUME: _S.RUNNING,
        Step.OVERRIDE: _S.RUNNING,
        Step.CANCEL: _S.CANCELED,
        Step.NETWORK_LOST: _S.PAUSED_BY_APPLICATION,
        Step.COST_DENIED: _S.PAUSED_BY_APPLICATION,
        Step.POLICY_DENIED: _S.PAUSED_BY_APPLICATION,
    },
    _S.PAUSED_COSTED_NETWORK: _WAITING_FOR_CONDITIONS,
    _S.PAUSED_NO_NETWORK: _WAITING_FOR_CONDITIONS,
    _S.PAUSED_SYSTEM_POLICY: _WAITING_FOR_CONDITIONS,
    _S.PAUSED_RECOVERABLE_WEB_ERROR_STATUS: {
        Step.RESUME: _S.RUNNING,
        Step.OVERRIDE: _S.RUNNING,
        Step.CANCEL: _S.CANCELED,
    },
    _S.COMPLETED: {Step.CANCEL: _S.COMPLETED},
    _S.CANCELED: {Step.CANCEL: _S.CANCELED, Step.RETRY: _S.RUNNING},
    _S.ERROR: {Step.CANCEL: _S.ERROR, Step.RETRY: _S.RUNNING},
}


def allowed_steps(status: BackgroundTransferStatus, *, can_pause: bool = True) -> frozenset[Step]:
    """
    Return the steps that a user may take.

    ``can_pause`` is False where a pause would do harm: a request that must not be sent twice, a file that is just
    getting its name.
    """
    steps = NEXT[status].keys() & set(USER_STEPS)
    return frozenset(steps if can_pause else steps - {Step.PAUSE})


def advance(
    status: BackgroundTransferStatus, step: Step, *, can_pause: bool = True, name: object = "The operation"
) -> BackgroundTransferStatus:
    """
    Return the status that follows; ``name`` is asked for its text only where a message needs it.

    Raises
    ------
    InvalidTransferState
        The step is refused; the message names the operation, its status and what is allowed.
    """
    following = NEXT[status].get(step)
    if following is None or (step is Step.PAUSE and not can_pause):
        steps = allowed_steps(status, can_pause=can_pause)
        allowed = ", ".join(each.value for each in USER_STEPS if each in steps) or "none"
        message = f"{name} is {status.name}, {step.value} is refused; allowed here: {allowed}."
        raise InvalidTransferState(message)
    return following


def diagram() -> str:
    """Return the table as a Mermaid state diagram: one arrow a pair of statuses, its steps as the label."""
    arrows: dict[tuple[BackgroundTransferStatus, BackgroundTransferStatus], list[str]] = {}
    for status, steps in NEXT.items():
        for step, following in steps.items():
            if following is not status:
                arrows.setdefault((status, following), []).append(step.value)
    lines = ["stateDiagram-v2", "    [*] --> IDLE: create"]
    lines += [f"    {old.name} --> {new.name}: {' / '.join(steps)}" for (old, new), steps in arrows.items()]
    lines += [f"    {status.name} --> [*]" for status in NEXT if status.is_final]
    return "\n".join(lines)
