"""What an operation is and how it goes, as traits; `apply` is the one place that writes what happened."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from traitlets import observe, validate

from bgdl_jupyter.engine.order import Durable
from bgdl_jupyter.engine.progress import seconds_left
from bgdl_jupyter.errors import (
    BackgroundTransferError,
    HeldByAnotherKernel,
    TransferCanceled,
    error_from_record,
    error_to_record,
)
from bgdl_jupyter.events import (
    ActivityChanged,
    Completed,
    DestinationChosen,
    Event,
    PostProcessingChanged,
    Progressed,
    RangesArrived,
    ResourceProbed,
    Restarted,
    StatusChanged,
)
from bgdl_jupyter.model import display
from bgdl_jupyter.model.credentials import OperationSecrets
from bgdl_jupyter.model.headers import RequestHeaders
from bgdl_jupyter.model.live_changes import change_proxy, change_uri
from bgdl_jupyter.model.post_processed import PostProcessed
from bgdl_jupyter.model.reports import Reports
from bgdl_jupyter.model.values import BackgroundDownloadProgress, BackgroundTransferFileRange, ResponseInformation
from bgdl_jupyter.ranges import EMPTY, RangeSet
from bgdl_jupyter.status import (
    BackgroundTransferStatus,
    Step,
    TransferActivity,
    allowed_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Digest, Resource
    from bgdl_jupyter.secret import Secret

log = logging.getLogger(__name__)

_Status = BackgroundTransferStatus
_UNSET: Final = object()


class OperationState(PostProcessed):
    """What a `DownloadOperation` knows of itself, and how it takes in what happens."""

    def __init__(self, runner: Runner, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            self.set_trait(name, value)
        self._runner = runner
        self.secrets = OperationSecrets()
        self._watchers: list[Callable[[], bool]] = []
        self._reports = Reports(runner.place.loop)
        self.generation = 0
        self.record_durable(Durable())
        self._resource: Resource | None = None
        self.position = 0.0
        self.batch: str | None = None
        self.epoch = 1
        self.identity = ""
        self.retried_from: BackgroundTransferStatus | None = None
        self.holder: str | None = None
        self.was_seen = False
        self.was_restored = False
        self.overrides_policy = False
        self.is_unconstrained = False
        self._is_loading = False
        self._place = runner.place

    @property
    def transfer_group(self) -> BackgroundTransferGroup | None:
        """The group it belongs to; None for none."""
        return self._runner.group_of(self)  # type: ignore[arg-type]  # the one class of this state

    @property
    def bytes_received(self) -> int:
        """Bytes in the file."""
        return self.progress.bytes_received

    @property
    def fraction(self) -> float | None:
        """The part that is there, 0 to 1; None while the size is unknown."""
        return self.progress.fraction

    @property
    def eta(self) -> float | None:
        """Seconds that are left at the present rate; None when that cannot be said."""
        total = self.progress.total_bytes_to_receive
        if total is None or not self.status.is_running:
            return None
        return seconds_left(total - self.progress.bytes_received, self.rate)

    @property
    def error(self) -> BackgroundTransferError | None:
        """What ended it, or what an awaiter gets; None while there is nothing wrong."""
        if self.status.is_failure and self.failure is not None:
            error = error_from_record(self.failure)
            error.operation = self
            return error
        if self.status is _Status.CANCELED:
            return TransferCanceled(f"{display.title(self)} was canceled.", operation=self)
        following = self._post_processing_error() if self.status.is_success else None
        if following is not None:
            following.operation = self
        return following

    @property
    def can_pause(self) -> bool:
        """Whether a pause does no harm: the request may be repeated, and the file is not just getting its name."""
        return self.method not in ("POST", "PATCH") and self.activity is not TransferActivity.COMMITTING

    @property
    def allowed_steps(self) -> frozenset[Step]:
        """The steps that may be taken now."""
        if self.holder is not None:
            return frozenset()
        if self.status.is_success:
            return allowed_steps(self.status) | self.post_processing.allowed_steps
        steps = allowed_steps(self.status, can_pause=self.can_pause)
        has_lost_its_body = Step.RETRY in steps and self._runner.bodies.has_lost(self)  # type: ignore[arg-type]  # as above
        return steps - {Step.RETRY} if has_lost_its_body else steps

    @property
    def is_held(self) -> bool:
        """Whether another live kernel runs it; `status_reason` says which."""
        return self.holder is not None

    def check_not_held(self) -> None:
        """Raise `HeldByAnotherKernel` where another kernel runs it."""
        if self.holder is not None:
            raise HeldByAnotherKernel(f"{display.title(self)} is run by {self.holder}.", operation=self)

    @property
    def expected_digest(self) -> Digest | None:
        """The digest that the file must have."""
        from bgdl_jupyter.storage.digests import parse_checksum

        return parse_checksum(self.checksum) if self.checksum else None

    @property
    def durable(self) -> Durable:
        """What the state file knows of its bytes."""
        return self._durable

    @property
    def request_headers(self) -> RequestHeaders:
        """The headers that are sent; secrets are masked."""
        return RequestHeaders(self.plain_headers, self.secrets.headers)

    def get_response_information(self) -> ResponseInformation | None:
        """Return what the server answered; None before it did."""
        return ResponseInformation.of(self._resource) if self._resource is not None else None

    def get_downloaded_ranges(self) -> list[BackgroundTransferFileRange]:
        """Return the parts of the file that are there, first to last."""
        return [BackgroundTransferFileRange(each.start, each.length) for each in self.finished_ranges]

    def on_ranges_downloaded(self, callback: Callable[..., object]) -> Callable[[], None]:
        """
        Call ``callback(added=[…], was_restarted=…)`` when ranges have arrived, on the callback loop.

        Returns
        -------
        Callable
            Ends the calls.
        """
        return self._reports.add_ranges(callback)

    def watch(self, look: Callable[[], bool]) -> None:
        """Call ``look`` now and at each change, on the engine's loop, until it returns True."""

        def begin() -> None:
            if not look():
                self._watchers.append(look)

        self._runner.place.call(begin)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for what becomes of it."""
        return bool(self._watchers)

    def look_again(self) -> None:
        """Let everybody who waits look."""
        self._watchers = [look for look in self._watchers if not look()]

    def record_durable(self, durable: Durable) -> None:
        """Take what the state file knows as what there is."""
        self._durable = durable
        self.finished_ranges: RangeSet = durable.finished

    def note_durable(self, durable: Durable) -> None:
        """Take note of what a transfer of ours has recorded: more may have come since, unless nothing is left."""
        self._durable = durable
        if durable.finished:
            self.finished_ranges |= durable.finished
        elif self.finished_ranges:
            self._void_ranges()

    def ask_own_uri_first(self) -> None:
        """Let the next transfer begin at `requested_uri`, and not at the mirror that it asked last."""
        self._durable = replace(self._durable, source=0)

    def _void_ranges(self) -> None:
        """Have no bytes any more; whoever read some of them must not read on."""
        self.generation += 1
        self.finished_ranges = EMPTY
        self._reports.void()

    def restore_progress(self) -> None:
        """Show what the records say, before anything has happened in this kernel."""
        durable = self._durable
        self._resource = durable.resource
        length = durable.resource.length if durable.resource else None
        received, total = durable.finished.total, length
        if self.status.is_success:
            self.await_post_processing()
            received, total = self.size or 0, self.size
            self.finished_ranges = RangeSet.of([(0, received)])
        self._tell_progress(bytes_received=received, total=total)
        self._reports.begins_with(self.finished_ranges)
        if self.status.is_running:
            self.set_trait("activity", TransferActivity.QUEUED)

    def own(self, epoch: int, *, is_disputed: bool) -> None:
        """Take note of the lease that this kernel has got."""
        self.epoch = epoch
        self._durable = replace(self._durable, epoch=epoch, is_disputed=is_disputed)

    def load(self, values: Mapping[str, Any]) -> None:
        """Take the values of traits from the state file as they are."""
        self._is_loading = True
        try:
            for name, value in values.items():
                self._set(name, value)
        finally:
            self._is_loading = False

    def let_go(self) -> None:
        """Show that no other kernel runs it any more."""
        self.holder = None

    def hold(self, whom: str) -> None:
        """Show that another kernel runs it."""
        self.holder = whom
        self.set_trait("status_reason", f"held by {whom}")

    def forget_bytes(self) -> None:
        """Begin from nothing: what was canceled has no partial file any more."""
        self._void_ranges()
        self.record_durable(self._durable.forgotten())
        self._tell_progress(bytes_received=0, total=None)

    def recall(self, found: Secret) -> None:
        """Take back from the vault what is not in memory; what was given since then wins."""
        try:
            self.secrets.fill_up(OperationSecrets.from_secret(found), self.secret_names)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("What the vault keeps for %s cannot be read: %s", self.guid, type(error).__name__)

    def apply(self, event: Event) -> None:
        """Take in what happened: the only place that sets the traits that tell how it goes."""
        match event:
            case StatusChanged():
                self._apply_status(event)
            case ActivityChanged():
                self._apply_activity(event)
            case Progressed():
                self.finished_ranges = event.finished
                # The last that a transfer says comes after the pause that ended it.
                self._set("rate", event.rate if self.activity > TransferActivity.QUEUED else 0.0)
                self._tell_progress(bytes_received=event.bytes_received, total=event.total_bytes)
            case RangesArrived():
                self._apply_ranges(event)
            case ResourceProbed():
                self._apply_resource(event.resource)
            case DestinationChosen():
                self.load(self.placed_at(event.path))
            case Restarted():
                self.set_trait("has_restarted", value=True)
                self._void_ranges()
                self._tell_progress(bytes_received=0, total=self.progress.total_bytes_to_receive)
            case Completed():
                self._apply_completion(event)
            case PostProcessingChanged():
                self._apply_post_processing(event.new)

    def _set(self, name: str, value: object) -> None:
        """Set a trait if it is another value: traitlets' own way to find that out costs ten times as much."""
        if self._trait_values.get(name, _UNSET) != value:
            self.set_trait(name, value)

    def _apply_status(self, event: StatusChanged) -> None:
        self._set("status", event.new)
        self._set("status_reason", event.reason)
        self._set("activity", TransferActivity.QUEUED if event.new.is_running else TransferActivity.NONE)
        self._set("rate", 0.0)
        self._set("final_at", time.time() if event.new.is_final else None)
        self._set("failure", error_to_record(event.error) if event.error is not None else None)
        if event.new.is_running:
            self._set("current_web_error_status", None)
        self._tell_progress(bytes_received=self.bytes_received, total=self.progress.total_bytes_to_receive)

    def _apply_activity(self, event: ActivityChanged) -> None:
        if event.activity is TransferActivity.CONNECTING:
            self._set("attempts", self.attempts + 1)
            self._set("started_at", self.started_at or time.time())
        self._set("activity", event.activity)
        self._set("status_reason", event.reason)

    def _apply_ranges(self, event: RangesArrived) -> None:
        arrived = RangeSet.of(event.added)
        self.finished_ranges = arrived if event.was_restarted else self.finished_ranges | arrived
        self._reports.arrived(event)

    def _apply_resource(self, resource: Resource) -> None:
        if self._resource is not None and self._resource.validator != resource.validator:
            self._set("has_response_changed", value=True)
        self._resource = resource
        self._tell_progress(bytes_received=self.bytes_received, total=resource.length)

    def _apply_completion(self, event: Completed) -> None:
        self.load(self.placed_at(event.path))
        self._set("integrity", event.integrity)
        self._set("digest", event.digest or "")
        self._set("size", event.size)
        self._set("footprint", list(event.footprint or ()))
        self._set("failure", None)
        self.await_post_processing()
        self._reports.completed(event.size)
        self.finished_ranges = RangeSet.of([(0, event.size)])
        self._tell_progress(bytes_received=event.size, total=event.size)

    def _tell_progress(self, *, bytes_received: int, total: int | None) -> None:
        progress = BackgroundDownloadProgress(
            bytes_received=bytes_received,
            total_bytes_to_receive=total,
            status=self.status,
            has_response_changed=self.has_response_changed,
            has_restarted=self.has_restarted,
        )
        if progress == self.progress:
            return
        self._set("progress", progress)
        self._reports.progressed(progress)

    @observe(
        "requested_uri",
        "proxy",
        "priority",
        "cost_policy",
        "recoverable_web_error_statuses",
        "is_random_access_required",
    )
    def _option_changed(self, change: dict[str, Any]) -> None:
        if self._place is not None and not self._is_loading:
            self._runner.options_changed(self, change["name"])  # type: ignore[arg-type]  # the one class of this state

    @validate("priority", "cost_policy", "recoverable_web_error_statuses", "is_random_access_required")
    def _refuse_where_held(self, proposal: dict[str, Any]) -> Any:
        if self._place is not None and not self._is_loading:
            self.check_not_held()
        return proposal["value"]

    @validate("proxy")
    def _check_proxy(self, proposal: dict[str, Any]) -> str:
        if self._place is None or self._is_loading:
            return str(proposal["value"])
        self.check_not_held()
        return change_proxy(self._runner, self, proposal["value"])  # type: ignore[arg-type]  # the one class of this state

    @validate("requested_uri")
    def _check_uri(self, proposal: dict[str, Any]) -> str:
        if self._place is None or self._is_loading:
            return str(proposal["value"])
        self.check_not_held()
        return change_uri(self._runner, self, proposal["value"])  # type: ignore[arg-type]  # the one class of this state
