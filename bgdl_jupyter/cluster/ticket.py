"""What goes to a worker with a shard, and what it says of it: plain values that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.cluster.references import Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What the variable of a job may say.
RUN: Final = "run"
PAUSE: Final = "pause"
CANCEL: Final = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """
    A shard for a worker.

    Attributes
    ----------
    ledger, directory:
        Where the ledger and the files are, for the worker as for the notebook.
    connections:
        Its part of the host's limit: never more requests than these at once.
    rate:
        Its part of the limit in bytes per second; None for none.
    settings, options:
        Traits of the worker's downloader, and what `download_many` is given.
    references, sealed:
        Secrets that the worker looks up, and those that were sent.
    beat:
        Seconds between two things that it says.
    """

    job_id: str
    shard: int
    round: int
    ledger: str
    directory: str
    connections: int
    beat: float
    rate: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    references: Mapping[str, str] = field(default_factory=dict, repr=False)
    sealed: Sealed = field(default_factory=lambda: Sealed({}))

    @property
    def key(self) -> str:
        """The same for the same work: a scheduler that has it already does not do it twice."""
        return f"bgdl-{self.job_id}-{self.shard:08d}-r{self.round}"


def topic_of(job_id: str) -> str:
    """Return the topic under which workers say how far a job is."""
    return f"bgdl-{job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """How far a shard is: files that are there, failed, and run now; bytes, and bytes per second."""

    shard: int
    completed: int = 0
    failed: int = 0
    running: int = 0
    size: int = 0
    rate: float = 0.0
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The end of a shard in a worker: ``is_done`` unless it was canceled."""

    shard: int
    round: int
    is_done: bool
    completed: int = 0
    failed: int = 0
    size: int = 0
