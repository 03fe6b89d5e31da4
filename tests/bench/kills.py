"""
SIGKILL of a real kernel at random times, while several files arrive from a real nginx; the next kernel restores.

A kill counts only if every file had a watermark in this life of the kernel and was unfinished. Now and then a file
becomes another version meanwhile. Sets of files follow each other until there were enough kills.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import random
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.ranges import EMPTY
from tests.bench.results import Family
from tests.kernels import RealKernel
from tests.servers.content import Pattern, digest, file_sha256
from tests.servers.nginx import Nginx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

log = logging.getLogger(__name__)

MEBIBYTE: Final = 1 << 20
#: How far the durable bytes of a file may be behind what was written, and what a resumed request compares.
WATERMARK: Final = 8 * MEBIBYTE
RATE: Final = 6 * MEBIBYTE
FILES: Final = 3
#: How many of the kills have to count.
SHARE: Final = 0.8
_WAIT: Final = 60.0
#: What the server counts as sent and no kernel has read when it dies, of a file and usually.
_IN_FLIGHT: Final = 8 * MEBIBYTE

_START: Final = """
%load_ext bgdl_jupyter
import bgdl_jupyter
for uri in {uris!r}:
    bgdl_jupyter.download(uri, group="data")
"""
_RESTORE: Final = """
%load_ext bgdl_jupyter
import bgdl_jupyter
group = bgdl_jupyter.default_downloader().create_group("data")
print("OPERATIONS", sorted(operation.result_file.name for operation in group.operations))
"""
_FINISH: Final = """
group.wait(120)
print("ENDED", sorted({operation.status.name for operation in group.operations}))
"""


@dataclass(slots=True)
class _Account:
    kills: int = 0
    counted: int = 0
    with_unrecorded: int = 0
    sets: int = 0
    new_versions: int = 0
    files: int = 0
    most_behind: int = 0
    files_gone_on_with: int = 0
    sent: int = 0
    sent_again: int = 0
    most_sent_again: int = 0
    whole: int = 0
    failures: list[str] = field(default_factory=list)
    failed_kills: set[int] = field(default_factory=set)

    def fail(self, sentence: str) -> None:
        self.failures.append(f"kill {self.kills}: {sentence}")
        self.failed_kills.add(self.kills)

    @property
    def sent_again_usually(self) -> int:
        """How many bytes of a file were sent again after a kill, on the average."""
        return self.sent_again // max(1, self.files_gone_on_with)

    def count_again(self, sent_again: Iterable[tuple[int, int]]) -> None:
        """Take note of what was sent again of a file after a kill, and how many connections it had before."""
        for again, connections in sent_again:
            self.files_gone_on_with += 1
            self.sent_again += again
            self.most_sent_again = max(self.most_sent_again, again)
            if again > WATERMARK + connections * _socket_buffers():
                self.fail(f"{again:,} bytes of a file with {connections} connections were sent again after a kill")


def run(count: int, *, seed: int = 1, size: int = 96 * MEBIBYTE) -> Family:
    """
    Kill until ``count`` kills have counted.

    Parameters
    ----------
    seed:
        Of the times of the kills and the changes of version.
    size:
        About how large the files are, in bytes.
    """
    account = _Account()
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, _home(Path(folder)) as environment:
        (Path(folder) / "nginx").mkdir()
        with Nginx(Path(folder) / "nginx", rate=RATE) as nginx:
            while account.counted < count and account.kills < 2 * count + 4:
                _Set(Path(folder), nginx, account, draw=draw, environment=environment, size=size).run(count)
    return _family(account, count)


def _family(account: _Account, count: int) -> Family:
    if account.sent_again_usually > WATERMARK + _IN_FLIGHT:
        account.fail(f"{account.sent_again_usually:,} bytes of a file were sent again after a kill, on the average")
    if account.counted < SHARE * account.kills:
        account.fail(f"only {account.counted} of {account.kills} kills met every file unfinished and with a watermark")
    passed = 0 if account.failures and not account.failed_kills else account.kills - len(account.failed_kills)
    return Family(
        name="kills",
        title="SIGKILL of a kernel at random times",
        section="Kills and power loss",
        claim=(
            f"A real ipykernel fetches {FILES} files at a time over several connections each from a real nginx, is "
            "killed, and the next one restores them; some files become another version meanwhile. After every kill: "
            "no destination holds a part, every operation is there, and what is durable is at most 8 MiB behind what "
            "was written. In the end every file equals one version that was served, and no partial file is left."
        ),
        n=account.kills,
        passed=passed,
        details={
            "kills that met every file unfinished and with a watermark": account.counted,
            "kills with bytes that no watermark covered": account.with_unrecorded,
            "files finished and compared": account.files,
            "new versions while a file was under way": account.new_versions,
            "most bytes behind, of one file at one kill": account.most_behind,
            "bytes of the files that kept their version": account.whole,
            "bytes sent for them": account.sent,
            "bytes sent again, for each file and kill": account.sent_again_usually,
            "most bytes sent again, of one file after one kill": account.most_sent_again,
        },
        failures=account.failures[:20],
        command=f"python -m tests.bench kills --count {count}",
    )


@contextlib.contextmanager
def _home(folder: Path) -> Iterator[dict[str, str]]:
    """Give the kernels a home of their own, and the variables that say so."""
    home = folder / "home"
    home.mkdir()
    yield {
        "HOME": str(home),
        "BGDL_STATE_FILE": str(folder / "state" / "state.sqlite3"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


class _Set:
    """Some files that are fetched together, through as many kernels as it takes."""

    def __init__(
        self,
        folder: Path,
        nginx: Nginx,
        account: _Account,
        *,
        draw: random.Random,
        environment: Mapping[str, str],
        size: int,
    ) -> None:
        self._state = folder / "state" / "state.sqlite3"
        self._work = folder / f"work-{account.sets}"
        self._nginx = nginx
        self._account = account
        self._draw = draw
        self._environment = environment
        self._contents: dict[str, list[Pattern]] = {}
        self._begun: list[int] = []
        account.sets += 1
        for number in range(FILES):
            content = Pattern(size + draw.randrange(size // 4), draw.randrange(1 << 30))
            self._contents[f"{account.sets}-{number}.bin"] = [content]
            nginx.put(f"{account.sets}-{number}.bin", content)
        self._work.mkdir()

    def run(self, count: int) -> None:
        versions = self._account.new_versions
        cell = _START.format(uris=[self._nginx.url(f"/{name}") for name in self._contents])
        while self._account.counted < count and self._live(cell):
            cell = _RESTORE
        self._finish()
        if self._account.new_versions == versions:  # else much was sent twice with good reason
            self._account.sent += sum(line.body_bytes_sent for line in self._nginx.log()[self._begun[0] :])
            self._account.whole += sum(content.size for (content,) in self._contents.values())
            self._account.count_again(self._sent_again())
        for name in self._contents:
            (self._nginx.root / name).unlink()
        shutil.rmtree(self._work)

    @contextlib.contextmanager
    def _kernel(self) -> Iterator[RealKernel]:
        """Start a kernel; by then the server has logged what it sent to the one before."""
        with RealKernel(cwd=self._work, env=self._environment) as kernel:
            self._nginx.wait_until_idle()
            self._begun.append(len(self._nginx.log()))
            yield kernel

    def _sent_again(self) -> Iterator[tuple[int, int]]:
        """Give for each file and kill how much was sent of it once more, and over how many connections before it."""
        lines = self._nginx.log()
        for name in self._contents:
            sent, before = EMPTY, 0
            for first, last in itertools.pairwise([*self._begun, len(lines)]):
                mine = [line for line in lines[first:last] if line.target == f"/{name}"]
                had = sent.total
                for line in mine:
                    start = _first_of(line.range)
                    sent = sent.add(start, start + line.body_bytes_sent)
                if first != self._begun[0]:
                    yield sum(line.body_bytes_sent for line in mine) - (sent.total - had), before
                before = len(mine) or before  # a kernel that had ended before it asked has lost nothing

    def _live(self, cell: str) -> bool:
        """Run one kernel until it is killed; False where it had so little left to do that it was not."""
        with self._kernel() as kernel:
            answer = kernel.run(cell, timeout=_WAIT)
            self._expect_operations(cell, answer.text + (answer.error or ""))
            if not self._wait_for_watermarks():
                return False
            # At any moment between this watermark and the next ones.
            time.sleep(self._draw.uniform(0.0, 0.4))
            kernel.sigkill()
        self._look_after_death()
        if self._draw.random() < 0.1:
            self._change_version()
        return True

    def _expect_operations(self, cell: str, text: str) -> None:
        if cell is _RESTORE and f"OPERATIONS {sorted(self._contents)}" not in text:
            self._account.fail(f"the next kernel does not have all operations: {text[-300:]}")

    def _wait_for_watermarks(self) -> bool:
        """Wait until every file has more durable bytes than before; False when one is nearly whole first."""
        connection = sqlite3.connect(f"{self._state.as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            before = self._durable(connection)
            deadline = time.monotonic() + _WAIT
            while time.monotonic() < deadline:
                present = self._durable(connection)
                if any(total > self._sizes()[name] - 3 * WATERMARK for name, total in present.items()):
                    return False
                if len(present) == FILES and all(total > before.get(name, 0) for name, total in present.items()):
                    return True
                time.sleep(0.03)  # nobody tells another process of a commit
        finally:
            connection.close()
        self._account.fail(f"no progress in {_WAIT:g} s: {present}")
        return False

    def _sizes(self) -> dict[str, int]:
        return {name: versions[-1].size for name, versions in self._contents.items()}

    def _durable(self, connection: sqlite3.Connection) -> dict[str, int]:
        return {name: total for name, total, is_final in self._rows(connection) if not is_final}

    def _rows(self, connection: sqlite3.Connection) -> list[tuple[str, int, bool]]:
        query = "SELECT record, watermark, is_final FROM operations"
        found = []
        for record, watermark, is_final in connection.execute(query):
            name = json.loads(record)["requested_uri"].rpartition("/")[2]
            pairs = json.loads(watermark)["finished"] if watermark else []
            if name in self._contents:
                found.append((name, sum(stop - start for start, stop in pairs), bool(is_final)))
        return found

    def _look_after_death(self) -> None:
        """Compare what the state file says with what is on the disk, before anybody recovers anything."""
        account = self._account
        account.kills += 1
        rows = self._rows_of_a_copy()
        if sorted(name for name, _, _ in rows) != sorted(self._contents):
            account.fail(f"the state file has the operations {rows}")
        unfinished = {name: total for name, total, is_final in rows if not is_final}
        for name, _, is_final in rows:
            if not is_final and (self._work / name).exists() and not self._is_whole(name):
                account.fail(f"{name} stands under its name and is not complete")
        written = sum(part.stat().st_blocks * 512 for part in self._work.glob(".*.bgdl"))
        behind = written - sum(unfinished.values())
        account.with_unrecorded += behind > 0
        account.most_behind = max(account.most_behind, behind // FILES)
        if behind > FILES * WATERMARK:
            account.fail(f"{behind} bytes were written and are not recorded")
        account.counted += len(unfinished) == FILES and all(unfinished.values())

    def _is_whole(self, name: str) -> bool:
        path = self._work / name
        return path.exists() and file_sha256(path) in {digest(each).hex() for each in self._contents[name]}

    def _rows_of_a_copy(self) -> list[tuple[str, int, bool]]:
        """Read a copy: to open the file itself would be the recovery that the next kernel is to do."""
        with tempfile.TemporaryDirectory() as folder:
            for path in self._state.parent.glob("state.sqlite3*"):
                shutil.copy(path, folder)
            connection = sqlite3.connect(Path(folder) / "state.sqlite3")
            try:
                return self._rows(connection)
            finally:
                connection.close()

    def _change_version(self) -> None:
        name = self._draw.choice(sorted(self._contents))
        self._contents[name].append(Pattern(self._contents[name][0].size, self._draw.randrange(1 << 30)))
        self._nginx.put(name, self._contents[name][-1])
        self._account.new_versions += 1

    def _finish(self) -> None:
        account = self._account
        with self._kernel() as kernel:
            answer = kernel.run(_RESTORE, timeout=_WAIT)
            self._expect_operations(_RESTORE, answer.text + (answer.error or ""))
            ended = kernel.run(_FINISH, timeout=150)
            if "ENDED ['COMPLETED']" not in ended.text:
                account.fail(f"not completed: {ended.text} {ended.error}")
        for name in self._contents:
            account.files += 1
            if not self._is_whole(name):
                account.fail(f"{name} is not one of the versions that were served")
        strangers = sorted({path.name for path in self._work.iterdir()} - set(self._contents))
        if strangers:
            account.fail(f"left behind: {strangers}")


def _first_of(header: str | None) -> int:
    """Return where what a Range header asks for begins."""
    return int(header.removeprefix("bytes=").partition("-")[0]) if header else 0


def _socket_buffers() -> int:
    """Return the most bytes that the system keeps of one connection: sent, and read by nobody yet."""
    return sum(int(Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2]) for name in ("tcp_rmem", "tcp_wmem"))
