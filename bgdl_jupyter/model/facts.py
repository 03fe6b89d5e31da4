"""What there is to say about the engine of this process, its vault and its network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader

_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Where the downloads run and why, and where their state is kept; ``notices`` are sentences for the user."""

    place_kind: str
    place_reason: str
    state_file: Path | None
    is_read_only: bool
    is_in_memory: bool
    notices: tuple[str, ...]
    vault: str


def engine_facts() -> EngineFacts:
    """Return what there is to say about the one engine of this process."""
    runner = current_runner()
    return EngineFacts(
        place_kind=runner.place.kind,
        place_reason=runner.place.reason,
        state_file=runner.state.path,
        is_read_only=runner.state.is_read_only,
        is_in_memory=runner.state.is_in_memory,
        notices=runner.state.notices,
        vault=runner.vault.status,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What the network of the kernel's host costs, who says so, and what the user said ("auto" for nothing)."""

    is_up: bool | None
    cost: str
    reason: str
    override: str


def look_at_network(downloader: BackgroundDownloader) -> NetworkFacts:
    """Look at the network now, and return what is known of it; sends nothing."""
    runner = current_runner()
    if not runner.place.is_here():
        looking = asyncio.run_coroutine_threadsafe(runner.conditions.is_reachable("example.org"), runner.place.loop)
        looking.result(_WITHIN)
    seen = downloader.network_conditions
    override = downloader.network_cost_override.value
    return NetworkFacts(is_up=seen.is_up, cost=seen.cost.value, reason=seen.reason, override=override)


def vault_works() -> bool:
    """Whether what is given to the vault would outlive this process; tried out with an entry that says nothing."""
    vault, name = current_runner().vault, f"trial-{uuid4().hex}"
    is_kept = vault.store(name, Secret("trial")).result(_WITHIN)
    vault.delete(name).result(_WITHIN)
    return is_kept
