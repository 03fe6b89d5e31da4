"""
The public surface as a text: every public name with its members, their signatures and their types.

``python -m tests.public_api`` writes `tests/data/public_api.txt` anew; the difference is what a change promises anew.
"""

from __future__ import annotations

import inspect
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from traitlets import TraitType

import bgdl_jupyter
from tests.kernels import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SNAPSHOT = ROOT / "tests" / "data" / "public_api.txt"
_LISTED = re.compile(r"autoclass:: (\w+)\n   :members: ([\w\s,]+?)(?=\n   :|\n```|\n\.\.)")


def promised_members() -> dict[str, list[str]]:
    """Return the members that the reference lists, by class."""
    pages = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))
    return {name: sorted(re.findall(r"\w+", members)) for name, members in _LISTED.findall(pages)}


def snapshot() -> str:
    """Return the text."""
    members = promised_members()
    lines = [line for name in bgdl_jupyter.__all__ for line in _lines_of(name, members.get(name, []))]
    return "\n".join(lines) + "\n"


def _lines_of(name: str, members: list[str]) -> Iterator[str]:
    public: Any = getattr(bgdl_jupyter, name)
    if not inspect.isclass(public):
        yield f"{name}{inspect.signature(public)}"
        return
    bases = ", ".join(base.__name__ for base in public.__bases__ if base.__module__.startswith("bgdl_jupyter.errors"))
    yield f"class {name}({bases})" if bases else f"class {name}"
    if issubclass(public, Enum):
        yield from (f"    {each.name} = {each.value!r}" for each in public)
    elif issubclass(public, dict) or hasattr(public, "__dataclass_fields__") or hasattr(public, "__total__"):
        yield from (f"    {field}: {kind}" for field, kind in _annotations_of(public).items())
    for member in members:
        if member not in getattr(public, "__dataclass_fields__", {}):
            yield f"    {_line_of(public, member)}"


def _annotations_of(public: type) -> dict[str, str]:
    found = dict(inspect.get_annotations(public))
    return {name: getattr(kind, "__forward_arg__", None) or str(kind) for name, kind in found.items()}


def _line_of(public: type, member: str) -> str:
    value = inspect.getattr_static(public, member)
    if isinstance(value, staticmethod | classmethod):
        return f"{type(value).__name__} {member}{inspect.signature(value.__func__)}"
    if isinstance(value, property):
        may_be_set = "" if value.fset is None else ", may be set"
        return f"property {member} -> {inspect.get_annotations(value.fget)['return']}{may_be_set}"  # type: ignore[arg-type]  # every property has a getter
    if isinstance(value, TraitType):
        return f"trait {member}: {_kind_of(value)}{', read-only' if value.read_only else ''}"
    if inspect.isfunction(value):
        return f"{'async ' if inspect.iscoroutinefunction(value) else ''}{member}{inspect.signature(value)}"
    return member


def _kind_of(trait: TraitType[Any, Any]) -> str:
    default = trait.default_value
    shown = f" = {default!r}" if isinstance(default, str | int | float | bool | None) else ""
    return f"{type(trait).__name__}{shown}"


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), "utf-8")
