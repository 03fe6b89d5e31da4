"""
`jupyter bgdl`: downloads from a shell, and a look at those of the notebooks.

Exit codes: 0 done, 1 something failed, 2 wrong usage, 3 something waits for a person, 130 interrupted. What a program
may want to read (paths, ``--json``) goes to the standard output, what a person watches to the standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from traitlets import TraitError

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.frontends import doctor, terminal
from bgdl_jupyter.frontends.arguments import (
    add_download_arguments,
    add_manifest_arguments,
    add_selection_arguments,
    download_options,
    is_uri,
    limit,
    manifest_options,
    select,
    shown,
)
from bgdl_jupyter.frontends.sample_server import SampleServer
from bgdl_jupyter.frontends.settings import described
from bgdl_jupyter.frontends.text import counted, forgotten
from bgdl_jupyter.model import display, housekeeping, purging, verification
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.process import shut_down
from bgdl_jupyter.model.stores import can_only_be_store
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bgdl_jupyter.model.operation import DownloadOperation


class Exit(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ATTENTION = 3
    INTERRUPTED = 130


#: What the help says of the exit codes; `Exit` has them.
_EXIT_CODES: Final = """\
exit codes:
  0    done: everything that was asked for is there, and whole
  1    something failed, or was canceled; nothing else is affected by it
  2    wrong usage, or a request that cannot be carried out; nothing was done
  3    something waits for a person: a credential, a confirmation (--yes), an answer
  130  interrupted; what was under way is paused with its bytes (`jupyter bgdl resume`)
"""

_DEMO: Final = {"ocean.nc": 60_000_000, "ice.nc": 40_000_000, "winds.nc": 20_000_000}
_DEMO_RATE: Final = 15_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; wrong usage raises ``SystemExit``, as argparse does."""
    given = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except InvalidRequest as error:
        return _complain(error, Exit.USAGE)
    except (BackgroundTransferError, TraitError, OSError) as error:
        return _complain(error, Exit.FAILED)
    except KeyboardInterrupt:
        paused = housekeeping.pause_all()
        more = "; `jupyter bgdl resume` goes on from the bytes that are there." if paused else "."
        print(f"Interrupted{more}", file=sys.stderr)
        return Exit.INTERRUPTED
    finally:
        shut_down()


def _complain(error: Exception, code: Exit) -> int:
    print(f"jupyter bgdl: {display.plain(str(error))}", file=sys.stderr)
    return code


# ----------------------------------------------------------------------------------------------------------- commands


def _get(given: argparse.Namespace) -> int:
    if given.manifest is not None:
        return _get_many(given)
    if not given.words:
        raise InvalidRequest("Nothing is to be fetched; write URI … [DESTINATION], or --manifest FILE [FOLDER].")
    *uris, last = given.words
    destination = None if is_uri(last) and not can_only_be_store(last) else last
    uris += [last] if destination is None else []
    wrong = [each for each in uris if not is_uri(each)]
    if wrong or not uris:
        raise InvalidRequest(f"{shown((wrong or [last])[0])} is no URI; write URI … [DESTINATION].")
    if given.mirror and len(uris) > 1:
        raise InvalidRequest("--mirror is of a single file; fetch the others apart, or write a manifest.")
    downloader = _downloader(given)
    for uri in uris:
        # What an interrupted run left is gone on with, and what it finished is not fetched again.
        housekeeping.take_up(housekeeping.left_of(downloader, uri))
    options = download_options(given)
    operations = [downloader.download(uri, destination, **options) for uri in uris]
    return _go_on_with(operations, given)


def _get_many(given: argparse.Namespace) -> int:
    words: list[str] = given.words
    folder = words[0] if words else None
    if len(words) > 1 or (folder is not None and is_uri(folder) and not can_only_be_store(folder)):
        raise InvalidRequest("With --manifest only a folder is named beside it: --manifest FILE [FOLDER].")
    if given.mirror:
        raise InvalidRequest("--mirror is of a single file; a manifest names the mirrors of each in its own line.")
    downloader = _downloader(given)
    options = {"group": Path(given.manifest).stem} | download_options(given) | manifest_options(given)
    group = downloader.download_many(given.manifest, directory=folder, **options)
    # What failed in an earlier run and is fetched anew now does not count.
    newest = {each.identity: each for each in group.operations}
    return _go_on_with(list(newest.values()), given)


