"""What is to follow a download: checked when it is asked for, and kept with the operation."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.named_functions import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Under which of an operation's options it is kept.
KEPT_AS: Final = "post_processing"
#: Settings of a downloader that bound what an archive may become.
UNPACK_LIMITS: Final = ("unpack_max_size", "unpack_max_ratio", "unpack_max_members")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What is to be done with a file.

    Parameters
    ----------
    unpacks:
        Whether it is an archive that is to be unpacked.
    folder:
        Where to, absolute; None for a name beside the file.
    function:
        The name of what is called then; empty for none.
    has_callable:
        Whether a function without a name is called then: it dies with its kernel.
    limits:
        The settings of `UNPACK_LIMITS`.
    """

    unpacks: bool = False
    folder: str | None = None
    function: str = ""
    has_callable: bool = False
    limits: tuple[int, float, int] = (10**12, 1000.0, 10**6)

    @property
    def calls(self) -> bool:
        """Whether a function is called."""
        return bool(self.function) or self.has_callable

    def to_record(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return {
            "unpacks": self.unpacks,
            "folder": self.folder,
            "function": self.function,
            "has_callable": self.has_callable,
            "limits": list(self.limits),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """
        Return the plan that a record describes.

        Raises
        ------
        InvalidRequest, KeyError, TypeError, ValueError
            It is no record of ours.
        """
        function, folder = record["function"], record["folder"]
        if folder is not None and not Path(folder).is_absolute():
            raise InvalidRequest("The folder to unpack into is not absolute.")
        size, ratio, members = record["limits"]
        return cls(
            unpacks=bool(record["unpacks"]),
            folder=folder,
            function=check_name(function) if function else "",
            has_callable=bool(record["has_callable"]),
            limits=(int(size), float(ratio), int(members)),
        )


def plan_of(
    options: Mapping[str, Any], limits: tuple[int, float, int]
) -> tuple[Plan | None, Callable[..., Any] | None]:
    """
    Return what is to follow a download, and the function where it has no name; None where nothing is.

    Raises
    ------
    InvalidRequest
        ``unpack`` is neither a truth value nor a path, or ``post_process`` no function.
    """
    unpack, function = options.get("unpack"), options.get("post_process")
    if unpack in (None, False) and function is None:
        return None, None
    name = check_name(function) if isinstance(function, str) else ""
    if function is not None and not name:
        _check_callable(function)
    plan = Plan(
        unpacks=unpack not in (None, False),
        folder=_folder(unpack),
        function=name,
        has_callable=function is not None and not name,
        limits=limits,
    )
    return plan, None if name else function


def _folder(unpack: object) -> str | None:
    if unpack is None or isinstance(unpack, bool):
        return None
    if not isinstance(unpack, str | os.PathLike) or not os.fspath(unpack):
        raise InvalidRequest(f"unpack is True, or the folder to unpack into, not {str(unpack)[:40]!r}.")
    return os.path.abspath(Path(os.fsdecode(unpack)).expanduser())  # noqa: PTH100 (`resolve` would follow the links)


def _check_callable(function: object) -> None:
    if not callable(function):
        raise InvalidRequest("post_process is a function, or the name of one as 'package.module:function'.")
    if inspect.iscoroutinefunction(function):
        raise InvalidRequest("post_process is a plain function; one that starts with `async` would never be awaited.")
