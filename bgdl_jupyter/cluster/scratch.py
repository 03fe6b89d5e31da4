"""What a worker process has of its own: a downloader with its own state file, on the worker's own disk."""

from __future__ import annotations

import functools
import os
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import NAMESPACE_URL, UUID, uuid5

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.process import existing_runner
from bgdl_jupyter.storage.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bgdl_jupyter.cluster.ticket import Ticket
    from bgdl_jupyter.model.draft import Draft, Drafting
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.secret import Secret

T = TypeVar("T")

# The limits of the process stand back: every shard has its own, which are parts of those of the cluster.
_PLENTY = 4096
_LIMITS = ("max_parallel", "max_parallel_per_host", "max_connections_per_host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """The runner of this worker process, and where its files are."""

    runner: Runner
    folder: Path


@functools.cache
def scratch() -> Scratch:
    """
    Return what this process has of its own; made at the first use.

    Raises
    ------
    BackgroundTransferError
        The process downloads already for somebody else, such as a notebook.
    """
    from distributed import get_worker

    if existing_runner() is not None:
        raise BackgroundTransferError(
            "The workers of this cluster share the process of a notebook.",
            hint="Use workers that are processes, as of LocalCluster(processes=True).",
        )
    folder = Path(get_worker().local_directory) / f"bgdl_jupyter-{os.getpid()}"
    state_file = folder / "state.sqlite3"
    plenty: Any = dict.fromkeys(_LIMITS, _PLENTY)
    BackgroundDownloader(loop="thread", state_file=str(state_file), **plenty)
    runner = existing_runner()
    if runner is None:
        raise BackgroundTransferError("This worker process is ending.")
    # Thousands of operations with the same secret are none of the keyring's business: they end with this process.
    runner.vault = _MemoryVault()
    return Scratch(runner=runner, folder=folder)


def operation_id_of(token: str, place: str) -> UUID:
    """Return the id of the operation that fetches a file: whoever comes after a kill knows its partial file by it."""
    return uuid5(NAMESPACE_URL, f"{token}:{place}")


def downloader_of(ticket: Ticket, token: str, secrets: Mapping[str, Secret]) -> BackgroundDownloader:
    """Return a downloader with the settings of a ticket, and what is secret."""
    place = scratch()
    downloader = _ShardDownloader(
        **{
            **ticket.settings,
            "application": f"cluster {ticket.job_id}",
            "staging_folder": str(place.folder / "staged"),
        }
    )
    downloader.token = token
    for name, secret in secrets.items():
        if name.startswith("header "):
            downloader.set_request_header(name.removeprefix("header "), secret.reveal(), secret=True)
    for trait, user, password in (
        ("server_credential", "user", "password"),
        ("proxy_credential", "proxy user", "proxy password"),
    ):
        if user in secrets:
            credential = PasswordCredential(trait, secrets[user].reveal(), secrets[password])
            setattr(downloader, trait, credential)
    return downloader


def storage_in(secrets: Mapping[str, Secret]) -> dict[str, Any]:
    """Return how the store is opened, of what is secret."""
    return {
        name.removeprefix("storage "): secret.reveal()
        for name, secret in secrets.items()
        if name.startswith("storage ")
    }


class _ShardDownloader(BackgroundDownloader):
    """A downloader whose operations have ids that follow from a token and their place."""

    token = ""

    def _drafting(self, options: Mapping[str, Any]) -> Drafting:
        return cast("Drafting", _Identified(super()._drafting(options), self.token))


class _Identified:
    """A `Drafting` that gives its drafts their ids."""

    def __init__(self, drafting: Drafting, token: str) -> None:
        self._drafting = drafting
        self._token = token

    def draft(self, *args: Any, **kwargs: Any) -> Draft:
        draft = self._drafting.draft(*args, **kwargs)
        place = draft.location.url if draft.location is not None else draft.result_file or ""
        return draft._replace(operation_id=operation_id_of(self._token, place))


class _MemoryVault(Vault):
    """A vault that asks no keyring."""

    def _call(self, ask: Callable[[Any], T], *, fallback: T) -> Future[T]:  # noqa: ARG002 (nothing is asked)
        outcome: Future[T] = Future()
        outcome.set_result(fallback)
        return outcome
