"""Functions that go by their name, ``"package.module:function"``, and so survive a restart of the kernel."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def check_name(name: str) -> str:
    """Return the name of a function; raises `InvalidRequest` for what is none."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:80]!r} is not of the form 'package.module:function'.")
    return name


def load_function(name: str) -> Callable[..., Any]:
    """Import the module of a function and return the function; raises whatever the module raises."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} is no function")
    function: Callable[..., Any] = found
    return function
