"""
Objects with traits of which there are very many.

What traitlets sets up for every object anew (default values, observers and validators of the class) is the same for
all of a kind, and is kept once here; an object has its own only where it differs.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from traitlets import All, HasTraits, Instance, TraitError, Undefined

from bgdl_jupyter.model.owned import Owned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from traitlets.utils.sentinel import Sentinel

    from bgdl_jupyter.storage.record_texts import CommonRecord

# What every assignment ends in: the names that begin with an underscore are no traits.
_assign: Final = object.__setattr__


class SharedValues(dict[str, Any]):
    """
    The values of traits that objects have in common; never changed.

    Attributes
    ----------
    record:
        What is recorded of them, by whoever records: kept with them, since it is the same for all, too.
    derived:
        What else was worked out from them, likewise.
    """

    __slots__ = ("derived", "record")

    def __init__(self, values: Mapping[str, Any], record: CommonRecord | None = None) -> None:
        super().__init__(values)
        self.record = record
        self.derived: dict[str, Any] = {}


class TraitValues(dict[str, Any]):
    """The values of an object's traits: its own, and behind them those that it shares with others."""

    __slots__ = ("shared",)

    shared: SharedValues

    @classmethod
    def of(cls, own: Mapping[str, Any], shared: SharedValues) -> TraitValues:
        """Return the values of an object; ``own`` is copied."""
        values = cls(own)  # without an `__init__`: a hundred thousand are made at once
        values.shared = shared
        return values

    def __missing__(self, name: str) -> Any:
        value = self.shared[name]
        if type(value) is list:  # whoever is given it may change it
            value = self[name] = value.copy()
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return one of them."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.shared

    def peek(self, name: str) -> Any:
        """Return one that is only looked at: a list that is shared stays so; None where there is none."""
        return super().get(name, self.shared.get(name))

    def copy(self) -> dict[str, Any]:
        """Return all of them."""
        return {**self.shared, **self}


@functools.cache
def _values_of(cls: type[Light]) -> SharedValues:
    """Return the values that objects of a class have at first; its observers and validators become the class's."""
    first = object.__new__(cls)
    HasTraits.setup_instance(first)
    values = {name: value for name in cls.class_trait_names() if not _is_own(value := _default(first, name))}
    cls._trait_notifiers, cls._trait_validators = first._trait_notifiers, first._trait_validators
    return SharedValues(values)


def _default(first: Light, name: str) -> object:
    try:
        return getattr(first, name)
    except TraitError:  # it has none
        return Undefined


def _is_own(default: object) -> bool:
    """Whether each object is to have its own: whoever is given a list or a dict may change it."""
    return default is Undefined or isinstance(default, list | dict | set)


