"""`BackgroundDownloader`: the settings that new operations get, and the list of those that there are."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from traitlets import Callable, Instance, Unicode, observe, validate

from bgdl_jupyter.model import display
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.batches import MakesBatches
from bgdl_jupyter.model.bodies import SendsBodies
from bgdl_jupyter.model.configuration import configuration, from_environment
from bgdl_jupyter.model.consent import Negotiable
from bgdl_jupyter.model.creation import Creation
from bgdl_jupyter.model.credentials import OperationSecrets, PasswordCredential
from bgdl_jupyter.model.downloader_headers import SendsHeaders
from bgdl_jupyter.model.downloader_settings import COPIED, SHARED, DownloaderSettings
from bgdl_jupyter.model.draft import Drafting, check_group_name, credential_of
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.many import TakesManifests
from bgdl_jupyter.model.notifications import Notifying
from bgdl_jupyter.model.post_processing_plan import UNPACK_LIMITS
from bgdl_jupyter.model.probing import probe
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.model.restoring import group_of, restore
from bgdl_jupyter.model.stores import staging_folder
from bgdl_jupyter.model.typed_traits import UseEnum
from bgdl_jupyter.status import (
    BackgroundTransferCostPolicy,
    BackgroundTransferPriority,
    CreationCollisionOption,
    Step,
)
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from bgdl_jupyter.model.completion import BackgroundTransferCompletionGroup
    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.host import PlacePreference
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.options import DownloadOptions, ManifestOptions
    from bgdl_jupyter.model.runner import Runner


class BackgroundDownloader(
    SendsBodies, SendsHeaders, TakesManifests, Notifying, MakesBatches, Negotiable, DownloaderSettings
):
    """
    Starts downloads: ``Windows.Networking.BackgroundTransfer.BackgroundDownloader``.

    Settings are copied into each operation when it is created; the limits belong to the one engine of the process.

    Examples
    --------
    >>> downloader = BackgroundDownloader(max_parallel=8)
    >>> operation = downloader.create_download("https://data.example/climate.tar", "data/climate.tar")
    >>> operation.start()
    """

    group = Unicode(help="The group of new operations; empty for none.")
    transfer_group = Instance(BackgroundTransferGroup, allow_none=True, help="The same as an object.")
    method = Unicode("GET", help="The method of new operations.")
    priority = UseEnum(BackgroundTransferPriority, help="The priority of new operations.")
    cost_policy = UseEnum(BackgroundTransferCostPolicy, help="Which networks new operations may use.")
    proxy = Unicode(help="The proxy's URI; reads back redacted.").tag(config=True)
    server_credential = Instance(PasswordCredential, allow_none=True, help="Who we are to servers.")
    proxy_credential = Instance(PasswordCredential, allow_none=True, help="Who we are to the proxy.")
    credential_provider = Callable(
        None, allow_none=True, help="Asked who we are just before each request; dies with the kernel."
    )
    ssl_context = Instance(
        "ssl.SSLContext", allow_none=True, help="Whom to trust over TLS; dies with the kernel, a ca_file does not."
    )

    def __init__(self, completion_group: BackgroundTransferCompletionGroup | None = None, **traits: Any) -> None:
        self._secrets = OperationSecrets()
        unknown = [name for name in traits if not self.has_trait(name) and name not in ("parent", "config", "log")]
        if unknown:
            raise TypeError(f"BackgroundDownloader has no setting {unknown[0]!r}; see help(BackgroundDownloader).")
        environment = from_environment(self.class_traits(config=True))
        given = traits.get("config") or getattr(traits.get("parent"), "config", None)
        super().__init__(**(environment | traits | {"config": configuration(given)}))
        self.completion_group = completion_group
        self._explicit = {name for name in SHARED if name in {*traits, *environment, *self._configured()}}
        self._share()

    def _configured(self) -> frozenset[str]:
        section = self.config.get("BackgroundDownloader", {}) if self.config else {}
        return frozenset(section)

    def _share(self) -> None:
        runner = self._runner
        runner.join(self, {name: getattr(self, name) for name in SHARED if name in self._explicit})

    def take_shared(self, values: Mapping[str, Any]) -> None:
        """Read what another downloader has set."""
        for name, value in values.items():
            self.set_trait(name, value)

    @property
    def _runner(self) -> Runner:
        return current_runner(cast("PlacePreference", self.loop), Path(self.state_file) if self.state_file else None)

    # --------------------------------------------------------------------------------------------------- new operations

    def create_download(
        self, uri: str, result_file: str | os.PathLike[str] | None = None, **options: Unpack[DownloadOptions]
    ) -> DownloadOperation:
        """
        Create an operation; it is IDLE, and in the state file when this returns.

        Parameters
        ----------
        uri:
            What to fetch; http, https, ftp or ftps.
        result_file:
            The file; None for one in the working directory that the server names; or the URL of a place in a store
            (``s3://bucket/key``, what fsspec knows; one that ends in a slash is a folder).
        options:
            As `DownloadOptions` lists them.

        Raises
        ------
        InvalidRequest
            Something cannot be used; nothing was written.
        TypeError
            There is no such option.
        DuplicateDownload, DestinationInUse
            An operation that is not final fetches the same, or writes the same file.
        StateFileError
            The operation could not be recorded.
        """
        draft = self._draft(uri, result_file, options, may_be_folder=False)
        with self._creation() as creation:
            return creation.create_one(draft)

    def download(
        self, uri: str, destination: str | os.PathLike[str] | None = None, **options: Unpack[DownloadOptions]
    ) -> DownloadOperation:
        """
        Create and start an operation; meant to be run again.

        A download of the same that is not final is returned instead. A finished file that verifies is taken as it is,
        one that we fetched and nobody touched since may be replaced, any other is refused (OPEN_IF_EXISTS). Parameters
        and errors as `create_download`; ``destination`` may be a folder, too, in which the server names the file.
        """
        self.restore()
        options.setdefault("collision", CreationCollisionOption.OPEN_IF_EXISTS)
        draft = self._draft(uri, destination, options)
        with self._creation(is_alone=True) as creation:
            operation = creation.create_or_join(draft)
        if Step.START in operation.allowed_steps:
            operation.attach()  # not `start`: another thread may have got the same and been faster
        return operation

    def is_available(self, uri: str, **options: Any) -> bool:
        """
        Ask the server whether it has a file, with the headers and credentials that its download would have; blocks.

        Parameters and errors as `create_download`; `TransferFailed` where the server says neither yes nor no.
        """
        return probe(self._runner, self._draft(uri, None, options))

    def create_group(self, name: str) -> BackgroundTransferGroup:
        """Return the group of this name in this application, made if there is none."""
        from bgdl_jupyter.errors import InvalidRequest

        if not check_group_name(name):
            raise InvalidRequest("A group needs a name.")
        return group_of(self._runner, self._application(), name)

    def get_current_downloads(
        self, *, group: str | BackgroundTransferGroup | None = None, application: str | None = None
    ) -> list[DownloadOperation]:
        """
        Return what is not final, or became final and was not seen by a caller yet.

        Parameters
        ----------
        group:
            A group or its name; None for the operations that are in no group.
        application:
            Another application than this one; "*" for all, to look at.
        """
        runner = self._runner
        owner = application or self._application()
        restore(runner, owner, on_restore=self.on_restore)
        name = check_group_name(getattr(group, "name", group))
        return runner.take_current(None if owner == "*" else owner, name)

    def restore(self) -> list[DownloadOperation]:
        """Take up this application's operations again, once in a process; return those that were restored."""
        return restore(self._runner, self._application(), on_restore=self.on_restore)

    # --------------------------------------------------------------------------------------------------------- in parts

    def _application(self) -> str:
        return self.application or present_application()

    @contextlib.contextmanager
    def _creation(self, *, is_alone: bool = False) -> Iterator[Creation]:
        application = self._application()
        with self._creating(application, is_alone=is_alone) as batch:
            yield Creation(self._runner, application, on_restore=self.on_restore, batch=batch)

    def _draft(self, uri: str, result_file: Any, options: Mapping[str, Any], *, may_be_folder: bool = True) -> Draft:
        return self._drafting(options).draft(uri, result_file, may_be_folder=may_be_folder)

    def _drafting(self, options: Mapping[str, Any]) -> Drafting:
        self._secrets.server = credential_of(self.server_credential)
        self._secrets.proxy = credential_of(self.proxy_credential)
        self._secrets.provider = self.credential_provider
        self._secrets.ssl_context = self.ssl_context
        drafting = Drafting(
            defaults=self._defaults(),
            headers=self._plain_headers,
            secrets=self._secrets,
            options=options,
            identity_key=self._runner.state.identity_key,
        )
        if drafting.post_process is not None:
            self._runner.post_processor.warn()
        return drafting

    def _defaults(self) -> dict[str, Any]:
        group = self.transfer_group.name if self.transfer_group is not None else self.group
        return {
            "collision": CreationCollisionOption.GENERATE_UNIQUE_NAME,
            "priority": self.priority,
            "cost_policy": self.cost_policy,
            "method": self.method,
            "proxy": self.proxy,
            "group": group,
            "staging": self._staging(),
            "options": {name: getattr(self, name) for name in COPIED},
            "unpack_limits": tuple(getattr(self, name) for name in UNPACK_LIMITS),
        }

    def _staging(self) -> Path:
        if self.staging_folder:
            return Path(self.staging_folder).expanduser().absolute()
        return staging_folder(self._runner.bodies.folder.parent)

    @observe(*SHARED)
    def _shared_changed(self, change: Any) -> None:
        if "_explicit" in self.__dict__:
            self._runner.join(self, {change["name"]: change["new"]})

    @validate("proxy")
    def _check_proxy(self, proposal: Any) -> str:
        """Keep who we are to the proxy apart from where it is."""
        if not proposal["value"]:
            self._secrets.proxy_user_info = None
            return ""
        split = split_uri(proposal["value"], frozenset({"http", "https"}))
        self._secrets.proxy_user_info = split.user_info
        return split.public

    def __repr__(self) -> str:
        operations = self._runner.current(self._application(), None)
        return display.table(operations, f"BackgroundDownloader: {len(operations)} downloads")

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        operations = self._runner.current(self._application(), None)
        heading = f"{len(operations)} downloads"
        fallback = {"text/plain": repr(self), "text/html": display.html_table(operations, heading)}
        return display.with_view(fallback, host().view(self))


@functools.cache
def default_downloader() -> BackgroundDownloader:
    """Return the downloader of the magics and of `download`; made at the first use."""
    return BackgroundDownloader()


def download(
    uri: str, destination: str | os.PathLike[str] | None = None, **options: Unpack[DownloadOptions]
) -> DownloadOperation:
    """
    Download in the background; returns at once, and may be run again.

    Parameters and errors as `BackgroundDownloader.download`.
    """
    return default_downloader().download(uri, destination, **options)


def download_many(
    manifest: object,
    directory: str | os.PathLike[str] | None = None,
    *,
    group: str | BackgroundTransferGroup,
    **options: Unpack[ManifestOptions],
) -> BackgroundTransferGroup:
    """
    Download many files in the background as one group; returns when all are in the state file.

    Parameters and errors as `BackgroundDownloader.download_many`.
    """
    return default_downloader().download_many(manifest, directory, group=group, **options)
