"""What may follow in a line of `%bgdl`, for the Tab key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.frontends.arguments import is_uri
from bgdl_jupyter.frontends.magics_arguments import (
    VERBS,
    MagicParser,
    cell_parser,
    download_parser,
    parser_of,
)
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.housekeeping import operations_of
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import SimpleNamespace

    from IPython.core.interactiveshell import InteractiveShell

    from bgdl_jupyter.model.operation import DownloadOperation

#: The lines that `complete` answers for.
LINES: Final = r"\s*%{0,2}bgdl\b"
_WORDS: Final = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")
_STEPS: Final = {"pause": Step.PAUSE, "resume": Step.RESUME, "cancel": Step.CANCEL, "retry": Step.RETRY}
_NAMING: Final = frozenset({*_STEPS, "list", "show", "attach", "clear"})


def complete(_: object, event: SimpleNamespace) -> list[str]:
    """
    Return what the word at the cursor may become; IPython calls it for the lines that match `LINES`.

    ``event`` has ``text_until_cursor`` and ``symbol``, the part of the word that a completion replaces.
    """
    before: str = event.text_until_cursor
    words = _WORDS.findall(before)
    present = "" if before[-1:].isspace() or not words else words.pop()
    cut = len(present) - len(event.symbol) if present.endswith(event.symbol) else 0
    is_cell = bool(words) and words[0].startswith("%%")
    found = candidates(words[1:], is_cell=is_cell, option=present.startswith("-"))
    return [each[cut:] for each in found if each.startswith(present) and each != present]


def candidates(words: list[str], *, is_cell: bool, option: bool) -> list[str]:
    """
    Return what may stand at the cursor.

    Parameters
    ----------
    words:
        The whole words between the magic and the cursor.
    is_cell:
        Whether it is the first line of a cell of downloads.
    option:
        Whether the word at the cursor begins as an option.
    """
    if not words and not is_cell:
        return list(VERBS) if not option else _options(download_parser())
    parser = _parser_for(words, is_cell=is_cell)
    if parser is None:
        return []
    previous = words[-1] if words else ""
    if previous in ("-g", "--group"):
        return _quoted(each.group for each in _operations() if each.group)
    taking = _taking_value(parser, previous)
    if taking is not None:
        return [str(each) for each in taking.choices or ()]
    if option:
        return _options(parser)
    return _positional(words[0] if words else "", parser)


def _parser_for(words: list[str], *, is_cell: bool) -> MagicParser | None:
    if is_cell:
        return cell_parser()
    if words[0] in VERBS:
        return parser_of(words[0])
    return download_parser() if any(map(is_uri, words)) or words[0].startswith("-") else None


def _taking_value(parser: MagicParser, option: str) -> Any:
    """Return the option that takes its value from the next word; None for what takes none."""
    return next((each for each in parser.actions if option in each.option_strings and each.nargs != 0), None)


def _options(parser: MagicParser) -> list[str]:
    return [name for each in parser.actions for name in each.option_strings]


def _positional(verb: str, parser: MagicParser) -> list[str]:
    if verb == "help":
        return list(VERBS)
    if verb in _NAMING:
        return _quoted(each.name for each in _operations() if _is_meant(each, verb))
    return [str(choice) for each in parser.actions if not each.option_strings for choice in each.choices or ()]


def _is_meant(operation: DownloadOperation, verb: str) -> bool:
    if verb == "clear":
        return bool(operation.is_over)
    if verb == "cancel":
        return not operation.is_over
    step = _STEPS.get(verb)
    return step is None or step in operation.allowed_steps


def _operations() -> list[DownloadOperation]:
    try:
        return operations_of(default_downloader())
    except BackgroundTransferError:
        return []  # the Tab key is no place for errors; the line itself will say it


def _quoted(names: Iterable[str]) -> list[str]:
    unique = dict.fromkeys(names)
    return [f'"{name}"' if any(each.isspace() for each in name) else name for name in unique]


def forget(shell: InteractiveShell) -> None:
    """End what `magics.register` began."""
    hooks = shell.strdispatchers["complete_command"]
    hooks.regexs.pop(re.compile(LINES), None)
