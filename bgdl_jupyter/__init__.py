"""
Background downloads for Jupyter.

They go on while cells compute, survive a restart of the kernel, and a file is whole and verified or it is not there::

    import bgdl_jupyter

    bgdl_jupyter.download("https://example.org/big.tar", "data/")

Importing this package loads neither IPython nor ipywidgets; every name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    # What `__getattr__` gives; imported as itself, a name is one that others may import from here.
    # isort: off
    from bgdl_jupyter.errors import (
        AttentionRequired as AttentionRequired,
        BackgroundTransferError as BackgroundTransferError,
        CertificateRejected as CertificateRejected,
        DecodingFailed as DecodingFailed,
        DestinationExists as DestinationExists,
        DestinationInUse as DestinationInUse,
        DiskFull as DiskFull,
        DuplicateDownload as DuplicateDownload,
        EngineNotResponding as EngineNotResponding,
        HeldByAnotherKernel as HeldByAnotherKernel,
        HttpStatusError as HttpStatusError,
        IntegrityFailed as IntegrityFailed,
        InvalidManifest as InvalidManifest,
        InvalidRequest as InvalidRequest,
        InvalidTransferState as InvalidTransferState,
        ManifestProblem as ManifestProblem,
        NetworkFailed as NetworkFailed,
        PostProcessingFailed as PostProcessingFailed,
        ProtocolViolation as ProtocolViolation,
        RangesNotSupported as RangesNotSupported,
        RedirectRefused as RedirectRefused,
        ResourceChanged as ResourceChanged,
        StateFileError as StateFileError,
        StorageFailed as StorageFailed,
        TransferCanceled as TransferCanceled,
        TransferFailed as TransferFailed,
        TransferTimeout as TransferTimeout,
    )
    from bgdl_jupyter.model.completion import BackgroundTransferCompletionGroup as BackgroundTransferCompletionGroup
    from bgdl_jupyter.model.consent import UnconstrainedTransferRequestResult as UnconstrainedTransferRequestResult
    from bgdl_jupyter.model.credentials import PasswordCredential as PasswordCredential
    from bgdl_jupyter.model.downloader import (
        BackgroundDownloader as BackgroundDownloader,
        default_downloader as default_downloader,
        download as download,
        download_many as download_many,
    )
    from bgdl_jupyter.model.group import (
        BackgroundTransferGroup as BackgroundTransferGroup,
        GroupProgress as GroupProgress,
    )
    from bgdl_jupyter.model.notifications import (
        TileNotification as TileNotification,
        ToastNotification as ToastNotification,
    )
    from bgdl_jupyter.model.operation import DownloadOperation as DownloadOperation
    from bgdl_jupyter.model.reading import ResultFile as ResultFile, ResultStream as ResultStream
    from bgdl_jupyter.model.results import DownloadResult as DownloadResult
    from bgdl_jupyter.model.verification import Verification as Verification
    from bgdl_jupyter.model.options import (
        CommonOptions as CommonOptions,
        DownloadOptions as DownloadOptions,
        ManifestOptions as ManifestOptions,
    )
    from bgdl_jupyter.post_processing import (
        PostProcessing as PostProcessing,
        PostProcessingState as PostProcessingState,
    )
    from bgdl_jupyter.model.values import (
        BackgroundDownloadProgress as BackgroundDownloadProgress,
        BackgroundTransferFileRange as BackgroundTransferFileRange,
        ResponseInformation as ResponseInformation,
    )
    from bgdl_jupyter.status import (
        BackgroundTransferBehavior as BackgroundTransferBehavior,
        BackgroundTransferCostPolicy as BackgroundTransferCostPolicy,
        BackgroundTransferPriority as BackgroundTransferPriority,
        BackgroundTransferStatus as BackgroundTransferStatus,
        CreationCollisionOption as CreationCollisionOption,
        Integrity as Integrity,
        NotificationSetting as NotificationSetting,
        Step as Step,
        TransferActivity as TransferActivity,
    )
    from bgdl_jupyter.web_error_status import WebErrorStatus as WebErrorStatus
    # isort: on

    __version__: str

_PLACES = {
    "bgdl_jupyter.errors": (
        "AttentionRequired",
        "BackgroundTransferError",
        "CertificateRejected",
        "DecodingFailed",
        "DestinationExists",
        "DestinationInUse",
        "DiskFull",
        "DuplicateDownload",
        "EngineNotResponding",
        "HeldByAnotherKernel",
        "HttpStatusError",
        "IntegrityFailed",
        "InvalidManifest",
        "InvalidRequest",
        "InvalidTransferState",
        "ManifestProblem",
        "NetworkFailed",
        "PostProcessingFailed",
        "ProtocolViolation",
        "RangesNotSupported",
        "RedirectRefused",
        "ResourceChanged",
        "StateFileError",
        "StorageFailed",
        "TransferCanceled",
        "TransferFailed",
        "TransferTimeout",
    ),
    "bgdl_jupyter.web_error_status": ("WebErrorStatus",),
    "bgdl_jupyter.status": (
        "BackgroundTransferBehavior",
        "BackgroundTransferCostPolicy",
        "BackgroundTransferPriority",
        "BackgroundTransferStatus",
        "CreationCollisionOption",
        "Integrity",
        "NotificationSetting",
        "Step",
        "TransferActivity",
    ),
    "bgdl_jupyter.post_processing": ("PostProcessing", "PostProcessingState"),
    "bgdl_jupyter.model.values": (
        "BackgroundDownloadProgress",
        "BackgroundTransferFileRange",
        "ResponseInformation",
    ),
    "bgdl_jupyter.model.completion": ("BackgroundTransferCompletionGroup",),
    "bgdl_jupyter.model.consent": ("UnconstrainedTransferRequestResult",),
    "bgdl_jupyter.model.credentials": ("PasswordCredential",),
    "bgdl_jupyter.model.group": ("BackgroundTransferGroup", "GroupProgress"),
    "bgdl_jupyter.model.notifications": ("TileNotification", "ToastNotification"),
    "bgdl_jupyter.model.operation": ("DownloadOperation",),
    "bgdl_jupyter.model.reading": ("ResultFile", "ResultStream"),
    "bgdl_jupyter.model.results": ("DownloadResult",),
    "bgdl_jupyter.model.verification": ("Verification",),
    "bgdl_jupyter.model.options": ("CommonOptions", "DownloadOptions", "ManifestOptions"),
    "bgdl_jupyter.model.downloader": (
        "BackgroundDownloader",
        "default_downloader",
        "download",
        "download_many",
    ),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_PLACE_OF)  # noqa: PLE0605 (a list of texts, made from the table above)


if not TYPE_CHECKING:  # a type checker is to know what is not here

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("bgdl-jupyter")
        if name not in _PLACE_OF:
            raise AttributeError(f"module 'bgdl_jupyter' has no attribute {name!r}")
        value = getattr(importlib.import_module(_PLACE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics, restore this notebook's downloads, and show them: what ``%load_ext bgdl_jupyter`` does."""
    importlib.import_module("bgdl_jupyter.frontends").load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away; downloads go on."""
    importlib.import_module("bgdl_jupyter.frontends").unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "bgdl-jupyter"}]