def _resume(given: argparse.Namespace) -> int:
    chosen = [each for each in _chosen(given) if not each.is_over]
    return _go_on_with(_taken_up(chosen), given)


def _retry(given: argparse.Namespace) -> int:
    operations = _taken_up([each for each in _chosen(given) if each.standing.is_failure])
    housekeeping.take(operations, Step.RETRY)
    return _go_on_with(operations, given)


def _taken_up(operations: list[DownloadOperation]) -> list[DownloadOperation]:
    taken = housekeeping.take_up([each.guid for each in operations])
    ours = {each.guid for each in taken}
    for each in operations:
        if each.guid not in ours:
            print(f"{display.plain(each.name)} is left to {display.plain(each.holder or '')}.", file=sys.stderr)
    return taken


def _go_on_with(operations: list[DownloadOperation], given: argparse.Namespace) -> int:
    """Let operations run to their end, and tell what became of them."""
    housekeeping.take(operations, Step.START)
    housekeeping.take(operations, Step.RESUME)
    _follow(operations, given)
    if given.json:
        _print_json([terminal.record(each) for each in operations])
    else:
        for each in operations:
            if each.standing.is_success:
                print(display.plain(str(each.post_processing.path or each.destination)))
    return _code(operations)


def _follow(operations: list[DownloadOperation], given: argparse.Namespace) -> None:
    if operations:
        terminal.follow(operations, sys.stderr, quiet=given.quiet)


def _code(operations: Sequence[DownloadOperation]) -> int:
    standings = [each.standing for each in operations]
    if any(each.is_final and not each.is_success for each in standings):
        return Exit.FAILED
    return Exit.DONE if all(each.is_success for each in standings) else Exit.ATTENTION


def _list(given: argparse.Namespace) -> int:
    operations = _chosen(given)
    if given.json:
        _print_json([terminal.record(each) for each in operations])
        return Exit.DONE
    by_application: dict[str, list[DownloadOperation]] = {}
    for each in operations:
        by_application.setdefault(each.application, []).append(each)
    for application, its in by_application.items():
        print(display.table(its, display.plain(application)))
    if not operations:
        print("There are no downloads.")
    for line in forgotten(housekeeping.forgotten_applications(housekeeping.applications())):
        print(line)
    return Exit.DONE


def _verify(given: argparse.Namespace) -> int:
    found = [verification.verify(each) for each in _chosen(given) if each.status.is_success]
    if given.json:
        keys = [{"is_whole": each.is_whole, "says": each.says} for each in found]
        _print_json([terminal.record(each.operation) | key for each, key in zip(found, keys, strict=True)])
    else:
        for each in found:
            mark = "ok" if each.is_whole else "!!"
            print(f"{mark}  {display.plain(str(each.operation.destination))}: {each.says}")
    return Exit.DONE if all(each.is_whole for each in found) else Exit.FAILED


def _purge(given: argparse.Namespace) -> int:
    _downloader(given)
    whose = None if given.all else str(Path(given.application).absolute())
    held = [each for each in housekeeping.applications() if whose in (None, each.application)]
    counts = counted(sum(each.operations for each in held))
    if not given.yes and not _agrees(f"Remove {counts}, their partial files and their secrets?"):
        return Exit.ATTENTION
    purged = purging.purge(whose)
    left = [*purged.left, purging.remove_state_file()] if whose is None else list(purged.left)
    left = [each for each in left if each]
    if given.json:
        _print_json({"downloads": purged.operations, "partial_files": purged.partial_files, "left": left})
    else:
        print(f"Removed {counted(purged.operations)} and {counted(purged.partial_files, 'partial file')}.")
    for sentence in left:
        print(sentence, file=sys.stderr)
    return Exit.FAILED if left else Exit.DONE


