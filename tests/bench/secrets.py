"""
One secret, given in each way in which a download takes one, through every fault; then it is looked for everywhere.

The server says it back in a header of its answers, as careless ones do.
"""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import traceback
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter import BackgroundTransferError, PasswordCredential
from bgdl_jupyter.events import AlertRaised
from bgdl_jupyter.frontends import wire
from bgdl_jupyter.model.process import current_runner
from tests.bench.faults.ours import cases, place, run_through
from tests.bench.faults.rows import PATH, Mode, Row
from tests.bench.faults.table import ROWS
from tests.bench.results import Family, Table
from tests.servers.auth_faults import Login, basic_auth, basic_value
from tests.servers.authority import Authority
from tests.servers.fault_server import FaultServer
from tests.servers.faults import set_header
from tests.servers.oracle import hits_in_texts, hits_in_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bgdl_jupyter import BackgroundDownloader, DownloadOperation
    from bgdl_jupyter.events import Event
    from tests.servers.files import Fault, FileSpec
    from tests.servers.messages import Request

SENTINEL: Final = "S3nt1nel.of.Secrets"
_LOGIN: Final = Login(user="ann", password=SENTINEL)
_SETTLE: Final = 20.0


class Way(Enum):
    """A way in which a download takes a secret."""

    QUERY_AND_HEADERS = "in the query, in Authorization and in a header that is marked"
    USER_INFO = "before the host"
    CREDENTIAL = "as a credential"

    def give(self, downloader: BackgroundDownloader, uri: str, **options: Any) -> DownloadOperation:
        """Create the download that has the secret."""
        match self:
            case Way.QUERY_AND_HEADERS:
                downloader.set_request_header("X-Odd", SENTINEL, secret=True)
                options["headers"] = {"Authorization": f"Bearer {SENTINEL}"}
                return downloader.create_download(f"{uri}?token={SENTINEL}&id=1", "file.bin", **options)
            case Way.USER_INFO:
                uri = uri.replace("://", f"://{_LOGIN.user}:{SENTINEL}@", 1)
            case Way.CREDENTIAL:
                downloader.server_credential = PasswordCredential("files", _LOGIN.user, SENTINEL)
        return downloader.create_download(uri, "file.bin", **options)

    def guard(self, file: FileSpec) -> FileSpec:
        """Return the file as a server has it that asks for the secret, and says it back."""
        asks: tuple[Fault, ...] = () if self is Way.QUERY_AND_HEADERS else (basic_auth(_LOGIN),)
        return replace(file, faults=(*asks, *file.faults, set_header("X-Echo", SENTINEL)))


