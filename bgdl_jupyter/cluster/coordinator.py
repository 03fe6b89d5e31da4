"""
Hands out the shards of a job and counts what comes back: one thread of the notebook, which may block.

At any time as many shards are out as the cluster has threads, so that neither the scheduler nor this process has more
to keep when there are more files. What is out, and with which part of its host's limit, is in the ledger before the
scheduler knows of it: whoever comes after a death goes on with the same tasks.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bgdl_jupyter.cluster.account import Account
from bgdl_jupyter.cluster.allotments import Allotments
from bgdl_jupyter.cluster.ledger import Handed, Marker
from bgdl_jupyter.cluster.ticket import CANCEL, PAUSE, RUN, Beat, Report, Ticket, topic_of
from bgdl_jupyter.cluster.worker import run_shard
from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.status import BackgroundTransferStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bgdl_jupyter.cluster.connection import Connection
    from bgdl_jupyter.cluster.ledger import Job, Ledger
    from bgdl_jupyter.cluster.references import Sealed
    from bgdl_jupyter.model.group import GroupProgress

log = logging.getLogger(__name__)

#: Seconds between two looks at the cluster, and between two things that are told.
_LOOK_EVERY: Final = 1.0
_TELL_EVERY: Final = 0.25
_SLOTS_EVERY: Final = 5.0
#: The most that is out, and how often all of it is heard together, in beats per second.
_MOST_OUT: Final = 2000
_BEATS: Final = 8.0
_LONGEST_BEAT: Final = 10.0
#: How often a shard may raise before it counts as failed.
_TRIES: Final = 3
_ALL_HOSTS: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every shard of a job is told, and the limits of the whole cluster."""

    job: Job
    directory: str
    max_per_host: int
    max_rate: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    references: Mapping[str, str] = field(default_factory=dict, repr=False)
    sealed: Sealed | None = None


@dataclass(slots=True)
class _Out:
    """A shard that is handed out."""

    part: int
    future: Any
    beat: Beat
    rate: int = 0


