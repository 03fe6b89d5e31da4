"""What the magics give back where there is no widget: words, and lists of downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bgdl_jupyter.model import display
from bgdl_jupyter.model.operation import DownloadOperation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.model.facts import NetworkFacts
    from bgdl_jupyter.model.housekeeping import ApplicationSummary


class Words(str):
    """A text that a cell shows as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Listing(list[DownloadOperation]):
    """
    Operations as a list that a cell shows as a table.

    Parameters
    ----------
    heading:
        What stands above it.
    notes:
        Sentences below it.
    """

    def __init__(self, operations: Iterable[DownloadOperation], heading: str, notes: Iterable[str] = ()) -> None:
        super().__init__(operations)
        self.heading = heading
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        return "\n".join([display.table(self, self.heading), *self.notes])

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        heading = " ".join([self.heading, *self.notes])
        return {"text/plain": repr(self), "text/html": display.html_table(self, heading)}


def counted(count: int, what: str = "download") -> str:
    """Return a number of downloads, or of something else, in words."""
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def forgotten(summaries: Iterable[ApplicationSummary]) -> list[str]:
    """Return what to say about applications that nobody has opened for long."""
    return [
        f"{display.plain(each.application)} was not opened for 30 days; its {counted(each.operations)} hold "
        f"{display.size(each.bytes_held)} in partial files (%bgdl purge --application removes them)."
        for each in summaries
    ]


def network_in_words(network: NetworkFacts) -> str:
    """Return what is known of the network's cost, and who says so."""
    there = {True: "there is a network", False: "there is no network", None: "whether there is a network is unknown"}
    parts = [there[network.is_up]]
    if network.is_up is not False:
        parts.append(f"it is {network.cost}")
    return f"On the machine of the kernel {', '.join(parts)}. {network.reason}".strip()
