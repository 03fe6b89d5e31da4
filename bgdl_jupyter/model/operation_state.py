"""What an operation knows of itself, and what may be asked of it."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from traitlets import observe, validate

from bgdl_jupyter.engine.progress import seconds_left
from bgdl_jupyter.errors import (
    BackgroundTransferError,
    HeldByAnotherKernel,
    TransferCanceled,
    error_from_record,
)
from bgdl_jupyter.model import display
from bgdl_jupyter.model.credentials import OperationSecrets
from bgdl_jupyter.model.headers import RequestHeaders
from bgdl_jupyter.model.live_changes import change_proxy, change_uri
from bgdl_jupyter.model.operation_events import AppliesEvents
from bgdl_jupyter.model.values import BackgroundTransferFileRange, ResponseInformation
from bgdl_jupyter.ranges import RangeSet
from bgdl_jupyter.status import (
    BackgroundTransferStatus,
    Step,
    TransferActivity,
    allowed_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bgdl_jupyter.engine.order import Durable
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.light import SharedValues
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Digest
    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.storage.records import OperationRow

log = logging.getLogger(__name__)

_Status = BackgroundTransferStatus
_UNSET: Final = object()
# For what is no trait: very many operations come at once.
_assign: Final = object.__setattr__
_SENT_ONCE: Final = frozenset({"POST", "PATCH"})


#: The traits that `can_pause` looks at.
PAUSING: Final = frozenset({"method", "activity"})


def can_pause(values: Mapping[str, Any]) -> bool:
    """Whether a pause does no harm to an operation with these values, see `OperationState.can_pause`."""
    return values["method"] not in _SENT_ONCE and values["activity"] is not TransferActivity.COMMITTING


class OperationState(AppliesEvents):
    """
    What a `DownloadOperation` knows of itself, and how it takes in what happens.

    Parameters
    ----------
    values:
        The values of its traits; they are checked.
    """

    # There may be a hundred thousand: what nearly all of them have in common is the class's.
    _watchers: tuple[Callable[[], bool], ...] = ()
    _is_loading = False
    position = 0.0
    batch: str | None = None
    #: The group as an object, which knows it as its member.
    membership: BackgroundTransferGroup | None = None
    epoch = 1
    identity = ""
    retried_from: BackgroundTransferStatus | None = None
    holder: str | None = None
    was_seen = False
    was_restored = False
    overrides_policy = False
    is_unconstrained = False
    _no_secrets: ClassVar = OperationSecrets()

    def __init__(self, runner: Runner, values: Mapping[str, Any]) -> None:
        super().__init__()
        for name, value in values.items():
            if not self._is_default(name, value):
                self.set_trait(name, value)
        _assign(self, "_runner", runner)
        _assign(self, "_place", runner.place)

    @classmethod
    def alike(cls, runner: Runner, own: Mapping[str, Any], shared: SharedValues) -> Self:
        """
        Return one of many.

        Parameters
        ----------
        own:
            The values of the traits in which it differs from the others; they are not checked, nor are the shared ones.
        shared:
            What it has in common with others: what `shared_values` returned.
        """
        made = cls._alike(own, shared)
        _assign(made, "_runner", runner)
        _assign(made, "_place", runner.place)
        return made

    @functools.cached_property
    def secrets(self) -> OperationSecrets:
        """What it must not show."""
        return OperationSecrets()

    @property
    def given_secrets(self) -> OperationSecrets:
        """What it must not show, to be read only: most have none, and share what says so."""
        given: OperationSecrets = self.__dict__.get("secrets", self._no_secrets)
        return given

    @property
    def has_secrets(self) -> bool:
        """Whether something was given that must not be shown."""
        return bool(self.peek("secret_names"))

    @property
    def known_secrets(self) -> Sequence[Secret]:
        """What is known here and must not be shown."""
        return self.secrets.values() if "secrets" in self.__dict__ else ()

    @property
    def transfer_group(self) -> BackgroundTransferGroup | None:
        """The group it belongs to; None for none."""
        return self._runner.group_of(self)  # type: ignore[arg-type]  # the one class of this state

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
        if self.status.is_canceled:
            return TransferCanceled(f"{display.title(self)} was canceled.", operation=self)
        following = self._post_processing_error() if self.status.is_success else None
        if following is not None:
            following.operation = self
        return following

    @property
    def can_pause(self) -> bool:
        """Whether a pause does no harm: the request may be repeated, and the file is not just getting its name."""
        return can_pause(self._trait_values)

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

        checksum = self._trait_values["checksum"]
        return parse_checksum(checksum) if checksum else None

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
                self._watchers = (*self._watchers, look)

        self._runner.place.call(begin)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for what becomes of it."""
        return bool(self._watchers)

    def look_again(self) -> None:
        """Let everybody who waits look."""
        if self._watchers:
            self._watchers = tuple([look for look in self._watchers if not look()])

    def keep_place(self, row: OperationRow) -> None:
        """Take its place in the order, its identity and its batch from a row."""
        _assign(self, "position", row.position)
        _assign(self, "identity", row.identity)
        _assign(self, "batch", row.batch)

    def keep_columns(self, row: OperationRow, durable: Durable) -> None:
        """Take what a row says beside the values of traits."""
        self.record_durable(durable)
        self.keep_place(row)
        _assign(self, "was_restored", True)  # noqa: FBT003 (its value)
        if row.epoch != self.epoch:
            _assign(self, "epoch", row.epoch)
        if row.was_seen != self.was_seen:
            self.was_seen = row.was_seen

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
                if self._trait_values.get(name, _UNSET) != value:
                    self.set_trait(name, value)
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