class Coordinator:
    """
    One job, until all of its shards are done.

    Parameters
    ----------
    tell:
        Called with progress, standing and a remark; on this thread. False where nobody listens any more.
    order:
        What the job is to do at first: run, or pause.
    begins_round:
        Whether what failed is to be tried again.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        connection: Connection,
        *,
        tell: Callable[[GroupProgress, BackgroundTransferStatus, str], bool],
        order: str = RUN,
        begins_round: bool = False,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._connection = connection
        self._tell = tell
        self._order = order
        self._owner = uuid4().hex
        self._messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bgdl-cluster", daemon=True)
        self._begins_round = begins_round
        self._account = Account([], [], round_=1)
        self._waiting: dict[str, deque[int]] = {}
        self._out: dict[int, _Out] = {}
        self._tries: Counter[int] = Counter()
        self._hosts = Allotments(plan.max_per_host)
        self._rates = Allotments(plan.max_rate or 0)
        self._slots = 1
        self._told_at = self._slots_at = self._looked_at = float("-inf")
        self._trouble = ""
        self._has_begun = False
        self._is_heard = True

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def order(self, order: str) -> None:
        """Have the workers run, pause or give up; heard within seconds."""
        self._messages.put(("order", order))

    def stop(self) -> None:
        """Let go of the job; what is handed out goes on."""
        self._messages.put(("stop", None))
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(5.0)

    # ---------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._begin()
            while not self._step():
                pass
        except BackgroundTransferError as error:
            self._say(BackgroundTransferStatus.PAUSED_RECOVERABLE_WEB_ERROR_STATUS, str(error))
        except Exception as error:  # (whatever a client of Dask's raises when the process ends)
            log.exception("The job %s is not looked after any more", self._plan.job.job_id)
            why = f"It is not looked after any more: {type(error).__name__}."
            self._say(BackgroundTransferStatus.PAUSED_RECOVERABLE_WEB_ERROR_STATUS, why)

    def _begin(self) -> None:
        handed = self._ledger.handed_out()
        self._account = Account(
            self._ledger.index(), self._ledger.markers().values(), round_=handed.round + self._begins_round
        )
        self._record(handed.parts)
        self._has_begun = True
        self._listen()
        self._set_order()
        self._look_for_slots()
        for shard, part in handed.parts.items():  # the scheduler may still have them
            if self._account.is_to_do(shard):
                self._hosts.claim(self._host_of(shard), part)
                self._submit(shard, part)
        for shard in self._account.to_do:
            if shard not in self._out:
                self._waiting.setdefault(self._host_of(shard), deque()).append(shard)

    def _host_of(self, shard: int) -> str:
        return self._account.index[shard].host

    def _step(self) -> bool:
        """Take what came, hand out what can be, say what is new; returns whether it is over."""
        is_ordered = self._take_messages()
        if is_ordered == "stop":
            return True
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._look_after()
        if self._order == RUN and self._connection.is_alive:
            self._hand_out()
        return self._say_how_it_is(now)

    def _take_messages(self) -> str:
        """Take in what came; waits for the first a moment."""
        timeout: float | None = _TELL_EVERY if self._out else _LOOK_EVERY
        while True:
            try:
                kind, value = self._messages.get(timeout=timeout) if timeout else self._messages.get_nowait()
            except queue.Empty:
                return ""
            timeout = None
            match kind:
                case "stop":
                    return "stop"
                case "beat":
                    self._hear(value)
                case "ended":
                    self._take_back(value)
                case "order":
                    self._order = value
                    self._set_order()

    # -------------------------------------------------------------------------------------------------- handing out

    def _hand_out(self) -> None:
        before = len(self._out)
        handed: list[tuple[int, int]] = []
        for host in list(self._waiting):
            shards = self._waiting[host]
            while shards and len(self._out) + len(handed) < min(self._slots, _MOST_OUT):
                part = self._hosts.take(host, min(self._plan.max_per_host, self._slots))
                if not part:
                    break
                handed.append((shards.popleft(), part))
            if not shards:
                del self._waiting[host]
        if handed:
            self._record(dict(handed))
            for shard, part in handed:
                self._submit(shard, part)
        if before != len(self._out):
            self._told_at = float("-inf")

    def _record(self, more: Mapping[int, int] | None = None) -> None:
        """Have in the ledger what is out, and who says so; raises where somebody else does in the meantime."""
        if self._has_begun and self._ledger.handed_out().owner != self._owner:
            raise BackgroundTransferError(
                "Another notebook hands out the shards of this group now.", hint="group.attach(client) takes it back."
            )
        parts = {shard: out.part for shard, out in self._out.items()} | dict(more or {})
        self._ledger.hand_out(Handed(owner=self._owner, round=self._account.round, parts=parts))

    def _submit(self, shard: int, part: int) -> None:
        rate = self._rates.take(_ALL_HOSTS, self._slots) if self._plan.max_rate else 0
        plan = self._plan
        ticket = Ticket(
            job_id=plan.job.job_id,
            shard=shard,
            round=self._account.round,
            ledger=self._ledger.folder.url,
            directory=plan.directory,
            connections=part,
            beat=min(_LONGEST_BEAT, max(1.0, self._slots / _BEATS)),
            rate=rate or (1 if plan.max_rate else None),
            settings=plan.settings,
            options=plan.options,
            references=plan.references,
            **({"sealed": plan.sealed} if plan.sealed is not None else {}),
        )
        key = f"{ticket.key}-{self._tries[shard]}"
        client = self._connection.client
        future = client.submit(run_shard, ticket, key=key, pure=False)
        _fire_and_forget(future)  # it goes on when this notebook does not
        self._out[shard] = _Out(part, future, Beat(shard=shard), rate)
        future.add_done_callback(lambda ended: self._messages.put(("ended", (shard, ended))))

    def _take_back(self, ended: tuple[int, Any]) -> None:
        shard, future = ended
        out = self._out.get(shard)
        if out is None or out.future is not future:
            return
        if future.status == "finished":
            self._finish(shard, future.result())
        elif future.status == "error":
            self._fail(shard, future.exception())
        else:
            self._put_back(shard)

    def _free(self, shard: int) -> None:
        out = self._out.pop(shard)
        self._hosts.give_back(self._host_of(shard), out.part)
        if out.rate:
            self._rates.give_back(_ALL_HOSTS, out.rate)

    def _put_back(self, shard: int) -> None:
        """Have a shard wait again that was lost on the way."""
        self._free(shard)
        self._waiting.setdefault(self._host_of(shard), deque()).appendleft(shard)

    def _finish(self, shard: int, report: Report) -> None:
        if not report.is_done:
            self._tries[shard] += 1  # another key: what was given up has to be begun anew
            self._put_back(shard)
            return
        self._free(shard)
        ended = {name: getattr(report, name) for name in ("shard", "round", "completed", "failed", "size")}
        self._account.put(Marker(**ended))

    def _fail(self, shard: int, error: object) -> None:
        self._tries[shard] += 1
        reason = str(error) if isinstance(error, BackgroundTransferError) else type(error).__name__
        log.warning("Shard %d of the job %s raised: %s", shard, self._plan.job.job_id, reason)
        if self._tries[shard] < _TRIES:
            self._put_back(shard)
            return
        self._free(shard)
        self._account.broken[shard] = reason

    # ---------------------------------------------------------------------------------------------- the cluster's side

    def _listen(self) -> None:
        def hear(event: tuple[float, Mapping[str, Any]]) -> None:
            self._messages.put(("beat", event[1]))

        self._connection.client.subscribe_topic(topic_of(self._plan.job.job_id), hear)

    def _hear(self, said: Mapping[str, Any]) -> None:
        beat = Beat(**said["beat"])
        out = self._out.get(beat.shard)
        if out is not None:
            out.beat = beat

    def _set_order(self) -> None:
        """Let every worker that asks know what to do."""
        if not self._connection.is_alive:
            return
        from distributed.variable import Variable

        Variable(topic_of(self._plan.job.job_id), client=self._connection.client).set(self._order)

    def _look_for_slots(self) -> None:
        self._slots_at = time.monotonic()
        self._slots = max(1, self._connection.slots())

    def _look_after(self) -> None:
        """Look whether the cluster is there, and what became of shards of which nothing is heard."""
        if self._connection.is_over:
            self._reconnect()
        if not self._connection.is_alive:
            self._trouble = f"The scheduler at {self._connection.address} does not answer; waiting for it."
            return
        if self._trouble:
            self._trouble = ""
            self._set_order()  # a scheduler that was restarted knows nothing
        if time.monotonic() - self._slots_at >= _SLOTS_EVERY:
            self._look_for_slots()
        for shard in [each for each, out in self._out.items() if out.future.status in ("lost", "cancelled")]:
            self._put_back(shard)

    def _reconnect(self) -> None:
        if self._connection.is_embedded:
            raise BackgroundTransferError(
                "The local cluster of this group has ended.", hint="group.attach('local') goes on where it was."
            )
        try:
            connection = self._connection.renewed()
        except OSError as error:
            log.info("The scheduler is not there yet: %s", type(error).__name__)
            return
        self._connection = connection
        for shard in list(self._out):
            self._put_back(shard)
        self._listen()
        self._set_order()

    # -------------------------------------------------------------------------------------------------------- telling

    def _say_how_it_is(self, now: float) -> bool:
        is_over = not self._out and (self._order == CANCEL or not self._waiting)
        if not is_over and now - self._told_at < _TELL_EVERY:
            return False
        self._told_at = now
        standing = self._ended_as() if is_over else self._standing()
        if is_over:
            self._record()
        self._say(standing, self._trouble or self._account.in_words(self._out, self._slots))
        return is_over or not self._is_heard

    def _say(self, standing: BackgroundTransferStatus, remark: str) -> None:
        beats = [out.beat for out in self._out.values()]
        progress = self._account.progress(beats, is_paused=self._order == PAUSE, is_canceled=standing.is_canceled)
        self._is_heard = self._tell(progress, standing, remark)

    def _standing(self) -> BackgroundTransferStatus:
        paused, running = BackgroundTransferStatus.PAUSED_BY_APPLICATION, BackgroundTransferStatus.RUNNING
        return paused if self._order == PAUSE else running

    def _ended_as(self) -> BackgroundTransferStatus:
        if self._order == CANCEL:
            return BackgroundTransferStatus.CANCELED
        is_whole = not self._account.has_failed
        return BackgroundTransferStatus.COMPLETED if is_whole else BackgroundTransferStatus.ERROR


def _fire_and_forget(future: Any) -> None:
    from distributed import fire_and_forget

    fire_and_forget(future)
