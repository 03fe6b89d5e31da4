"""What users may import and rely on; a change here is a change of the promise."""

from __future__ import annotations

import inspect
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

import bgdl_jupyter

ROOT = Path(__file__).parents[1]

NAMES = [
    "AttentionRequired",
    "BackgroundDownloadProgress",
    "BackgroundDownloader",
    "BackgroundTransferBehavior",
    "BackgroundTransferCompletionGroup",
    "BackgroundTransferCostPolicy",
    "BackgroundTransferError",
    "BackgroundTransferFileRange",
    "BackgroundTransferGroup",
    "BackgroundTransferPriority",
    "BackgroundTransferStatus",
    "CertificateRejected",
    "CommonOptions",
    "CreationCollisionOption",
    "DecodingFailed",
    "DestinationExists",
    "DestinationInUse",
    "DiskFull",
    "DownloadOperation",
    "DownloadOptions",
    "DownloadResult",
    "DuplicateDownload",
    "EngineNotResponding",
    "GroupProgress",
    "HeldByAnotherKernel",
    "HttpStatusError",
    "Integrity",
    "IntegrityFailed",
    "InvalidManifest",
    "InvalidRequest",
    "InvalidTransferState",
    "ManifestOptions",
    "ManifestProblem",
    "NetworkFailed",
    "NotificationSetting",
    "PasswordCredential",
    "PostProcessing",
    "PostProcessingFailed",
    "PostProcessingState",
    "ProtocolViolation",
    "RangesNotSupported",
    "RedirectRefused",
    "ResourceChanged",
    "ResponseInformation",
    "ResultFile",
    "ResultStream",
    "StateFileError",
    "Step",
    "StorageFailed",
    "TileNotification",
    "ToastNotification",
    "TransferActivity",
    "TransferCanceled",
    "TransferFailed",
    "TransferTimeout",
    "UnconstrainedTransferRequestResult",
    "Verification",
    "WebErrorStatus",
    "default_downloader",
    "download",
    "download_many",
]

#: Windows' numbers.
NUMBERS = {
    "BackgroundTransferStatus": {
        "IDLE": 0,
        "RUNNING": 1,
        "PAUSED_BY_APPLICATION": 2,
        "PAUSED_COSTED_NETWORK": 3,
        "PAUSED_NO_NETWORK": 4,
        "COMPLETED": 5,
        "CANCELED": 6,
        "ERROR": 7,
        "PAUSED_RECOVERABLE_WEB_ERROR_STATUS": 8,
        "PAUSED_SYSTEM_POLICY": 32,
    },
    "BackgroundTransferPriority": {"DEFAULT": 0, "HIGH": 1, "LOW": 2},
    "BackgroundTransferBehavior": {"PARALLEL": 0, "SERIALIZED": 1},
    "BackgroundTransferCostPolicy": {"DEFAULT": 0, "UNRESTRICTED_ONLY": 1, "ALWAYS": 2},
    "CreationCollisionOption": {
        "GENERATE_UNIQUE_NAME": 0,
        "REPLACE_EXISTING": 1,
        "FAIL_IF_EXISTS": 2,
        "OPEN_IF_EXISTS": 3,
    },
    "NotificationSetting": {
        "ENABLED": 0,
        "DISABLED_FOR_APPLICATION": 1,
        "DISABLED_FOR_USER": 2,
        "DISABLED_BY_GROUP_POLICY": 3,
        "DISABLED_BY_MANIFEST": 4,
    },
    "TransferActivity": {
        "NONE": 0,
        "QUEUED": 1,
        "CONNECTING": 2,
        "DOWNLOADING": 3,
        "BACKING_OFF": 4,
        "VERIFYING": 5,
        "COMMITTING": 6,
    },
}

