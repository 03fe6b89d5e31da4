"""
Pooch with our downloads: ``pooch.retrieve(url, known_hash, downloader=PoochDownloader())``.

A file that pooch asks for comes as any download does: it goes on when the cell is interrupted or the kernel dies, and
the next ``retrieve`` or ``fetch`` of it takes part in what is on its way or takes what has come meanwhile. On disk,
while it does::

    CACHE/.6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49.pooch/big.tar    the name says which URL it is of
    CACHE/…-big.tar                                          given by pooch, when its hash is right
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import shutil
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from uuid import uuid4

from bgdl_jupyter.errors import (
    DestinationInUse,
    DuplicateDownload,
    HeldByAnotherKernel,
    InvalidRequest,
    TransferFailed,
)
from bgdl_jupyter.integrations.tqdm import closing_bar, wait_drawing
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.downloader import BackgroundDownloader, default_downloader
from bgdl_jupyter.model.draft import refuse_unknown
from bgdl_jupyter.model.host import kernel_is_running
from bgdl_jupyter.model.housekeeping import clear
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.model.stores import staging_folder
from bgdl_jupyter.storage.filenames import name_from_uri

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation

log = logging.getLogger(__name__)

_GROUP: Final = "pooch"
_WIDTH: Final = 79
_MOST_TRIES: Final = 3


class PoochDownloader:
    """
    A downloader for pooch's ``downloader=``: HTTP, HTTPS, FTP, FTPS, and the DOIs that pooch knows.

    May be used in notebooks, scripts and threads. A call blocks until the file is there, as pooch wants it; an
    interrupt ends the waiting and not the download.

    Parameters
    ----------
    progressbar:
        None shows the download's view in a notebook and nothing elsewhere; True a tqdm bar elsewhere; False nothing;
        an object with ``total``, ``update``, ``reset`` and ``close`` is used as pooch uses it.
    auth:
        Who we are to the server: a `PasswordCredential`, or user name and password. Not beside a ``downloader``, whose
        ``server_credential`` says it for all that it downloads.
    downloader:
        The settings to download with; None for the default downloader's, or, with ``auth``, those of a new one.
    options:
        What `BackgroundDownloader.download` takes: ``headers``, ``priority``, ``max_size``, …; ``group`` is "pooch"
        unless it says otherwise.

    Raises
    ------
    InvalidRequest
        Both ``auth`` and a ``downloader`` are given.
    TypeError
        There is no such option; the message names the nearest.

    Examples
    --------
    >>> pooch.retrieve(url, known_hash="sha256:…", downloader=PoochDownloader())  # doctest: +SKIP
    """

    def __init__(
        self,
        progressbar: Any = None,
        *,
        auth: PasswordCredential | tuple[str, str] | None = None,
        downloader: BackgroundDownloader | None = None,
        **options: Any,
    ) -> None:
        if auth is not None and downloader is not None:
            raise InvalidRequest(
                "auth would change the downloader that is given.", hint="Set its server_credential, and leave auth out."
            )
        refuse_unknown(options)
        self.progressbar = progressbar
        self._options = {"group": _GROUP, **options}
        self._credential = PasswordCredential("pooch", *auth) if isinstance(auth, tuple) else auth
        self._given = downloader
        self._taking = threading.Lock()
        self._takers: Counter[Path] = Counter()

    def __call__(
        self,
        url: str,
        output_file: str | os.PathLike[str] | BinaryIO | None,
        pooch: object,  # noqa: ARG002 (the protocol of pooch)
        check_only: bool = False,  # noqa: FBT001, FBT002 (the protocol of pooch)
    ) -> bool | None:
        """
        Download a file for pooch.

        Parameters
        ----------
        url:
            What to fetch.
        output_file:
            A path, which is replaced, or a binary file, which is written to.
        pooch:
            The `pooch.Pooch` that asks; not used.
        check_only:
            Only ask the server whether it has the file; gives the answer.

        Raises
        ------
        BackgroundTransferError
            What ended the download, or the request cannot be carried out.
        """
        uri = _resolved(url)
        if check_only:
            options = {name: value for name, value in self._options.items() if name != "group"}
            return self._downloader.is_available(uri, **options)
        assert output_file is not None  # noqa: S101 (only a check has none)
        place = self._waiting_place(uri, output_file)
        with self._taking:
            self._takers[place] += 1
        try:
            self._take(uri, place, output_file)
        except BaseException:
            with self._taking:
                self._takers[place] -= 1
            raise
        return None

    def _take(self, uri: str, place: Path, output_file: str | os.PathLike[str] | BinaryIO) -> None:
        for _ in range(_MOST_TRIES):
            arrived = self._fetch(uri, place)
            # Another process may take the same file for its own; another thread of ours gets a copy.
            with contextlib.suppress(FileNotFoundError), self._taking:
                _hand_over(arrived, output_file, moves=arrived.parent != place.parent or self._takers[place] == 1)
                self._takers[place] -= 1
                return
        raise TransferFailed(f"{arrived.name!r} was taken away, again and again, before pooch got it.")

    @functools.cached_property
    def _downloader(self) -> BackgroundDownloader:
        """Made at the first use: to name a downloader in a module is not to download."""
        if self._credential is None:
            return self._given or default_downloader()
        downloader = BackgroundDownloader()
        downloader.server_credential = self._credential
        return downloader

    def _waiting_place(self, uri: str, output_file: str | os.PathLike[str] | BinaryIO) -> Path:
        """Return where the file comes first: the same for each call with the same URL and the same folder."""
        folder = _folder_of(output_file)
        if folder is None:
            self._downloader.restore()  # which starts the engine with its settings
            folder = staging_folder(current_runner().bodies.folder.parent)
        digest = hashlib.sha256(uri.encode()).hexdigest()[:32]
        return folder / f".{digest}.pooch" / name_from_uri(uri)

    def _fetch(self, uri: str, place: Path) -> Path:
        """Take part in the download of the same, or begin it; where that is not ours to do, fetch another copy."""
        try:
            operation = self._waited_for(self._downloader.download(uri, place, **self._options))
        except (DuplicateDownload, DestinationInUse, HeldByAnotherKernel) as refusal:
            log.info("%s A copy is fetched for pooch.", refusal)
            return self._fetch_alone(uri, place.with_name(f"{uuid4().hex}-{place.name}"))
        return operation.result_file or place

    def _fetch_alone(self, uri: str, place: Path) -> Path:
        application = f"{present_application()} (pooch {uuid4().hex})"
        operation = self._downloader.download(uri, place, **{**self._options, "application": application})
        try:
            self._waited_for(operation)
        finally:
            clear([operation])  # of an application that nobody will ask about
        return place

    def _waited_for(self, operation: DownloadOperation) -> DownloadOperation:
        bar = self.progressbar
        if bar is not False and kernel_is_running() and not hasattr(bar, "update"):
            from IPython.display import display

            display(operation)  # type: ignore[no-untyped-call]  # IPython has no types here
            return operation.wait()
        if bar is True:
            with closing_bar(operation, desc=None, ncols=_WIDTH, ascii=sys.platform == "win32") as draw:
                return wait_drawing(operation, draw)
        if bar:
            return _waited_with(bar, operation)
        return operation.wait()


def _waited_with(bar: Any, operation: DownloadOperation) -> DownloadOperation:
    """Wait with a bar of the user's, which knows steps only: it is filled from nothing at the end, as pooch does."""
    shown = 0

    def draw(progress: Any) -> None:
        nonlocal shown
        bar.total = progress.total_bytes_to_receive or 0
        bar.update(progress.bytes_received - shown)
        shown = progress.bytes_received

    wait_drawing(operation, draw)
    bar.total = operation.size
    bar.reset()
    bar.update(operation.size)
    bar.close()
    return operation


