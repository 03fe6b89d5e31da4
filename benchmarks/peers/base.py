"""What is asked of a contestant, and what it answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: "both": the time is that to the last byte, and with a sync of the files after it the one until they are durable.
Column = Literal["both", "durable", "last byte"]
#: Seconds after which a contestant is out.
TIME_LIMIT: Final = 600.0


class PeerFailed(Exception):
    """A contestant did not do what it was asked for; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    Files to fetch.

    Attributes
    ----------
    urls, destinations, sizes:
        One of each for a file; sizes in bytes.
    parallel:
        How many files at once.
    connections:
        How many connections for one file; those that decide by themselves are not told.
    sha256:
        The digest to verify, of one file.
    certificate:
        The authority to trust.
    folder:
        An empty folder for what a contestant leaves beside the files.
    """

    urls: tuple[str, ...]
    destinations: tuple[Path, ...]
    sizes: tuple[int, ...]
    folder: Path
    parallel: int = 1
    connections: int = 1
    sha256: str | None = None
    certificate: Path | None = None

    def to_json(self) -> str:
        """Return the job as text."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(fields, default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the job that was written so."""
        fields = json.loads(text)
        return cls(
            urls=tuple(fields["urls"]),
            destinations=tuple(Path(each) for each in fields["destinations"]),
            sizes=tuple(fields["sizes"]),
            folder=Path(fields["folder"]),
            parallel=fields["parallel"],
            connections=fields["connections"],
            sha256=fields["sha256"],
            certificate=Path(fields["certificate"]) if fields["certificate"] else None,
        )


class Peer(Protocol):
    """A contestant."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def column(self) -> Column:
        """What its time says."""

    def missing(self) -> str | None:
        """Return why it cannot take part, None when it can."""

    def fetch(self, job: Job) -> float:
        """
        Fetch the files; returns the seconds from the first call to the end.

        Raises
        ------
        PeerFailed
            It could not.
        """


def environment(job: Job, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a contestant: no proxy, no state of this user, and the authority of the job."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has been compiled
    kept["XDG_STATE_HOME"] = str(job.folder / "state")
    if job.certificate is not None:
        kept |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), str(job.certificate))
    return {**kept, **(more or {})}


def run_program(
    command: Sequence[str | Path], job: Job, *, text: str = "", more: Mapping[str, str] | None = None, cwd: Path
) -> str:
    """Run a program to its end and return what it printed; raises `PeerFailed` when it says that it failed."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            env=environment(job, more),
            timeout=TIME_LIMIT,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"was not done after {error.timeout:g} s") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise PeerFailed(f"ended with {done.returncode}: {words[-1] if words else 'no word'}")
    return done.stdout
