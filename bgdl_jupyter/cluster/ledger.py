"""
What is durable of a job, beside its data.

::

    <directory>/.bgdl-cluster/<group>/
        job.json                     what was cut; there when all of it was
        index.json.gz                host, files and bytes of each shard
        shards/00000012.jsonl.gz     its lines
        open/00000012/<token>        a worker began it, and calls its partial files by this token
        open/00000012/<token>.3.parquet     results so far; gone, with the folder, when the shard is done
        results/00000012.parquet     what became of each line
        done/00000012.r1.c998.e2.b4096      it is done: 998 files of 4096 bytes together are there, 2 failed
        coordinator.json             who hands shards out, and which are handed out

A marker says what it says by its name, so that one listing tells how far the job is. The highest round of a shard
counts; a round is a try of everything that failed before it.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.cluster.tables import from_parquet, to_parquet
from bgdl_jupyter.errors import InvalidManifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bgdl_jupyter.cluster.folder import Folder
    from bgdl_jupyter.cluster.shards import Shard
    from bgdl_jupyter.cluster.tables import Row

#: The folder, in that of the files, in which ledgers are.
PLACE: Final = ".bgdl-cluster"
VERSION: Final = 1
# Whoever may write to the folder of the files may write lines, too: none names a function, or a file that is sent.
_OF_LINES: Final = frozenset({
    *("line", "uri", "destination", "mirrors", "headers", "sha256", "checksum", "checksum_file", "collision"),
    *("cost_policy", "priority", "expect_type", "max_size", "sensitive_query", "unpack"),
})  # fmt: skip
_MARKER: Final = re.compile(r"(\d+)\.r(\d+)\.c(\d+)\.e(\d+)\.b(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What was cut: ``fingerprint`` is the same for the same lines and options."""

    job_id: str
    fingerprint: str
    files: int
    shards: int
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A shard is done: how many of its files are there, with how many bytes, and how many failed."""

    shard: int
    round: int
    completed: int
    failed: int
    size: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.shard:08d}.r{self.round}.c{self.completed}.e{self.failed}.b{self.size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What workers before left of a shard: their tokens, since when, and the results that they kept."""

    tokens: tuple[str, ...]
    since: float | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Who hands shards out, and what is handed out: the shard and its part of the host's limit."""

    owner: str = ""
    round: int = 1
    parts: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """A shard as the index has it."""

    host: str
    files: int
    size: int


class Ledger:
    """The ledger in a folder; every method blocks and raises `StorageFailed`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    # ------------------------------------------------------------------------------------------------------ the cutting

    def job(self) -> Job | None:
        """Return what was cut; None where nothing was, or not all of it."""
        content = self.folder.read("job.json")
        if content is None:
            return None
        record = json.loads(content)
        if record.get("version") != VERSION:
            raise InvalidManifest(
                f"{self.folder.url!r} was made by another version.", problems=[], count=0, hint="Name another group."
            )
        return Job(**record)

    def put_shard(self, shard: Shard) -> Indexed:
        """Keep the lines of a shard."""
        lines = ({"line": each.number, **each.request} for each in shard.lines)
        text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in lines)
        self.folder.write(f"shards/{shard.number:08d}.jsonl.gz", gzip.compress(text.encode(), 1, mtime=0))
        return Indexed(host=shard.host, files=len(shard.lines), size=shard.size)

    def put_job(self, job: Job, index: Iterable[Indexed]) -> None:
        """Keep what was cut; from now on the job is there."""
        rows = [[each.host, each.files, each.size] for each in index]
        self.folder.write("index.json.gz", gzip.compress(json.dumps(rows).encode(), 1, mtime=0))
        self.folder.write("job.json", json.dumps(asdict(job)).encode())

    def index(self) -> list[Indexed]:
        """Return the shards by their numbers."""
        content = self.folder.read("index.json.gz")
        hosts: dict[str, str] = {}
        rows = json.loads(gzip.decompress(content)) if content is not None else []
        return [Indexed(host=hosts.setdefault(host, host), files=files, size=size) for host, files, size in rows]

    def lines(self, shard: int) -> list[dict[str, Any]]:
        """Return the lines of a shard; raises `InvalidManifest` for one that is lost, or was written by others."""
        content = self.folder.read(f"shards/{shard:08d}.jsonl.gz")
        if content is None:
            raise InvalidManifest(f"Shard {shard} is not in {self.folder.url!r}.", problems=[], count=0)
        lines = [json.loads(each) for each in gzip.decompress(content).splitlines()]
        if not all(isinstance(each, dict) and each.keys() <= _OF_LINES for each in lines):
            message = f"Shard {shard} in {self.folder.url!r} asks for what no line may ask for; did we write it?"
            raise InvalidManifest(message, problems=[], count=0, hint="Look who may write to that folder.")
        return lines

    # ------------------------------------------------------------------------------------------------------ the running

    def markers(self) -> dict[int, Marker]:
        """Return the marker of the highest round of each shard that is done."""
        found: dict[int, Marker] = {}
        for name in self.folder.names("done"):
            match = _MARKER.fullmatch(name)
            if match is None:
                continue
            shard, round_, completed, failed, size = map(int, match.groups())
            before = found.get(shard)
            if before is None or before.round < round_:
                found[shard] = Marker(shard=shard, round=round_, completed=completed, failed=failed, size=size)
        return found

    def begin(self, shard: int, token: str) -> Begun:
        """Take note that a worker begins a shard, and return what those before it left."""
        place = f"open/{shard:08d}"
        earlier = self.folder.names(place)
        tokens = [each for each in earlier if "." not in each]
        parts = [self.folder.read(f"{place}/{each}") for each in earlier if each.endswith(".parquet")]
        found = [self.folder.look_at(f"{place}/{each}") for each in tokens]
        rows = [row for part in parts if part is not None for row in from_parquet(part)]
        self.folder.write(f"{place}/{token}", b"\n")
        since = min((each.since for each in found if each is not None), default=None)
        return Begun(tokens=tuple(tokens), since=since, rows=tuple(rows))

    def put_part(self, shard: int, token: str, number: int, rows: Sequence[Row]) -> None:
        """Keep results of a shard that goes on."""
        self.folder.write(f"open/{shard:08d}/{token}.{number}.parquet", to_parquet(rows))

    def finish(self, marker: Marker, rows: Sequence[Row]) -> None:
        """Keep the results of a shard, and have it done."""
        self.folder.write(f"results/{marker.shard:08d}.parquet", to_parquet(rows))
        self.folder.write(f"done/{marker.name}", b"\n")
        self.folder.remove_all(f"open/{marker.shard:08d}")

    def results(self, shard: int) -> list[Row]:
        """Return what became of each line of a shard; nothing where it was never done."""
        content = self.folder.read(f"results/{shard:08d}.parquet")
        return from_parquet(content) if content is not None else []

    def hand_out(self, handed: Handed) -> None:
        """Keep what is handed out."""
        record = {"owner": handed.owner, "round": handed.round, "parts": {str(k): v for k, v in handed.parts.items()}}
        self.folder.write("coordinator.json", json.dumps(record).encode())

    def handed_out(self) -> Handed:
        """Return what is handed out."""
        content = self.folder.read("coordinator.json")
        record = json.loads(content) if content is not None else {"parts": {}}
        parts = {int(shard): int(part) for shard, part in record["parts"].items()}
        return Handed(owner=record.get("owner", ""), round=record.get("round", 1), parts=parts)
