"""`%bgdl` and `%%bgdl`: downloads from a line or a cell, and errors in a line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.display import DisplayHandle
from traitlets import TraitError

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.frontends import completion
from bgdl_jupyter.frontends.arguments import download_options, is_uri, manifest_options
from bgdl_jupyter.frontends.magic_verbs import carry_out
from bgdl_jupyter.frontends.magics_arguments import (
    VERBS,
    CellLines,
    cell_parser,
    download_parser,
    help_text,
    parser_of,
    split_line,
    unknown_word,
)
from bgdl_jupyter.frontends.text import Listing
from bgdl_jupyter.model import display
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.host import kernel_is_running
from bgdl_jupyter.model.intake import is_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

#: Frames between a magic and the cell that it stands in, for the variables of its lines.
_DEPTH: Final = 3


@magics_class
class BgdlMagics(Magics):
    """Downloads in the background."""

    @line_cell_magic
    def bgdl(self, line: str, cell: str | None = None) -> object:  # noqa: D102 (set below, from the parsers)
        try:
            return self._download_many(line, cell) if cell is not None else self._carry_out(line)
        except (BackgroundTransferError, TraitError) as error:
            # A traceback through our files tells the user of a notebook nothing.
            raise UsageError(display.plain(str(error))) from None

    bgdl.__doc__ = help_text()

    def _carry_out(self, line: str) -> object:
        words = split_line(line)
        if not words:
            return default_downloader()
        if any(each.split("=")[0] == "--manifest" for each in words):
            return self._download_many(line, None)
        if is_uri(words[0]):
            return self._download(download_parser().parse_args(words))
        verb, *rest = words
        if verb not in VERBS:
            # An option may come before the URI.
            if verb.startswith("-") and any(map(is_uri, rest)):
                return self._download(download_parser().parse_args(words))
            raise unknown_word(verb)
        given = parser_of(verb).parse_args(rest)
        return self._outcome(carry_out(verb, given), given)

    def _download(self, given: Namespace) -> object:
        options = download_options(given)
        return self._outcome(default_downloader().download(given.uri, given.destination, **options), given)

    def _download_many(self, line: str, cell: str | None) -> object:
        given = cell_parser().parse_args(split_line(line))
        options = download_options(given)
        if "group" not in options:
            raise UsageError("A cell of downloads makes a group; name it: %%bgdl -g GROUP.")
        if "mirrors" in options:
            raise UsageError("--mirror is of a single file; a manifest names the mirrors of each in its own line.")
        if given.manifest is not None and (cell or "").strip():
            raise UsageError("--manifest names a file; leave the cell empty, or write its lines into the cell.")
        manifest: object = given.manifest if cell is None or given.manifest else self._manifest_in(cell, given)
        if not isinstance(manifest, CellLines):
            options |= manifest_options(given) | {"directory": given.destination}
        if given.cluster is not None:
            options |= {"cluster": given.cluster}
        return self._outcome(default_downloader().download_many(manifest, **options), given)

    def _manifest_in(self, cell: str, given: Namespace) -> object:
        """Return what a cell holds: the path of a manifest, a manifest, or downloads one a line."""
        words = cell.split()
        if len(words) == 1 and not is_uri(words[0]) and Path(words[0]).expanduser().is_file():
            return words[0]
        if given.format is not None or is_manifest(cell):
            return io.StringIO(cell)
        return CellLines([self._expanded(each) for each in cell.splitlines()], given.destination)

    def _expanded(self, line: str) -> str:
        return str(self.shell.var_expand(line, depth=_DEPTH)) if self.shell is not None else line

    def _outcome(self, result: object, given: Namespace) -> object:
        variable = getattr(given, "variable", None)
        if variable is not None and self.shell is not None:
            self.shell.push({variable: result})
        if getattr(given, "wait", False):
            _wait(result)
        return result


def _wait(result: Any) -> None:
    """Block the cell until the result is final; its view is shown meanwhile, and goes when the result takes over."""
    shown = DisplayHandle() if kernel_is_running() else None
    if shown is not None:
        shown.display(result)
    try:
        for each in result if isinstance(result, Listing) else [result]:
            each.wait()
            if isinstance(each, BackgroundTransferGroup):
                _raise_for_errors(each)
    finally:
        if shown is not None:
            shown.update({"text/plain": ""}, raw=True)


def _raise_for_errors(group: BackgroundTransferGroup) -> None:
    try:
        group.raise_for_errors()
    except ExceptionGroup as failed:
        first = display.plain(str(failed.exceptions[0]))
        raise UsageError(f"{failed.message}; the first: {first}") from None


def register(shell: InteractiveShell) -> None:
    """Give a shell the magics and their completion, and let ``%config BackgroundDownloader`` set the limits."""
    shell.register_magics(BgdlMagics(shell))
    shell.set_hook("complete_command", completion.complete, re_key=completion.LINES)
    if default_downloader() not in _configurables(shell):
        _configurables(shell).append(default_downloader())


def unregister(shell: InteractiveShell) -> None:
    """Take the magics away; downloads go on."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("bgdl", None)
    shell.magics_manager.registry.pop(BgdlMagics.__name__, None)
    completion.forget(shell)
    if default_downloader() in _configurables(shell):
        _configurables(shell).remove(default_downloader())


def _configurables(shell: InteractiveShell) -> list[Any]:
    """Return what ``%config`` lists; IPython declares it as a list of shells."""
    return shell.configurables
