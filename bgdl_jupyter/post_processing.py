"""
What follows when a file has its name, such as unpacking it: its states, what leads to them, and how far it is.

It is no part of the life of an operation, whose table is in `status`: the file is whole before it begins, and stays
whatever becomes of it. Law: what may happen to it is said here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from bgdl_jupyter.errors import InvalidTransferState
from bgdl_jupyter.status import BackgroundTransferStatus, Step


class PostProcessingState(Enum):
    """Where that stands which follows the download of a file."""

    NONE = "none"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


_P = PostProcessingState
_S = BackgroundTransferStatus

#: What comes of a step in a state; a pair that is not here is refused.
NEXT: Final[dict[PostProcessingState, dict[Step, PostProcessingState]]] = {
    _P.NONE: {},
    _P.WAITING: {Step.START: _P.RUNNING, Step.FAIL: _P.FAILED, Step.CANCEL: _P.CANCELED},
    _P.RUNNING: {Step.COMPLETE: _P.DONE, Step.FAIL: _P.FAILED, Step.CANCEL: _P.CANCELED},
    _P.DONE: {},
    _P.FAILED: {Step.RETRY: _P.WAITING},
    _P.CANCELED: {Step.RETRY: _P.WAITING},
}
_USERS: Final = frozenset({Step.CANCEL, Step.RETRY})
_OVER: Final = frozenset({_P.DONE, _P.FAILED, _P.CANCELED})
#: As which status an operation counts, whose file is there and whose post-processing stands so.
_COUNTS_AS: Final = {
    _P.NONE: _S.COMPLETED,
    _P.WAITING: _S.RUNNING,
    _P.RUNNING: _S.RUNNING,
    _P.DONE: _S.COMPLETED,
    _P.FAILED: _S.ERROR,
    _P.CANCELED: _S.CANCELED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcessing:
    """
    How that is which follows a download.

    Parameters
    ----------
    bytes_done, bytes_total:
        Bytes of the archive that were worked through, and its size; None while nothing is unpacked.
    members_done, members_total:
        Files and folders that were unpacked, and how many there are; None where only the end of the archive tells.
    path:
        Where the unpacked files are; None until they are there.
    error:
        A sentence about what went wrong; empty where nothing did.
    prepared:
        Device and inode of what is unpacked and has not got its name yet.
    footprint:
        Inode, size and time of what was unpacked: by these a folder is known as ours to replace.
    """

    state: PostProcessingState = PostProcessingState.NONE
    bytes_done: int = 0
    bytes_total: int | None = None
    members_done: int = 0
    members_total: int | None = None
    path: str | None = None
    error: str = ""
    prepared: tuple[int, int] | None = None
    footprint: tuple[int, int, int] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it waits or runs."""
        return self.standing is _S.RUNNING

    @property
    def is_over(self) -> bool:
        """Whether it was done, failed, or was given up."""
        return self.state in _OVER

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self.state is _P.RUNNING

    @property
    def was_done(self) -> bool:
        """Whether all of it was carried out."""
        return self.state is _P.DONE

    @property
    def has_failed(self) -> bool:
        """Whether it went wrong; a retry does it again."""
        return self.state is _P.FAILED

    @property
    def was_canceled(self) -> bool:
        """Whether somebody gave it up; the file stays."""
        return self.state is _P.CANCELED

    @property
    def standing(self) -> BackgroundTransferStatus:
        """As which status the operation counts together with what follows it."""
        return _COUNTS_AS[self.state]

    @property
    def fraction(self) -> float | None:
        """The part that is done, 0 to 1; None where that cannot be said."""
        if self.state is _P.DONE:
            return 1.0
        return min(1.0, self.bytes_done / self.bytes_total) if self.bytes_total else None

    @property
    def allowed_steps(self) -> frozenset[Step]:
        """The steps that a user may take."""
        return frozenset(NEXT[self.state].keys() & _USERS)

    def to_record(self) -> dict[str, Any]:
        """Return what is kept of it: not how far it is, for that is begun again."""
        if self.state is _P.NONE:
            return {}
        kept = {
            "path": self.path,
            "error": self.error or None,
            "prepared": self.prepared and list(self.prepared),
            "footprint": self.footprint and list(self.footprint),
        }
        return {"state": self.state.value} | {name: value for name, value in kept.items() if value is not None}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> PostProcessing:
        """Return what a record says; raises ``ValueError`` or ``TypeError`` for what is no record of ours."""
        if not record:
            return NOTHING
        prepared, path, footprint = record.get("prepared"), record.get("path"), record.get("footprint")
        if path is not None and not isinstance(path, str):
            raise TypeError("the path of what was unpacked is no text")
        return cls(
            state=PostProcessingState(record["state"]),
            path=path,
            error=str(record.get("error", "")),
            prepared=None if prepared is None else (int(prepared[0]), int(prepared[1])),
            footprint=None if footprint is None else (int(footprint[0]), int(footprint[1]), int(footprint[2])),
        )


#: What an operation has that nothing follows.
NOTHING: Final = PostProcessing()


def advance(state: PostProcessingState, step: Step, *, name: str) -> PostProcessingState:
    """
    Return the state that follows.

    Raises
    ------
    InvalidTransferState
        The step is refused; the message names the operation, the state and what is allowed.
    """
    following = NEXT[state].get(step)
    if following is None:
        allowed = ", ".join(sorted(each.value for each in NEXT[state].keys() & _USERS)) or "none"
        raise InvalidTransferState(
            f"{name} is there, and what follows it is {state.value}; {step.value} is refused; allowed here: {allowed}."
        )
    return following
