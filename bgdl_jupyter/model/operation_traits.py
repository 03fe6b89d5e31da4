"""The traits of an operation: each is said once, and its tags say what is recorded and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from traitlets import Bool, Dict, Float, Instance, Int, List, Unicode, default

from bgdl_jupyter.model.light import FilePath, Light
from bgdl_jupyter.model.typed_traits import Enum, UseEnum
from bgdl_jupyter.model.values import BackgroundDownloadProgress
from bgdl_jupyter.post_processing import NOTHING, PostProcessing
from bgdl_jupyter.status import (
    BackgroundTransferCostPolicy,
    BackgroundTransferPriority,
    BackgroundTransferStatus,
    CreationCollisionOption,
    Integrity,
    TransferActivity,
)
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from traitlets import TraitType


class OperationTraits(Light):
    """The traits of a `DownloadOperation`; ``persist`` is recorded, ``wire`` is shown by the lab extension."""

    guid = Instance(UUID, help="The operation's name, for ever.", read_only=True)
    application = Unicode(help="The notebook or folder that it belongs to.", read_only=True)
    group = Unicode(help="The name of its group; empty for none.", read_only=True)
    method = Unicode("GET", help="The request's method.", read_only=True).tag(persist=True)
    collision = UseEnum(CreationCollisionOption, help="What to do when the destination exists.", read_only=True).tag(
        persist=True
    )
    result_file = FilePath(
        help="The absolute path of the file; None until the server has named it.", read_only=True
    ).tag(persist=True, load=Path)
    store_url = Unicode(
        help="The URL of the file in a store, without secrets; empty for a file of this machine.", read_only=True
    ).tag(persist=True)
    directory = Instance(
        Path, help="The folder of the file, or the one where it waits until its store gets it.", read_only=True
    ).tag(persist=True, load=Path)
    checksum = Unicode(help="The expected digest, algorithm:hex; empty for none.", read_only=True).tag(persist=True)
    requested_uri = Unicode(help="Where the bytes come from; a secret query reads back as ?….").tag(
        persist=True, wire=True
    )
    mirrors = List(
        Unicode(), help="Where else the same bytes are; tried in turn when a place fails for good.", read_only=True
    ).tag(persist=True)
    priority = UseEnum(BackgroundTransferPriority, help="Its place in the queue; may be changed at any time.").tag(
        persist=True, wire=True
    )
    cost_policy = UseEnum(BackgroundTransferCostPolicy, help="Which networks it may use.").tag(persist=True)
    recoverable_web_error_statuses: List[WebErrorStatus] = List(
        UseEnum(WebErrorStatus), help="Errors that pause the operation instead of ending it."
    ).tag(persist=True)
    is_random_access_required = Bool(help="Fail up front where the server has no ranges.").tag(persist=True)
    proxy = Unicode(help="The proxy's URI, redacted; empty for the environment's.").tag(persist=True)
    options = Dict(help="The downloader's settings at the time of the creation.", read_only=True).tag(persist=True)
    plain_headers = Dict(help="Request headers that are no secrets.", read_only=True).tag(persist=True)
    secret_names = List(Unicode(), help="What was given as a secret and must be there again.", read_only=True).tag(
        persist=True
    )

    status = UseEnum(BackgroundTransferStatus, help="Where it stands.", read_only=True).tag(wire=True)
    activity = UseEnum(TransferActivity, help="What it is doing while it runs.", read_only=True).tag(wire=True)
    status_reason = Unicode(help="Why it is not moving, and until when; empty while it is.", read_only=True).tag(
        persist=True, wire=True
    )
    progress = Instance(BackgroundDownloadProgress, args=(), help="How far it is.", read_only=True)
    rate = Float(0.0, help="Bytes per second.", read_only=True).tag(wire=True)
    current_web_error_status: TraitType[WebErrorStatus | None, WebErrorStatus | None] = Enum(
        [None, *WebErrorStatus], default_value=None, help="The listed error that it is paused for.", read_only=True
    ).tag(persist=True, load=lambda value: None if value is None else WebErrorStatus(value))
    has_restarted = Bool(help="Whether the transfer began again at byte 0.", read_only=True).tag(persist=True)
    has_response_changed = Bool(help="Whether the answer is another one than at first.", read_only=True).tag(
        persist=True
    )
    integrity: TraitType[Integrity | None, Integrity | None] = Enum(
        [None, *Integrity], default_value=None, help="What was checked.", read_only=True
    ).tag(persist=True, wire=True, load=lambda value: None if value is None else Integrity(value))
    digest = Unicode(help="The digest that was verified.", read_only=True).tag(persist=True)
    size = Int(None, allow_none=True, help="The size of the finished file.", read_only=True).tag(persist=True)
    attempts = Int(0, help="How many requests were made, but those for further connections.", read_only=True).tag(
        persist=True
    )
    started_at = Float(None, allow_none=True, help="When the first request was made.", read_only=True).tag(persist=True)
    footprint = List(
        Int(), help="Inode, size and time of the finished file: by these it is known as ours.", read_only=True
    ).tag(persist=True)
    failure = Dict(None, allow_none=True, help="What ended it.", read_only=True).tag(persist=True)
    post_processing = Instance(
        PostProcessing, help="How that is which follows the file, such as unpacking it.", read_only=True
    ).tag(persist=True, wire=True, load=PostProcessing.from_record)
    created_at = Float(help="When it was created, seconds since the epoch, UTC.", read_only=True)
    final_at = Float(None, allow_none=True, help="When it became final.", read_only=True)

    @default("post_processing")
    def _nothing_follows(self) -> PostProcessing:
        return NOTHING
