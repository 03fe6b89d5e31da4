"""`DownloadOperation`: one file to be had; it outlives the kernel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.errors import AttentionRequired, BackgroundTransferError, InvalidTransferState
from bgdl_jupyter.model import display
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.live_changes import (
    change_header,
    change_provider,
    change_ssl_context,
    change_storage_options,
    give_credential,
)
from bgdl_jupyter.model.operation_state import OperationState
from bgdl_jupyter.model.outcome import Outcome
from bgdl_jupyter.model.reading import ResultFile, ResultStream
from bgdl_jupyter.model.verification import Verification, verify
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Mapping

    from bgdl_jupyter.model.credentials import CredentialProvider, PasswordCredential
    from bgdl_jupyter.model.values import BackgroundDownloadProgress


class DownloadOperation(OperationState):
    """
    A download: ``Windows.Networking.BackgroundTransfer.DownloadOperation``.

    Made by `BackgroundDownloader.create_download`; every member may be used from any thread and any loop. Traits
    without a setter in Windows are read-only here.

    Examples
    --------
    >>> operation = downloader.create_download("https://data.example/2002.nc", "data/2002.nc")
    >>> operation.start()  # the cell returns
    >>> await operation  # or wait for the file
    >>> print(operation.status.name)
    COMPLETED
    """

    def start(
        self, progress: Callable[[BackgroundDownloadProgress], object] | None = None
    ) -> Outcome[DownloadOperation]:
        """
        Begin; returns at once. Awaiting the result is optional, and gives the operation when the file is there.

        Parameters
        ----------
        progress:
            Called with a `BackgroundDownloadProgress` at most four times a second and at the end, on the callback loop.

        Raises
        ------
        InvalidTransferState
            It was started before.
        """
        self._call_with_progress(progress)
        self._runner.take(self, Step.START)
        return self._completion()

    def attach(
        self, progress: Callable[[BackgroundDownloadProgress], object] | None = None
    ) -> Outcome[DownloadOperation]:
        """
        Take part in what is going on: an idle operation starts, a final one answers at once.

        Raises
        ------
        HeldByAnotherKernel
            A live kernel runs it.
        """
        self.check_not_held()
        self._call_with_progress(progress)
        self._runner.attach(self)
        return self._completion()

    def pause(self) -> Outcome[DownloadOperation]:
        """
        Stand still and keep the bytes; await the result to know that the connection is closed and they are durable.

        Raises
        ------
        InvalidTransferState
            It is not running, or must not be interrupted (a POST, a commit).
        """
        self._runner.take(self, Step.PAUSE)
        return self._settlement()

    def resume(self, *, override_policy: bool = False) -> Outcome[DownloadOperation]:
        """
        Go on.

        Parameters
        ----------
        override_policy:
            Go on even where the network's cost or the system's policy is what holds it.

        Raises
        ------
        InvalidTransferState
            It is not paused, or only `override_policy` can end the pause.
        """
        self._runner.take(self, Step.OVERRIDE if override_policy else Step.RESUME)
        return self._completion()

    def cancel(self) -> Outcome[DownloadOperation]:
        """Give up: the partial file goes, what stood at the destination stays. A final operation is left as it is."""
        self._runner.take(self, Step.CANCEL)
        return self._settlement()

    def retry(self) -> Outcome[DownloadOperation]:
        """
        Start again what failed, from the bytes it has, or what was canceled, from nothing.

        Raises
        ------
        InvalidTransferState
            It is not final, or it is complete.
        DuplicateDownload
            An operation that came later, and is not final, fetches the same.
        """
        self._runner.take(self, Step.RETRY)
        return self._completion()

    def __await__(self) -> Generator[object, None, DownloadOperation]:
        return self.attach().__await__()

    def wait(self, timeout: float | None = None) -> DownloadOperation:
        """
        Block this thread until the operation is final.

        Parameters
        ----------
        timeout:
            Seconds; None waits as long as it takes.

        Raises
        ------
        TimeoutError
            It was not final in time; it goes on.
        AttentionRequired
            It is paused for a reason that only a person can end.
        BackgroundTransferError
            What ended it.
        """
        if self._runner.place.is_here():
            raise BackgroundTransferError(
                "This loop runs the downloads, and waiting would stop it.", hint="Write `await operation` instead."
            )
        self._runner.attach(self)
        done = threading.Event()

        def look() -> bool:
            if self.is_over or self.status.waits_for_a_person:
                done.set()
            return done.is_set()

        self.watch(look)
        if not done.wait(timeout):
            raise TimeoutError(f"{display.title(self)} is not final after {timeout:g} s.")
        if self.status.waits_for_a_person:
            raise AttentionRequired(f"{display.title(self)} waits: {self.status_reason}", operation=self)
        return self._result()

    def verify(self) -> Verification:
        """
        Read the file of the completed operation again, and compare it with what was fetched; blocks.

        Returns
        -------
        Verification
            ``is_whole``, and in words what was compared.

        Raises
        ------
        InvalidTransferState
            It is not complete.
        BackgroundTransferError
            This is the loop that runs the downloads.
        """
        if self._runner.place.is_here():
            raise BackgroundTransferError(
                "This loop runs the downloads, and reading a file would stop it.",
                hint="Write `await asyncio.to_thread(operation.verify)` instead.",
            )
        if not self.status.is_success:
            raise InvalidTransferState(
                f"{display.title(self)} is {self.status.name}; a completed download can be verified.", operation=self
            )
        return verify(self)

    def get_result_stream_at(self, position: int = 0) -> ResultStream:
        """
        Return a reader of the bytes from a position on, as they arrive.

        It has ``await read(n=-1)`` and ``async for``, waits for more, also through pauses, and ends with the file.
        """
        return ResultStream(self._runner, self, position)

    async def open_result(self) -> ResultFile:
        """
        Return the file for reading anywhere, when the server has answered; what is missing is fetched first.

        It has ``seek`` and ``tell``, ``await read(n=-1)``, and is closed by ``await aclose()`` or ``async with``.
        Set `is_random_access_required` to have the download fail up front where the server has no ranges.

        Raises
        ------
        BackgroundTransferError
            What ended the download.
        """
        return await ResultFile.open(self._runner, self)

    def make_current_in_transfer_group(self) -> None:
        """Move this operation, and those behind it, to the front of its group."""
        self._runner.make_current(self)

    def set_request_header(self, name: str, value: str, *, secret: bool | None = None) -> None:
        """
        Send a header with every request to the origin of `requested_uri`; a second call replaces the first.

        Parameters
        ----------
        secret:
            Whether the value is kept out of everything that is stored or shown; None decides by the name.

        Raises
        ------
        InvalidRequest
            The name or the value cannot be sent, or is ours to set (framing, ranges).
        """
        change_header(self._runner, self, name, value, secret=secret)

    def remove_request_header(self, name: str) -> None:
        """Send the header no longer."""
        change_header(self._runner, self, name, None, secret=None)

    def set_storage_options(self, options: Mapping[str, Any] | None) -> None:
        """
        Say how the store of the destination is opened, as a pause asks for; `resume` goes on with it.

        Parameters
        ----------
        options:
            What fsspec calls storage options, kept as a secret; None for its own configuration.

        Raises
        ------
        InvalidRequest
            The file is to stay on this machine, or the options cannot be kept.
        """
        change_storage_options(self._runner, self, options)

    def provide_credential(self, credential: PasswordCredential, *, for_proxy: bool | None = None) -> None:
        """
        Say who we are, as a pause asks for; `resume` goes on with it.

        Parameters
        ----------
        for_proxy:
            Whether the proxy is told it and not the server; None tells whichever is known to ask, else the server.
        """
        give_credential(self._runner, self, credential, for_proxy=for_proxy)

    @property
    def credential_provider(self) -> CredentialProvider | None:
        """
        Asked who we are just before each request: a callable that takes the operation.

        It returns a `PasswordCredential`, None where it has nothing to say, or an awaitable of these; it is called on a
        thread of its own. It dies with the kernel: after a restart the operation pauses until it is set again.
        """
        return self.secrets.provider

    @credential_provider.setter
    def credential_provider(self, provider: CredentialProvider | None) -> None:
        change_provider(self._runner, self, provider)

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """Whom to trust over TLS; None for the system's authorities and ``ca_file``. It dies with the kernel."""
        return self.secrets.ssl_context

    @ssl_context.setter
    def ssl_context(self, context: ssl.SSLContext | None) -> None:
        change_ssl_context(self._runner, self, context)

    def _call_with_progress(self, progress: Callable[[BackgroundDownloadProgress], object] | None) -> None:
        if progress is not None:
            self._reports.add_progress(progress)

    def _completion(self) -> Outcome[DownloadOperation]:
        return Outcome(lambda ring: self.watch(_once(lambda: self.is_over, ring)), self._result)

    def _settlement(self) -> Outcome[DownloadOperation]:
        return Outcome(lambda ring: self.watch(_once(lambda: self._runner.is_settled(self), ring)), lambda: self)

    def _result(self) -> DownloadOperation:
        self._runner.mark_seen(self)
        error = self.error
        if error is not None:
            raise error
        return self

    def __repr__(self) -> str:
        return display.one_line(self)

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return display.bundle(self, host().view(self))


def _once(is_known: Callable[[], bool], ring: Callable[[], None]) -> Callable[[], bool]:
    def look() -> bool:
        if not is_known():
            return False
        ring()
        return True

    return look
