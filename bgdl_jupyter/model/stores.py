"""
Destinations that are no path of this machine: ``s3://bucket/key``, ``memory://name``, whatever fsspec knows.

The file comes into a private folder first, with everything that downloads have; when it is whole and verified, the
store gets it. What talks to stores is above the model and is loaded when the first such destination is named.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.engine.uploads import Publisher
from bgdl_jupyter.errors import InvalidRequest, StateFileError
from bgdl_jupyter.model.host import host
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.storage.filenames import MOST_NAMES, unique_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.operation_state import OperationState
    from bgdl_jupyter.resource import Digest
    from bgdl_jupyter.status import CreationCollisionOption

# Two letters at least: C:// is a drive of Windows. A chain of fsspec's is one, too, and refused as such.
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:::[^/]*)?://")
_LOCAL: Final = frozenset({"file", "local"})
_FOLDER: Final = "staged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """
    A place in a store.

    Attributes
    ----------
    url:
        Without password; one that ends in a slash is a folder, in which the server names the file.
    key:
        The same for all spellings of one place.
    storage:
        How the store is opened, for `StorePlace`; None where nothing was said.
    """

    url: str
    key: str
    storage: Secret | None = None

    @property
    def needs_name(self) -> bool:
        """Whether the server is to name the file."""
        return self.url.endswith("/")

    def named(self, name: str) -> Location:
        """Return the place of this name in the same folder."""
        return replace(self, url=beside(self.url, name), key=beside(self.key, name))

    def candidates(self) -> Iterator[Location]:
        """Yield this place, then ``name (1).ext``, ``name (2).ext``, … beside it."""
        for path, _ in zip(unique_names(Path(name_in(self.url))), range(MOST_NAMES), strict=False):
            yield self.named(path.name)


class StorePlace(Publisher, Protocol):
    """A `Publisher` that can also be asked what is there."""

    def find(self, *, size: int | None = None, digest: Digest | None = None) -> int | None:
        """Return the size of what is there; None where nothing is, or not of this size or digest (all is read then)."""


class StoreProvider(Protocol):
    """What knows stores; the module `bgdl_jupyter.integrations.fsspec` is one. Every function blocks."""

    def locate(self, url: str, storage: Secret | None) -> Location:
        """Check a URL and return the place; raises `InvalidRequest` where it is none, or its library is missing."""

    def open_place(
        self, url: str, storage: Secret | None, *, collision: CreationCollisionOption, guard: Callable[[str], str]
    ) -> StorePlace:
        """Return a place to deliver to; ``guard`` masks what is secret in the texts of others."""


def staging_folder(state_folder: Path) -> Path:
    """Return where files wait for their store unless the user says another folder."""
    return state_folder / _FOLDER


def is_store(destination: object) -> bool:
    """Whether a destination is the URL of a place in a store."""
    match = _URL.match(destination) if isinstance(destination, str) else None
    return match is not None and match[1].lower() not in _LOCAL


def can_only_be_store(word: str) -> bool:
    """Whether a word among URIs names a destination: a place in a store, from where no transport fetches."""
    return is_store(word) and word.partition("://")[0].lower() not in known_schemes()


def local_path(destination: Any) -> Any:
    """Return the path that a ``file://`` URL names; what is none, as it is."""
    match = _URL.match(destination) if isinstance(destination, str) else None
    return destination if match is None else destination[match.end() :]


def locate(url: str, options: Mapping[str, Any] | None) -> Location:
    """
    Check the URL of a place in a store.

    Parameters
    ----------
    options:
        How the store is opened: what fsspec calls storage options; None for its own configuration.

    Raises
    ------
    InvalidRequest
        There is no such store, its library is missing, or the options cannot be kept.
    """
    return host().stores.locate(url, packed(options))


def packed(options: Mapping[str, Any] | None) -> Secret | None:
    """Return storage options as one secret; raises `InvalidRequest` for what cannot be kept."""
    if options is None:
        return None
    try:
        return Secret(json.dumps({str(name): value for name, value in options.items()}))
    except (AttributeError, TypeError, ValueError):
        raise InvalidRequest(
            "storage_options is a mapping of names to texts, numbers, lists and mappings.",
            hint="Objects, such as sessions, belong into fsspec's own configuration.",
        ) from None


def place_of(operation: OperationState) -> StorePlace:
    """Return the place that an operation's file is to get, or has; blocks."""
    secrets = operation.secrets
    return host().stores.open_place(
        operation.store_url, secrets.storage, collision=operation.collision, guard=secrets.redact
    )


def free_location(location: Location, taken: frozenset[str]) -> Location:
    """Return the first place like this one that no other operation will write; raises `StateFileError`."""
    for each in location.candidates():
        if each.key not in taken:
            return each
    raise StateFileError(f"No name like {name_in(location.url)!r} is free.")


def publisher_of(operation: DownloadOperation) -> Callable[[], Publisher] | None:
    """Return what makes the publisher of an operation; None where its file stays on this machine."""
    return (lambda: place_of(operation)) if operation.store_url else None


def name_in(url: str) -> str:
    """Return the last component of a URL; empty for a folder."""
    return url.rsplit("/", 1)[-1]


def beside(url: str, name: str) -> str:
    """Return the URL with another last component."""
    return f"{url.rsplit('/', 1)[0]}/{name}"
