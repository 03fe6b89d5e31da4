"""What `%bgdl` and its subcommands are given: parsers in the style of `IPython.core.magic_arguments`."""

from __future__ import annotations

import difflib
import functools
import keyword
import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser
from IPython.utils.process import arg_split  # type: ignore[attr-defined] # public, and not declared so

from bgdl_jupyter.errors import ManifestProblem
from bgdl_jupyter.frontends.arguments import (
    add_download_arguments,
    add_manifest_arguments,
    add_selection_arguments,
    is_uri,
    limit,
    shown,
)

if TYPE_CHECKING:
    from argparse import Action
    from collections.abc import Callable, Iterator

_CHECKSUM: Final = re.compile(r"[A-Za-z][\w-]*:[0-9A-Fa-f]{8,}")


class MagicParser(MagicArgumentParser):
    """A parser whose options can be listed, for completion; errors are `UsageError`."""

    def __init__(self, name: str, description: str) -> None:
        self.actions: list[Action] = []
        super().__init__(prog=name, description=description)
        self.allow_abbrev = False

    def add_argument(self, *names: Any, **settings: Any) -> Action:
        """Declare an argument, as argparse does."""
        action = super().add_argument(*names, **settings)
        self.actions.append(action)
        return action

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the words; those that are too many are not said again, they may be half of a secret."""
        given, others = self.parse_known_args(args, namespace)
        unknown = [shown(word) for word in others if word.startswith("-")]
        if unknown:
            self.error(f"there is no option {unknown[0]}")
        if others:
            self.error("there are words too many; put quotes around what has spaces")
        return given


@dataclass(frozen=True, slots=True)
class Verb:
    """A subcommand: what it does in a line, and what it may be given."""

    summary: str
    declare: Callable[[MagicParser], object]


def split_line(line: str) -> list[str]:
    """Return the words of a line, quotes taken away; raises `UsageError` for a quote without an end."""
    try:
        return arg_split(line, posix=True)
    except ValueError as error:
        raise UsageError(f"{error} in the line.") from None  # which may hold a secret, and is not said again


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ArgumentTypeError(f"{text!r} cannot be the name of a variable")
    return text


def _declare_outcome(parser: MagicParser) -> None:
    parser.add_argument("--as", dest="variable", metavar="NAME", type=_variable, help="keep the result in a variable")
    parser.add_argument("--wait", action="store_true", help="let the cell wait until it is done")


def _declare_limits(parser: MagicParser) -> None:
    parser.add_argument(
        "-g", "--group", metavar="GROUP", help="the limits of this group; those of everything if left out"
    )
    parser.add_argument(
        "--rate", metavar="RATE", type=limit, default=..., help="bytes per second, such as 5MB; or none"
    )
    parser.add_argument("--parallel", metavar="COUNT", type=int, help="downloads that run at once")
    parser.add_argument("--per-host", metavar="COUNT", type=int, help="downloads of one host that run at once")
    parser.add_argument("--connections", metavar="COUNT", type=int, help="connections to one host")
    parser.add_argument("--per-download", metavar="COUNT", type=int, help="connections for one file")
    parser.add_argument("--behavior", choices=["parallel", "serialized"], help="of a group: one after another, or not")


def _declare_purge(parser: MagicParser) -> None:
    parser.add_argument("--application", metavar="PATH", help="of this notebook or folder; this one if left out")
    parser.add_argument("--all", action="store_true", help="of all notebooks of this user")
    parser.add_argument("--yes", action="store_true", help="do it; without, only what would go is said")


def _declare_list(parser: MagicParser) -> None:
    add_selection_arguments(parser)
    parser.add_argument("--all", action="store_true", help="of all notebooks of this user")


def _declare_resume(parser: MagicParser) -> None:
    add_selection_arguments(parser)
    parser.add_argument(
        "--override", action="store_true", help="even where the network's cost or the system forbids it"
    )


def _declare_attach(parser: MagicParser) -> None:
    add_selection_arguments(parser)
    _declare_outcome(parser)


#: The subcommands, in the order in which help lists them.
VERBS: Final[dict[str, Verb]] = {
    "list": Verb("Say how the downloads of this notebook are.", _declare_list),
    "show": Verb(
        "Show downloads; without a name, where they run and why, and where their state is.", add_selection_arguments
    ),
    "pause": Verb("Let downloads stand still, and keep their bytes.", add_selection_arguments),
    "resume": Verb("Let paused downloads go on.", _declare_resume),
    "cancel": Verb("Give downloads up; what was fetched of them is removed.", add_selection_arguments),
    "retry": Verb("Start downloads again that failed; or, by name, that were canceled.", add_selection_arguments),
    "attach": Verb("Take part in downloads: show them, and wait for them with --wait.", _declare_attach),
    "adopt": Verb(
        "Move the downloads of a notebook that was renamed to this one.",
        lambda parser: parser.add_argument("path", metavar="OLD_PATH", help="the path that it had"),
    ),
    "clear": Verb("Take downloads off the list that are done; their files stay.", add_selection_arguments),
    "limits": Verb("Say or set how fast and how many.", _declare_limits),
    "network": Verb(
        "Say what the network costs, or that it is metered or not.",
        lambda parser: parser.add_argument("cost", nargs="?", choices=["auto", "metered", "unmetered"]),
    ),
    "alerts": Verb(
        "Say whether alerts are shown, or turn them on or off.",
        lambda parser: parser.add_argument("switch", nargs="?", choices=["on", "off"]),
    ),
    "purge": Verb("Remove downloads with their partial files and secrets; finished files stay.", _declare_purge),
    "doctor": Verb("Say what works here, and how to mend what does not.", lambda _: None),
    "help": Verb(
        "Explain a subcommand.",
        lambda parser: parser.add_argument("verb", nargs="?", metavar="SUBCOMMAND", help="which one"),
    ),
}


@functools.cache
def parser_of(verb: str) -> MagicParser:
    """Return the parser of a subcommand."""
    parser = MagicParser(f"bgdl {verb}", VERBS[verb].summary)
    VERBS[verb].declare(parser)
    return parser


@functools.cache
def download_parser() -> MagicParser:
    """Return the parser of ``%bgdl URI [DESTINATION] …``."""
    parser = MagicParser("bgdl", "Download in the background; the cell returns at once.")
    parser.add_argument("uri", metavar="URI", help="what to fetch: http, https, ftp or ftps")
    parser.add_argument("destination", nargs="?", metavar="DESTINATION", help="the file, or a folder")
    add_download_arguments(parser)
    _declare_outcome(parser)
    return parser


@functools.cache
def cell_parser() -> MagicParser:
    """Return the parser of the first line of ``%%bgdl -g GROUP …``, and of ``%bgdl -g GROUP --manifest FILE …``."""
    parser = MagicParser("bgdl", "Download many files in the background as one group.")
    parser.add_argument(
        "destination", nargs="?", metavar="FOLDER", help="of the files; in a cell of URIs, of those without a name"
    )
    add_manifest_arguments(parser)
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="let the workers of this Dask scheduler fetch; local for some here"
    )
    add_download_arguments(parser)
    _declare_outcome(parser)
    return parser


def unknown_word(word: str) -> UsageError:
    """Return the error for a first word that is neither a URI nor a subcommand."""
    near = difflib.get_close_matches(word, VERBS, n=1)
    hint = f"the nearest is {near[0]!r}" if near else "a download needs a URI such as https://example.org/file"
    return UsageError(f"%bgdl knows no {shown(word)}; {hint}. %bgdl help lists the subcommands.")


def help_text() -> str:
    """Return the explanation of the whole magic."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  %bgdl {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    cell = (
        "Many at once, one a line, in a cell:\n\n"
        "  %%bgdl -g GROUP [FOLDER]\n"
        "  # a comment\n"
        "  URI [-> DESTINATION] [sha256:HEX]\n\n"
        "The cell may also be a manifest (CSV, JSON lines, Metalink, …), or name one: %bgdl -g GROUP --manifest FILE.\n"
    )
    return f"{download_parser().format_help()}\n{cell}\nDownloads that there are:\n\n{verbs}\n"