MEMBERS = {
    "BackgroundDownloader": """
        create_download create_download_from_stream get_current_downloads request_unconstrained_downloads
        set_request_header remove_request_header request_headers cost_policy group transfer_group method
        proxy_credential server_credential proxy success_toast_notification failure_toast_notification
        success_tile_notification failure_tile_notification notification_setting toast_capable download download_many
        application on_restore loop priority
        max_parallel max_parallel_per_host max_connections_per_host max_connections_per_download max_rate max_retries
        connect_timeout response_timeout stall_timeout require_length max_size expect_type trust_env
        allow_insecure_auth allow_insecure_redirect allow_private_redirect allow_body_redirect guard_active_names
    """,
    "DownloadOperation": """
        start attach cancel pause resume retry wait get_response_information get_result_stream_at open_result
        is_random_access_required get_downloaded_ranges on_ranges_downloaded progress rate eta fraction cost_policy
        priority group transfer_group guid method requested_uri result_file recoverable_web_error_statuses
        current_web_error_status make_current_in_transfer_group status activity status_reason allowed_steps integrity
        has_restarted set_request_header remove_request_header request_headers provide_credential error
        verify mirrors
        post_processing post_process_result standing is_over
    """,
    "BackgroundTransferGroup": """
        create_group name transfer_behavior max_parallel max_rate progress operations pause resume cancel retry_failed
        wait raise_for_errors start results to_dataframe export_failed verify
    """,
    "BackgroundTransferCompletionGroup": "enable is_enabled",
    "BackgroundDownloadProgress": """
        bytes_received total_bytes_to_receive status has_response_changed has_restarted fraction
    """,
    "BackgroundTransferFileRange": "offset length",
    "PostProcessing": "state bytes_done bytes_total members_done members_total path error fraction",
    "ResponseInformation": "actual_uri headers is_resumable status_code",
    "UnconstrainedTransferRequestResult": "is_unconstrained reason",
    "BackgroundTransferError": "get_status web_error_status http_status hresult hint",
    "PasswordCredential": "resource user_name",
}


def test_what_can_be_imported_is_exactly_this():
    assert sorted(bgdl_jupyter.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(bgdl_jupyter))
    for name in NAMES:
        assert getattr(bgdl_jupyter, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Downloader'"):
        getattr(bgdl_jupyter, "Downloader")  # noqa: B009 (a type checker knows that it is not there)


@pytest.mark.parametrize("name", NUMBERS)
def test_enumerations_have_windows_numbers(name: str):
    enumeration = getattr(bgdl_jupyter, name)
    assert issubclass(enumeration, IntEnum)
    assert {each.name: each.value for each in enumeration} == NUMBERS[name]


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_that_is_promised_is_there(name: str):
    kind = getattr(bgdl_jupyter, name)
    fields = {*dir(kind), *getattr(kind, "__dataclass_fields__", {}), *getattr(kind, "__slots__", ())}
    assert [member for member in MEMBERS[name].split() if member not in fields] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_says_what_it_is(name: str):
    public = getattr(bgdl_jupyter, name)
    assert inspect.getdoc(public)
    members = [
        member
        for attribute, member in vars(public).items()
        if inspect.isclass(public) and inspect.isfunction(member) and not attribute.startswith("_")
    ]
    assert [member.__qualname__ for member in members if not inspect.getdoc(member)] == []


def test_importing_the_package_loads_neither_ipython_nor_widgets():
    program = (
        "import bgdl_jupyter, sys\n"
        "bgdl_jupyter.BackgroundDownloader, bgdl_jupyter.download\n"
        "print(sorted({'IPython', 'ipykernel', 'ipywidgets', 'comm', 'aiohttp'} & sys.modules.keys()))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert finished.stdout.strip() == "[]"


def test_importing_the_package_loads_one_module_of_it_and_none_of_others():
    program = (
        "import sys, __future__, importlib, typing; before = set(sys.modules)\n"
        "import bgdl_jupyter; print(sorted(set(sys.modules) - before))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert finished.stdout.strip() == "['bgdl_jupyter']"


def test_the_package_says_its_version():
    assert bgdl_jupyter.__version__[0].isdigit()


def test_the_defaults_are_those_of_the_specification():
    traits = bgdl_jupyter.BackgroundDownloader.class_traits(config=True)
    defaults = {name: trait.default_value for name, trait in traits.items()}
    expected = {
        "max_parallel": 16,
        "max_parallel_per_host": 16,
        "max_connections_per_host": 16,
        "max_connections_per_download": 16,
        "max_rate": None,
        "max_retries": 8,
        "connect_timeout": 30.0,
        "response_timeout": 60.0,
        "stall_timeout": 30.0,
        "require_length": False,
        "max_size": None,
        "expect_type": None,
        "allow_insecure_auth": False,
        "allow_insecure_redirect": False,
        "allow_private_redirect": False,
        "allow_body_redirect": False,
        "guard_active_names": False,
        "trust_env": True,
        "use_netrc": False,
        "loop": "auto",
        "on_restore": "resume",
    }
    assert {name: defaults[name] for name in expected} == expected
