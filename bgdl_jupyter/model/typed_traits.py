"""traitlets' enumerations with types: for type checkers their values are of the enumeration, not of any type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Enum", "UseEnum"]

if TYPE_CHECKING:
    import enum
    from collections.abc import Sequence
    from typing import TypeVar

    from traitlets import TraitType

    T = TypeVar("T")
    E = TypeVar("E", bound=enum.Enum)

    class Enum(TraitType[T, T]):
        """One of several values."""

        def __init__(self, values: Sequence[T], default_value: T = ..., **metadata: Any) -> None: ...

    class UseEnum(TraitType[E, E | int | str]):
        """A member of an enumeration; may be assigned by its name or its number."""

        def __init__(self, enum_class: type[E], default_value: E = ..., **metadata: Any) -> None: ...

else:
    from traitlets import Enum, UseEnum