@dataclass(slots=True)
class Search:
    """
    What came of a row: where the secret was looked for, and where it was found.

    Attributes
    ----------
    was_sent:
        Whether the server ever got it; else the run proves nothing.
    texts:
        How many texts of each kind were looked through.
    """

    name: str
    was_sent: bool = False
    texts: dict[str, int] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def look(self, kind: str, texts: Sequence[str]) -> None:
        """Look through texts."""
        self.texts[kind] = self.texts.get(kind, 0) + len(texts)
        self.hits += [f"{self.name}: {kind}: {each.form} in {each.where!r}" for each in hits_in_texts(SENTINEL, texts)]

    def look_below(self, kind: str, folder: Path) -> None:
        """Look through the names and contents of all files in a folder."""
        self.texts[kind] = self.texts.get(kind, 0) + sum(path.is_file() for path in folder.rglob("*"))
        self.hits += [f"{self.name}: {kind}: {each.form} in {each.where}" for each in hits_in_tree(SENTINEL, folder)]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Take down what all loggers say, down to the least of it."""
    root, handler = logging.getLogger(), _Log()
    level, others = root.level, root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.handlers[:] = others
        root.setLevel(level)


def search(row: Row, mode: Mode, scheme: str, way: Way, *, folder: Path, authority: Authority) -> Search:
    """Let a download that has the secret meet a fault in an empty folder, and look for the secret."""
    found = Search(f"{row.name} {mode.value} {scheme} {way.name}")
    tls = authority.server() if scheme == "https" else None
    file = way.guard(row.file_in(mode))
    events: list[Event] = []
    with (
        _logged() as lines,
        FaultServer({PATH: file, "/end": file, **row.routes}, tls=tls, send_buffer=256 * 1024) as server,
        place(folder) as downloader,
    ):
        for name, value in row.settings.items():
            setattr(downloader, name, value)
        if tls is not None:
            downloader.ssl_context = authority.client()
        runner = current_runner()
        runner.place.call(runner.events.subscribe, events.append)
        operation = way.give(downloader, server.url(PATH), **row.options)
        _look_at(operation, downloader, found)
        with contextlib.suppress(BackgroundTransferError, TimeoutError):  # any end will do
            run_through(operation, row, mode)
        _look_at(operation, downloader, found)
        runner.state.flush(_SETTLE)
        found.look_below("files of the state, while it is open", folder / "state")
        found.was_sent = any(map(_shows, server.requests()))
    found.look_below("files of the state", folder / "state")
    found.look_below("files of the downloads", folder / "work")
    found.look("lines of all logs", lines)
    found.look("events", [repr(each) for each in events])
    alerts = [each for each in events if isinstance(each, AlertRaised)]
    found.look("alerts", [json.dumps(wire.alert_view(each)) for each in alerts])
    return found


def _look_at(operation: DownloadOperation, downloader: BackgroundDownloader, found: Search) -> None:
    response = operation.get_response_information()
    shown = (operation, downloader, operation.error, response, operation.request_headers, operation.progress)
    found.look("reprs", [*map(repr, shown), str(operation), str(downloader), str(operation.error)])
    found.look("traits", [repr(operation.trait_values()), repr(downloader.trait_values())])
    found.look("outputs of a cell", [str(each) for each in operation._repr_mimebundle_().values()])
    if operation.error is not None:
        told = traceback.TracebackException.from_exception(operation.error, capture_locals=True)
        found.look("tracebacks with the values of all variables", ["".join(told.format())])


def _shows(request: Request) -> bool:
    return SENTINEL in request.target or any(
        SENTINEL in value or value == basic_value(_LOGIN) for _, value in request.headers
    )


def run() -> Family:
    """Meet every row in every mode and scheme, the ways of giving a secret in turn, and return the account."""
    authority = Authority()
    ways = tuple(Way)
    found = [_search(*case, ways[number % len(ways)], authority=authority) for number, case in enumerate(cases(ROWS))]
    unsent = [f"{each.name}: the secret never reached the server" for each in found if not each.was_sent]
    kinds = list(dict.fromkeys(kind for each in found for kind in each.texts))
    rows: list[list[str | int]] = [[kind, sum(each.texts.get(kind, 0) for each in found)] for kind in kinds]
    return Family(
        name="secrets",
        title="A secret through every fault",
        section="Secrets",
        claim=(
            "A download that is given a secret meets each fault of servers and networks; the ways to give it take "
            f"turns: {'; '.join(way.value for way in ways)}. The server says it back in its answers. Then it is looked "
            "for, as it is and escaped, in base64, hexadecimal and UTF-16, in all that is stored, shown or logged. "
            "Survived means that the server got it and that it was found nowhere."
        ),
        n=len(found),
        passed=sum(each.was_sent and not each.hits for each in found),
        details={"found": sum(len(each.hits) for each in found)},
        failures=[*unsent, *(hit for each in found for hit in each.hits)][:40],
        tables=[Table(columns=("looked through", "how many"), rows=rows)],
        command="python -m tests.bench secrets",
    )


def _search(row: Row, mode: Mode, scheme: str, way: Way, *, authority: Authority) -> Search:
    with tempfile.TemporaryDirectory(prefix="secrets-") as folder:
        return search(row, mode, scheme, way, folder=Path(folder), authority=authority)
