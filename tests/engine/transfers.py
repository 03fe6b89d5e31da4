"""What a test of transfers is given to make one with, and the digest that a file has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bgdl_jupyter.resource import Digest
from tests.engine.conftest import Fetch

if TYPE_CHECKING:
    from tests.servers.files import FileSpec

NewFetch = Callable[..., Fetch]


def sha256(spec: FileSpec) -> Digest:
    return Digest("sha256", spec.sha256)
