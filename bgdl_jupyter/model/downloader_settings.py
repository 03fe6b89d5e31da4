"""The settings of a downloader: what a configuration file and the environment may say, too."""

from __future__ import annotations

from typing import Any, Final

from traitlets import Bool, CUnicode, Float, Int, TraitError, Unicode, validate
from traitlets.config import Configurable

from bgdl_jupyter.model.typed_traits import Enum

#: Settings that the one engine of the process has; every downloader reads and sets the same.
SHARED: Final = (
    "max_parallel",
    "max_parallel_per_host",
    "max_connections_per_host",
    "max_rate",
)
#: Settings that are copied into an operation when it is created.
COPIED: Final = (
    "allow_body_redirect",
    "allow_insecure_auth",
    "allow_insecure_redirect",
    "allow_private_redirect",
    "allow_unverified_resume",
    "ca_file",
    "connect_timeout",
    "max_connections_per_download",
    "max_retries",
    "max_size",
    "require_length",
    "expect_type",
    "response_timeout",
    "stall_timeout",
    "trust_env",
    "use_netrc",
    "guard_active_names",
)


class DownloaderSettings(Configurable):
    """The settings of a `BackgroundDownloader`; times are in seconds, sizes and rates in bytes."""

    max_parallel = Int(16, help="How many operations may run at once.").tag(config=True)
    max_parallel_per_host = Int(16, help="How many of one host may run at once.").tag(config=True)
    max_connections_per_host = Int(16, help="How many connections to one host, files and segments together.").tag(
        config=True
    )
    max_rate = Int(None, allow_none=True, help="Bytes per second for everything together; None for no limit.").tag(
        config=True
    )
    max_connections_per_download = Int(16, help="How many connections for one file.").tag(config=True)
    max_retries = Int(8, help="How many attempts without a new byte, beside the first.").tag(config=True)
    connect_timeout = Float(30.0, help="Seconds for a connection.").tag(config=True)
    response_timeout = Float(60.0, help="Seconds from a request to the end of the response's header.").tag(config=True)
    stall_timeout = Float(30.0, help="Seconds in which at least 4 KiB must come.").tag(config=True)
    require_length = Bool(default_value=False, help="Refuse what has no length.").tag(config=True)
    max_size = Int(None, allow_none=True, help="Refuse what has more bytes.").tag(config=True)
    expect_type = Unicode(None, allow_none=True, help="Refuse what is of another media type.").tag(config=True)
    allow_insecure_auth = Bool(default_value=False, help="Send Basic credentials to plain http.").tag(config=True)
    allow_insecure_redirect = Bool(default_value=False, help="Follow from https to http.").tag(config=True)
    allow_private_redirect = Bool(default_value=False, help="Follow from a public to a private address.").tag(
        config=True
    )
    allow_body_redirect = Bool(default_value=False, help="Send a body again to another origin.").tag(config=True)
    allow_unverified_resume = Bool(
        default_value=False, help="Go on where nothing proves that the file is the same; the result says so."
    ).tag(config=True)
    guard_active_names = Bool(
        default_value=False,
        help="Put an underscore before names of programs, scripts, notebooks and links that a server gives.",
    ).tag(config=True)
    ca_file = CUnicode("", help="A PEM file of authorities to trust beside the system's; empty for none.").tag(
        config=True
    )
    unpack_max_size = Int(10**12, help="Refuse to unpack what becomes more bytes.").tag(config=True)
    unpack_max_ratio = Float(
        1000.0, min=1.0, help="Refuse to unpack what becomes so many times larger; from 100 MB on."
    ).tag(config=True)
    unpack_max_members = Int(10**6, help="Refuse to unpack what holds more files and folders.").tag(config=True)
    trust_env = Bool(default_value=True, help="Take proxies from the environment.").tag(config=True)
    use_netrc = Bool(default_value=False, help="Take credentials from the netrc file.").tag(config=True)

    loop = Enum(
        ["auto", "subshell", "thread", "main"], "auto", help="Where downloads run; counts at the first use."
    ).tag(config=True)
    state_file = CUnicode("", help="Where the state is kept; empty for the platform's folder. First use.").tag(
        config=True
    )
    staging_folder = CUnicode(
        "", help="Where files for stores wait until they are whole; empty for a folder beside the state file."
    ).tag(config=True)
    application = Unicode(help="Whose downloads these are; the notebook's path, else the working directory.").tag(
        config=True
    )
    on_restore = Enum(
        ["resume", "pause", "cancel", "ask"], "resume", help="What becomes of what ran in a kernel before."
    ).tag(config=True)

    @validate(*SHARED, "max_connections_per_download", "max_size", "unpack_max_size", "unpack_max_members")
    def _check_count(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        if value is not None and value < 1:
            raise TraitError(f"{proposal['trait'].name} is a number above 0, not {value}.")
        return value

    @validate("connect_timeout", "response_timeout", "stall_timeout")
    def _check_seconds(self, proposal: Any) -> float:
        value: float = proposal["value"]
        if not 0 < value < float("inf"):
            raise TraitError(f"{proposal['trait'].name} is a number of seconds above 0, not {value}.")
        return value