class CellLines:
    """The downloads that the lines of a cell name, for `download_many`; what cannot be understood is a problem."""

    def __init__(self, lines: list[str], folder: str | None) -> None:
        self._lines = lines
        self._folder = folder

    def __iter__(self) -> Iterator[dict[str, Any] | ManifestProblem]:
        for number, line in enumerate(self._lines, 1):
            try:
                words = _without_comment(split_line(line)) if not line.lstrip().startswith("#") else []
                if words:
                    yield {"line": number} | self._download(words)
            except UsageError as error:
                yield ManifestProblem(number, str(error).rstrip("."))

    def _download(self, words: list[str]) -> dict[str, str]:
        uri, *rest = words
        if not is_uri(uri):
            raise UsageError(f"{shown(uri)} is no URI; write URI -> DESTINATION sha256:HEX.")
        found = {"uri": uri} | ({"destination": f"{self._folder}/"} if self._folder else {})
        while rest:
            word = rest.pop(0)
            if word == "->" and rest:
                found["destination"] = rest.pop(0)
            elif _CHECKSUM.fullmatch(word):
                found["checksum"] = word
            else:
                raise UsageError(f"{shown(word)} is not understood; write URI -> DESTINATION sha256:HEX.")
        return found


def _without_comment(words: list[str]) -> list[str]:
    """Leave out what follows a word that begins with #; the # of a fragment stands inside its URI."""
    comment = next((index for index, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]