def _resolved(url: str) -> str:
    """Return the address of a file: that of a DOI is known to pooch, and what is no character of a URI is encoded."""
    if url.startswith("doi:"):
        from pooch.downloaders import doi_to_repository
        from pooch.utils import parse_url

        parsed = parse_url(url)
        url = doi_to_repository(parsed["netloc"]).download_url(parsed["path"].lstrip("/"))
    return url.replace(" ", "%20")


def _folder_of(output_file: str | os.PathLike[str] | BinaryIO) -> Path | None:
    """Return the folder of a file; None for one that has a number in the place of a name, or neither."""
    name: Any = output_file if isinstance(output_file, str | os.PathLike) else getattr(output_file, "name", None)
    return Path(name).expanduser().absolute().parent if isinstance(name, str | os.PathLike) else None


def _hand_over(arrived: Path, output_file: str | os.PathLike[str] | BinaryIO, *, moves: bool) -> None:
    """Give pooch the file; what another download has as its own, or somebody else waits for, is copied."""
    is_ours = moves and arrived.parent.name.endswith(".pooch")
    if not isinstance(output_file, str | os.PathLike):
        with arrived.open("rb") as file:
            shutil.copyfileobj(file, output_file)
        if is_ours:
            arrived.unlink()
    elif is_ours:
        arrived.replace(output_file)
    else:
        shutil.copyfile(arrived, output_file)
    if is_ours:
        with contextlib.suppress(OSError):  # somebody else waits in the same folder
            arrived.parent.rmdir()