def _agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        print(f"{question} Say --yes.", file=sys.stderr)
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _doctor(given: argparse.Namespace) -> int:
    findings = doctor.examine()
    if given.json:
        _print_json(doctor.to_records(findings))
    else:
        print(doctor.report(findings))
    return Exit.DONE if doctor.is_well(findings) else Exit.FAILED


def _demo(given: argparse.Namespace) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="bgdl-demo-") as folder,
        SampleServer(_DEMO, rate=_DEMO_RATE) as server,
    ):
        downloader = BackgroundDownloader(loop="thread", state_file=f"{folder}/state/state.sqlite3", application=folder)
        print(f"A server on this machine sends {len(_DEMO)} files of made-up data.", file=sys.stderr)
        operations = [
            downloader.download(server.url(name), f"{folder}/{name}", sha256=server.sha256(name)) for name in _DEMO
        ]
        _follow(operations, given)
        if given.json:
            _print_json([terminal.record(each) for each in operations])
        code = _code(operations)
        shut_down()  # before its folder goes
    said = "All files came, and were verified; they are deleted again." if code == Exit.DONE else "It did not work."
    print(said, file=sys.stderr)
    return code


# ------------------------------------------------------------------------------------------------------------ in parts


def _downloader(given: argparse.Namespace) -> BackgroundDownloader:
    traits: dict[str, Any] = {"loop": "thread"}
    for option, trait in (("rate", "max_rate"), ("parallel", "max_parallel")):
        if getattr(given, option, None) is not None:
            traits[trait] = getattr(given, option)
    return BackgroundDownloader(**traits)


def _chosen(given: argparse.Namespace) -> list[DownloadOperation]:
    """Return what is meant of all that there is, or of one application; nothing is taken up by looking."""
    everything = housekeeping.operations_of(_downloader(given), application="*")
    if given.application:
        path = str(Path(given.application).absolute())
        everything = [each for each in everything if each.application in (given.application, path)]
    return select(everything, given.names, given.group)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    as_it_stands: Any = {"epilog": _EXIT_CODES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    made = argparse.ArgumentParser(
        prog="jupyter bgdl", description="Downloads that go on in the background.", **as_it_stands
    )
    made.add_argument("--help-all", action=_HelpAll, help="list all settings, and leave")
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False, **as_it_stands)
        added.add_argument("--json", action="store_true", help="tell a program, not a person")
        added.set_defaults(run=run)
        return added

    get = command("get", _get, "Download files, and wait for them.")
    get.add_argument("words", nargs="*", metavar="URI … [DESTINATION]", help="what to fetch, and the file or folder")
    add_manifest_arguments(get)
    add_download_arguments(get)
    for name, run, summary in (
        ("resume", _resume, "Go on with downloads that no kernel runs, and wait for them."),
        ("retry", _retry, "Start downloads again that failed, and wait for them."),
        ("list", _list, "Say how the downloads of all notebooks are."),
        ("verify", _verify, "Compare finished files with what was fetched."),
    ):
        _add_application(added := command(name, run, summary))
        add_selection_arguments(added)
    purge = command("purge", _purge, "Remove downloads with their partial files and secrets; finished files stay.")
    whose = purge.add_mutually_exclusive_group(required=True)
    whose.add_argument("--application", metavar="PATH", help="of this notebook or folder")
    whose.add_argument("--all", action="store_true", help="of this user, with the state file: before an uninstall")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    command("doctor", _doctor, "Say what works here, and how to mend what does not.")
    demo = command("demo", _demo, "Download made-up data from a server on this machine.")
    for each in (get, demo, commands.choices["resume"], commands.choices["retry"]):
        _add_running(each)
    return made


def _add_application(added: argparse.ArgumentParser) -> None:
    added.add_argument("--application", metavar="PATH", help="only those of this notebook or folder")


def _add_running(added: argparse.ArgumentParser) -> None:
    added.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    added.add_argument("--rate", type=limit, metavar="RATE", help="bytes per second for everything, such as 5MB")
    added.add_argument("--parallel", type=int, metavar="COUNT", help="downloads that run at once")


class _HelpAll(argparse.Action):
    """Prints every setting and leaves."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.print_help()
        print(f"\n{described()}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
