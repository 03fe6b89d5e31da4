"""A program of a user with a strict type checker: every assertion here is one about the types of public names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Unpack, assert_type
from uuid import UUID

import bgdl_jupyter
from bgdl_jupyter import (
    BackgroundDownloader,
    BackgroundDownloadProgress,
    BackgroundTransferBehavior,
    BackgroundTransferCompletionGroup,
    BackgroundTransferCostPolicy,
    BackgroundTransferError,
    BackgroundTransferFileRange,
    BackgroundTransferGroup,
    BackgroundTransferPriority,
    BackgroundTransferStatus,
    CreationCollisionOption,
    DownloadOperation,
    DownloadOptions,
    Integrity,
    NotificationSetting,
    PasswordCredential,
    ResponseInformation,
    Step,
    TileNotification,
    ToastNotification,
    TransferActivity,
    UnconstrainedTransferRequestResult,
    WebErrorStatus,
    default_downloader,
    download,
    download_many,
)


def settings(downloader: BackgroundDownloader) -> None:
    assert_type(downloader.max_parallel, int)
    assert_type(downloader.max_rate, int | None)
    assert_type(downloader.connect_timeout, float)
    assert_type(downloader.priority, BackgroundTransferPriority)
    assert_type(downloader.cost_policy, BackgroundTransferCostPolicy)
    assert_type(downloader.group, str)
    assert_type(downloader.transfer_group, BackgroundTransferGroup | None)
    assert_type(downloader.method, str)
    assert_type(downloader.proxy, str)
    assert_type(downloader.server_credential, PasswordCredential | None)
    assert_type(downloader.expect_type, str | None)
    assert_type(downloader.loop, str)
    assert_type(downloader.on_restore, str)
    assert_type(downloader.toast_capable, bool)
    assert_type(downloader.notification_setting, NotificationSetting)
    assert_type(downloader.success_toast_notification, ToastNotification | None)
    assert_type(downloader.failure_tile_notification, TileNotification | None)
    downloader.priority = BackgroundTransferPriority.HIGH
    downloader.cost_policy = "ALWAYS"
    downloader.max_rate = None
    downloader.set_request_header("Accept", "text/csv", secret=False)


def fetch(uri: str, **options: Unpack[DownloadOptions]) -> DownloadOperation:
    """Pass the options of a download on, as a wrapper does."""
    return download(uri, "data/", **options)


def creation(downloader: BackgroundDownloader) -> None:
    operation = downloader.create_download(
        "https://data.example/a", Path("a"), collision="replace_existing", headers={"Accept": "*/*"}, priority=1
    )
    assert_type(operation, DownloadOperation)
    assert_type(fetch("https://data.example/a", sha256="0" * 64), DownloadOperation)
    assert_type(
        downloader.download("https://data.example/a", collision=CreationCollisionOption.OPEN_IF_EXISTS),
        DownloadOperation,
    )
    assert_type(download_many(["https://data.example/a"], group="g"), BackgroundTransferGroup)
    assert_type(default_downloader().get_current_downloads(group="g"), list[DownloadOperation])
    assert_type(bgdl_jupyter.__version__, str)


def what_it_tells(operation: DownloadOperation) -> None:
    assert_type(operation.guid, UUID)
    assert_type(operation.status, BackgroundTransferStatus)
    assert_type(operation.activity, TransferActivity)
    assert_type(operation.status_reason, str)
    assert_type(operation.progress, BackgroundDownloadProgress)
    assert_type(operation.progress.total_bytes_to_receive, int | None)
    assert_type(operation.rate, float)
    assert_type(operation.eta, float | None)
    assert_type(operation.fraction, float | None)
    assert_type(operation.result_file, Path | None)
    assert_type(operation.integrity, Integrity | None)
    assert_type(operation.error, BackgroundTransferError | None)
    assert_type(operation.current_web_error_status, WebErrorStatus | None)
    assert_type(operation.recoverable_web_error_statuses, list[WebErrorStatus])
    assert_type(operation.allowed_steps, frozenset[Step])
    assert_type(operation.has_restarted, bool)
    assert_type(operation.transfer_group, BackgroundTransferGroup | None)
    assert_type(operation.get_response_information(), ResponseInformation | None)
    assert_type(operation.get_downloaded_ranges(), list[BackgroundTransferFileRange])
    assert_type(operation.on_ranges_downloaded(print), Callable[[], None])
    operation.recoverable_web_error_statuses = [WebErrorStatus.UNAUTHORIZED]


async def steps(operation: DownloadOperation, group: BackgroundTransferGroup) -> None:
    assert_type(await operation, DownloadOperation)
    assert_type(await operation.start(lambda progress: progress.bytes_received), DownloadOperation)
    assert_type(await operation.pause(), DownloadOperation)
    assert_type(operation.wait(timeout=1.5), DownloadOperation)
    assert_type(await operation.get_result_stream_at(5).read(), bytes)
    assert_type(await group, BackgroundTransferGroup)
    assert_type(group.operations, list[DownloadOperation])
    assert_type(group.transfer_behavior, BackgroundTransferBehavior)
    assert_type(group.max_parallel, int | None)
    assert_type(group.progress.completed, int)
    answer = await default_downloader().request_unconstrained_downloads([operation])
    assert_type(answer, UnconstrainedTransferRequestResult)
    completion = BackgroundTransferCompletionGroup("package.module:function")
    assert_type(BackgroundDownloader(completion).completion_group, BackgroundTransferCompletionGroup | None)
    try:
        operation.wait()
    except BackgroundTransferError as error:
        assert_type(error.web_error_status, WebErrorStatus)
        assert_type(error.http_status, int | None)
        assert_type(error.hresult, int | None)
    assert_type(BackgroundTransferError.get_status(404), WebErrorStatus)