class Light(Owned):
    """An `Owned` that costs little as long as its traits are those of its like."""

    _trait_values: TraitValues
    _cross_validation_lock = False

    def setup_instance(self, /, *_: Any, **__: Any) -> None:
        """Share what traitlets would make for every object: it becomes the class's."""
        self._adopt({}, _values_of(type(self)))

    @classmethod
    def shared_values(cls, values: Mapping[str, Any]) -> SharedValues:
        """Return the values of all traits of objects that have these in common."""
        return SharedValues({**_values_of(cls), **values})

    def _adopt(self, own: Mapping[str, Any], shared: SharedValues) -> None:
        """Have these values, which were checked: its own over those of `shared_values`."""
        _assign(self, "_trait_values", TraitValues.of(own, shared))

    @classmethod
    def _alike(cls, own: Mapping[str, Any], shared: SharedValues) -> Self:
        """Return an object with these values, as `_adopt`; its `__init__` is left out."""
        made = object.__new__(cls)
        _assign(made, "_trait_values", TraitValues.of(own, shared))
        return made

    @property
    def values(self) -> Mapping[str, Any]:
        """
        The values of its traits as they are kept, to be read where thousands of objects are: cheaper by far.

        Its own are in it, those that it shares behind it. A path that nobody has asked for yet is a text; a list that
        nobody has asked for is missing.
        """
        return self._trait_values

    def peek(self, name: str) -> Any:
        """Return the value of a trait as it is kept, not to be changed; None where it has none yet."""
        return self._trait_values.peek(name)

    def shares(self, *names: str) -> bool:
        """Whether it has none of these traits for itself: then they are as with all its like."""
        return self._trait_values.keys().isdisjoint(names)

    @property
    def shared(self) -> SharedValues:
        """Those that it has in common with others; where it has its own, that counts."""
        return self._trait_values.shared

    def _is_default(self, name: str, value: object) -> bool:
        default = _values_of(type(self)).get(name, Undefined)
        return type(value) is type(default) and value == default

    def _has_observers(self, name: str) -> bool:
        return name in self._trait_notifiers or All in self._trait_notifiers

    def _put(self, name: str, value: object) -> None:
        """Set a trait to a value that is valid; observers are told where there are some and it is another one."""
        self._put_all(((name, value),))

    def _put_all(self, values: Iterable[tuple[str, object]]) -> None:
        """Set traits to values that are valid, as `_put` does; thousands of objects come to their end so."""
        own, shared, notifiers = self._trait_values, self._trait_values.shared, self._trait_notifiers
        is_observed, mine = All in notifiers, own.keys()
        for name, value in values:
            present = own[name] if name in mine else shared.get(name, Undefined)
            if present is value or present == value:
                continue
            if is_observed or name in notifiers:
                self.set_trait(name, value)
            else:
                own[name] = value

    def _own_notifiers(self) -> None:
        """Have observers of its own."""
        if "_trait_notifiers" not in self.__dict__:
            self._trait_notifiers = {
                name: {type_: list(handlers) for type_, handlers in of_type.items()}
                for name, of_type in self._trait_notifiers.items()
            }

    def observe(self, handler: Any, names: Any = All, type: Sentinel | str = "change") -> None:  # noqa: A002 (traitlets' name)
        """Call ``handler`` with every change, as `Owned.observe`."""
        self._own_notifiers()
        super().observe(handler, names, type)

    def unobserve(self, handler: Any, names: Any = All, type: Sentinel | str = "change") -> None:  # noqa: A002 (as above)
        """End what `observe` began."""
        self._own_notifiers()
        super().unobserve(handler, names, type)

    def unobserve_all(self, name: str | Any = All) -> None:
        """End all that `observe` began."""
        self._own_notifiers()
        super().unobserve_all(name)


L = TypeVar("L", bound=Light)


def alike(objects: Iterable[L], names: frozenset[str]) -> Iterator[tuple[Mapping[str, Any], list[L]]]:
    """
    Yield objects in their order: together those that follow each other and share the values of these traits.

    Before them a mapping with these values, to be read only.
    """
    together: list[L] = []
    shared: SharedValues | None = None
    for each in objects:
        values: TraitValues = each._trait_values  # noqa: SLF001 (of the class above)
        if values.shared is shared and names.isdisjoint(values):
            together.append(each)
            continue
        if together:
            yield shared or {}, together
        shared, together = values.shared, [each]
        if not names.isdisjoint(values):
            yield values, together
            shared, together = None, []
    if together:
        yield shared or {}, together


if TYPE_CHECKING:
    _OfPath = Instance[Path | None]
else:
    _OfPath = Instance  # older releases of traitlets know no parameter


class FilePath(_OfPath):
    """A path or None; kept as text until somebody asks for it, since a `Path` is several times as large."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Path, allow_none=True, **options)

    def get(self, obj: HasTraits, cls: type[Any] | None = None) -> Path | None:
        """Return the path."""
        value: object = super().get(obj, cls)
        if isinstance(value, str):
            assert self.name is not None  # noqa: S101 (it belongs to a class)
            obj._trait_values[self.name] = Path(value)  # noqa: SLF001 (as traitlets does)
        return super().get(obj, cls)
