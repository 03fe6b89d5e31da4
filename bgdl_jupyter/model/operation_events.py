"""How an operation takes in what happens: `apply` is the one place that writes it."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bgdl_jupyter.engine.order import Durable
from bgdl_jupyter.errors import error_to_record
from bgdl_jupyter.events import (
    ActivityChanged,
    ArrivedAtOnce,
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
from bgdl_jupyter.model.post_processed import PostProcessed
from bgdl_jupyter.model.reports import Reports
from bgdl_jupyter.model.values import BackgroundDownloadProgress
from bgdl_jupyter.ranges import EMPTY, RangeSet
from bgdl_jupyter.status import TransferActivity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Resource


class AppliesEvents(PostProcessed):
    """The part of a `DownloadOperation` that keeps up with its transfer."""

    _runner: Runner
    _durable = Durable()
    _resource: Resource | None = None
    finished_ranges: RangeSet = EMPTY
    generation = 0

    @functools.cached_property
    def _reports(self) -> Reports:
        """Who is told; there is none before somebody wants to be."""
        reports = Reports(self._runner.place.loop)
        reports.begins_with(self.finished_ranges)
        return reports

    @property
    def _told(self) -> Reports | None:
        return self.__dict__.get("_reports")

    @property
    def bytes_received(self) -> int:
        """Bytes in the file."""
        progress: BackgroundDownloadProgress = self._trait_values["progress"]
        return progress.bytes_received

    @property
    def durable(self) -> Durable:
        """What the state file knows of its bytes."""
        return self._durable

    def record_durable(self, durable: Durable) -> None:
        """Take what the state file knows as what there is."""
        object.__setattr__(self, "_durable", durable)  # no trait, and very many come at once
        if durable.finished is not self.finished_ranges:
            self.finished_ranges = durable.finished

    def note_durable(self, durable: Durable) -> None:
        """Take note of what a transfer of ours has recorded: more may have come since, unless nothing is left."""
        self._durable = durable
        if durable.finished:
            self.finished_ranges = self.finished_ranges | durable.finished if self.finished_ranges else durable.finished
        elif self.finished_ranges:
            self._void_ranges()

    def ask_own_uri_first(self) -> None:
        """Let the next transfer begin at `requested_uri`, and not at the mirror that it asked last."""
        self._durable = replace(self._durable, source=0)

    def _void_ranges(self) -> None:
        """Have no bytes any more; whoever read some of them must not read on."""
        self.generation += 1
        self.finished_ranges = EMPTY
        if self._told is not None:
            self._told.void()

    def apply(self, event: Event) -> None:
        """Take in what happened: the only place that sets the traits that tell how it goes."""
        take = self._takes.get(type(event))
        if take is not None:
            take(self, event)

    def _apply_progress(self, event: Progressed) -> None:
        self.finished_ranges = event.finished
        # The last that a transfer says comes after the pause that ended it.
        self._put("rate", event.rate if self.activity > TransferActivity.QUEUED else 0.0)
        self._tell_progress(bytes_received=event.bytes_received, total=event.total_bytes)

    def _apply_destination(self, event: DestinationChosen) -> None:
        self._apply_place(event.path)

    def _apply_place(self, path: str) -> None:
        for name, value in self.placed_at(path).items():
            is_to_be_seen = name == "result_file" and self._has_observers(name)
            self._put(name, Path(value) if is_to_be_seen else value)

    def _apply_restart(self, _: Restarted) -> None:
        self._put("has_restarted", value=True)
        self._void_ranges()
        self._tell_progress(bytes_received=0, total=self.progress.total_bytes_to_receive)

    def _apply_status(self, event: StatusChanged) -> None:
        self._put_all(
            (
                ("status", event.new),
                ("status_reason", event.reason),
                ("activity", TransferActivity.QUEUED if event.new.is_running else TransferActivity.NONE),
                ("rate", 0.0),
                ("final_at", time.time() if event.new.is_final else None),
                ("failure", error_to_record(event.error) if event.error is not None else None),
            )
        )
        if event.new.is_running:
            self._put("current_web_error_status", None)
        self._tell_progress(bytes_received=self.bytes_received, total=self.progress.total_bytes_to_receive)

    def _apply_activity(self, event: ActivityChanged) -> None:
        if event.activity is TransferActivity.CONNECTING:
            values = self._trait_values
            self._put_all(
                (("attempts", values["attempts"] + 1), ("started_at", values["started_at"] or time.time())),
            )
        self._put_all((("activity", event.activity), ("status_reason", event.reason)))

    def _apply_ranges(self, event: RangesArrived) -> None:
        arrived = RangeSet.of(event.added)
        self.finished_ranges = arrived if event.was_restarted else self.finished_ranges | arrived
        if self._told is not None:
            self._told.arrived(event)

    def _apply_resource(self, event: ResourceProbed) -> None:
        self._keep_resource(event.resource)
        self._tell_progress(bytes_received=self.bytes_received, total=event.resource.length)

    def _apply_arrival(self, event: ArrivedAtOnce) -> None:
        self._keep_resource(event.resource)
        self._put_all((("activity", TransferActivity.COMMITTING), ("status_reason", "")))
        self._tell_progress(bytes_received=event.bytes_received, total=event.resource.length)

    def _keep_resource(self, resource: Resource) -> None:
        if self._resource is not None and self._resource.validator != resource.validator:
            self._put("has_response_changed", value=True)
        self._resource = resource

    def _apply_completion(self, event: Completed) -> None:
        self._apply_place(event.path)
        self._put_all(
            (
                ("integrity", event.integrity),
                ("digest", event.digest or ""),
                ("size", event.size),
                ("footprint", list(event.footprint or ())),
                ("failure", None),
            )
        )
        self.await_post_processing()
        if self._told is not None:
            self._told.completed(event.size)
        recorded = self._durable.finished
        self.finished_ranges = recorded if recorded.covers(event.size) else RangeSet.whole(event.size)
        self._tell_progress(bytes_received=event.size, total=event.size)

    def _apply_following(self, event: PostProcessingChanged) -> None:
        self._apply_post_processing(event.new)

    def _tell_progress(self, *, bytes_received: int, total: int | None) -> None:
        values = self._trait_values
        progress, status = values["progress"], values["status"]
        changed, restarted = values["has_response_changed"], values["has_restarted"]
        if (
            progress.bytes_received == bytes_received
            and progress.status is status
            and progress.total_bytes_to_receive == total
            and progress.has_response_changed is changed
            and progress.has_restarted is restarted
        ):
            return
        progress = BackgroundDownloadProgress(
            bytes_received=bytes_received,
            total_bytes_to_receive=total,
            status=status,
            has_response_changed=changed,
            has_restarted=restarted,
        )
        self._put("progress", progress)
        if self._told is not None:
            self._told.progressed(progress)

    _takes: ClassVar[Mapping[type[Event], Callable[[Any, Any], None]]] = {
        StatusChanged: _apply_status,
        ActivityChanged: _apply_activity,
        Progressed: _apply_progress,
        RangesArrived: _apply_ranges,
        ResourceProbed: _apply_resource,
        ArrivedAtOnce: _apply_arrival,
        DestinationChosen: _apply_destination,
        Restarted: _apply_restart,
        Completed: _apply_completion,
        PostProcessingChanged: _apply_following,
    }
