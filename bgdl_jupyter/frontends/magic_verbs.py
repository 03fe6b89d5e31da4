"""The subcommands of `%bgdl`: each a function from what was given to what the cell shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError

from bgdl_jupyter.frontends import doctor
from bgdl_jupyter.frontends.arguments import select
from bgdl_jupyter.frontends.magics_arguments import VERBS, help_text, parser_of
from bgdl_jupyter.frontends.text import Listing, Words, counted, forgotten, network_in_words
from bgdl_jupyter.model import display, facts, housekeeping, purging
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.status import BackgroundTransferBehavior, Step

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from bgdl_jupyter.model.far import FarGroup
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation

#: The options of ``%bgdl limits`` and the traits of the downloader that they set.
_LIMITS: Final = {
    "rate": "max_rate",
    "parallel": "max_parallel",
    "per_host": "max_parallel_per_host",
    "connections": "max_connections_per_host",
    "per_download": "max_connections_per_download",
}
_OF_A_GROUP: Final = {"rate": "max_rate", "parallel": "max_parallel"}
_NAMED: Final = 8


def _operations(given: Namespace) -> list[DownloadOperation]:
    application = "*" if getattr(given, "all", False) else None
    everything = housekeeping.operations_of(default_downloader(), application=application)
    return select(everything, given.names, given.group)


def _list(given: Namespace) -> Listing:
    far = housekeeping.far_groups_of(default_downloader())
    groups = [f"{each.summary} (on a cluster)" for each in far if given.group in (None, each.name)]
    operations = [] if groups and given.group is not None else _operations(given)
    where = "of this user" if given.all else "of this notebook"
    notes = forgotten(housekeeping.forgotten_applications(housekeeping.applications()))
    return Listing(operations, f"{counted(len(operations))} {where}", [*groups, *notes])


def _show(given: Namespace) -> object:
    if not given.names and given.group is None:
        return Words("\n".join(_facts()))
    far = _far_group(given)
    if far is not None:
        return far
    operations = _operations(given)
    if not given.names:
        return default_downloader().create_group(given.group)
    return operations[0] if len(operations) == 1 else Listing(operations, counted(len(operations)))


def _facts() -> list[str]:
    """Return where the downloads run and why, where the state is, and the limits: a line each."""
    engine = facts.engine_facts()
    kept = "in memory only" if engine.is_in_memory else "read only" if engine.is_read_only else "durable"
    lines = [
        f"loop: {engine.place_kind}. {engine.place_reason}",
        f"state file: {engine.state_file or 'none'} ({kept})",
        *(f"notice: {display.plain(notice)}" for notice in engine.notices),
        f"vault: {engine.vault}",
        f"application: {display.plain(housekeeping.application_of(default_downloader()))}",
    ]
    return lines + _limit_lines(default_downloader(), _LIMITS)


def _limit_lines(owner: object, names: dict[str, str]) -> list[str]:
    values = {trait: getattr(owner, trait) for trait in names.values()}
    words = {trait: "no limit" if value is None else str(value) for trait, value in values.items()}
    if values["max_rate"] is not None:
        words["max_rate"] = f"{display.size(values['max_rate'])}/s"
    return [f"{trait}: {value}" for trait, value in words.items()]


# ------------------------------------------------------------------------------------------------------------- steps


def _step(step: Step, done: str) -> Callable[[Namespace], Words]:
    """Return the subcommand that takes a step with all that allow it."""

    def take(given: Namespace) -> Words:
        far = _far_group(given)
        if far is not None:
            return _take_far(far, step, done)
        return _take(_operations(given), step, done, is_one_meant=bool(given.names))

    return take


def _far_group(given: Namespace) -> FarGroup | None:
    """Return the group that is meant, where a cluster fetches it; such groups have no operations here."""
    named = given.group if given.group is not None else given.names[0] if len(given.names) == 1 else None
    groups = housekeeping.far_groups_of(default_downloader())
    return next((each for each in groups if each.name == named), None)


def _take_far(group: FarGroup, step: Step, done: str) -> Words:
    group.take(step)
    return Words(f"{done} {display.plain(group.name)}; its workers hear it within seconds.")


def _take(operations: Sequence[DownloadOperation], step: Step, done: str, *, is_one_meant: bool) -> Words:
    live = [each for each in operations if not each.is_over or step is Step.RETRY]
    if is_one_meant and len(operations) == 1 and step not in operations[0].allowed_steps:
        _refuse(operations[0], step)
    taken = housekeeping.take(live, step)
    if not taken:
        return Words(f"Nothing to {step.name.lower()}: {_how_they_are(operations)}.")
    names = ", ".join(display.plain(each.name) for each in taken[:_NAMED])
    more = f" and {len(taken) - _NAMED:,} more" if len(taken) > _NAMED else ""
    return Words(f"{done} {counted(len(taken))}: {names}{more}.")


def _refuse(operation: DownloadOperation, step: Step) -> None:
    """Let the model say why the step is not allowed."""
    methods: dict[Step, Callable[[], object]] = {
        Step.PAUSE: operation.pause,
        Step.RESUME: operation.resume,
        Step.OVERRIDE: lambda: operation.resume(override_policy=True),
        Step.CANCEL: operation.cancel,
        Step.RETRY: operation.retry,
    }
    methods[step]()


def _how_they_are(operations: Sequence[DownloadOperation]) -> str:
    if not operations:
        return "there are no downloads"
    counts: dict[str, int] = {}
    for operation in operations:
        word = operation.status.name.lower().replace("_", " ")
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def _resume(given: Namespace) -> Words:
    far = _far_group(given)
    if far is not None:
        return _take_far(far, Step.RESUME, "Resumed")
    step = Step.OVERRIDE if given.override else Step.RESUME
    return _take(_operations(given), step, "Resumed", is_one_meant=bool(given.names))


def _retry(given: Namespace) -> Words:
    far = _far_group(given)
    if far is not None:
        return _take_far(far, Step.RETRY, "Started again")
    operations = _operations(given)
    if not given.names:
        operations = [each for each in operations if each.standing.is_failure]
    return _take(operations, Step.RETRY, "Started again", is_one_meant=bool(given.names))


def _attach(given: Namespace) -> object:
    far = _far_group(given)
    if far is not None:
        return far
    operations = _operations(given)
    for operation in operations:
        operation.attach()
    if given.names or len(operations) != 1:
        return operations[0] if len(operations) == 1 else Listing(operations, counted(len(operations)))
    return operations[0]


# -------------------------------------------------------------------------------------------------------- housekeeping


def _adopt(given: Namespace) -> Listing:
    moved = housekeeping.adopt(default_downloader(), given.path)
    return Listing(moved, f"{counted(len(moved))} moved here")


def _clear(given: Namespace) -> Words:
    far = _far_group(given)
    if far is not None:
        housekeeping.forget_far(far)
        return Words(f"Cleared {display.plain(far.name)}; its files stay, and what lies beside them.")
    gone = housekeeping.clear(_operations(given))
    return Words(f"Cleared {counted(len(gone))}.")


def _limits(given: Namespace) -> Words:
    downloader = default_downloader()
    if given.group is None:
        if given.behavior is not None:
            raise UsageError("--behavior is of a group; add -g GROUP.")
        _set_limits(downloader, given, _LIMITS)
        return Words("\n".join(_limit_lines(downloader, _LIMITS)))
    return _limits_of_group(downloader.create_group(given.group), given)


def _limits_of_group(group: BackgroundTransferGroup, given: Namespace) -> Words:
    foreign = [name for name in _LIMITS.keys() - _OF_A_GROUP.keys() if getattr(given, name) is not None]
    if foreign:
        raise UsageError(f"A group has no --{foreign[0].replace('_', '-')}; it has --rate, --parallel and --behavior.")
    _set_limits(group, given, _OF_A_GROUP)
    if given.behavior is not None:
        group.transfer_behavior = BackgroundTransferBehavior[given.behavior.upper()]
    return Words(
        "\n".join([*_limit_lines(group, _OF_A_GROUP), f"transfer_behavior: {group.transfer_behavior.name.lower()}"])
    )


def _set_limits(owner: object, given: Namespace, traits: dict[str, str]) -> None:
    for name, trait in traits.items():
        value = getattr(given, name)
        if value is not (... if name == "rate" else None):
            setattr(owner, trait, value)


def _network(given: Namespace) -> Words:
    downloader = default_downloader()
    if given.cost is not None:
        downloader.override_network_cost(given.cost)
    return Words(network_in_words(facts.look_at_network(downloader)))


def _alerts(given: Namespace) -> Words:
    downloader = default_downloader()
    if given.switch is not None:
        downloader.turn_alerts(on=given.switch == "on")
    return Words(f"alerts: {downloader.notification_setting.name.lower().replace('_', ' ')}")


def _purge(given: Namespace) -> Words:
    if given.all and given.application is not None:
        raise UsageError("Give --all or --application, not both.")
    mine = housekeeping.application_of(default_downloader())
    whose = None if given.all else given.application or mine
    if not given.yes:
        return Words(what_would_go(whose))
    purged = purging.purge(whose)
    return Words(
        "\n".join(
            [f"Removed {counted(purged.operations)} and {counted(purged.partial_files, 'partial file')}.", *purged.left]
        )
    )


def what_would_go(application: str | None) -> str:
    """Return what a purge would remove, in a line."""
    summaries = [each for each in housekeeping.applications() if application in (None, each.application)]
    if not summaries:
        return f"There is nothing to remove of {display.plain(application) if application else 'this user'}."
    operations = sum(each.operations for each in summaries)
    held = display.size(sum(each.bytes_held for each in summaries))
    whose = display.plain(application) if application else "all notebooks of this user"
    return f"--yes would remove {counted(operations)} ({held} in partial files) of {whose}."


def _doctor(_: Namespace) -> Words:
    return Words(doctor.report(doctor.examine()))


def _help(given: Namespace) -> Words:
    if given.verb is None:
        return Words(help_text().removeprefix("::\n\n"))
    if given.verb not in VERBS:
        raise UsageError(f"There is no subcommand {given.verb!r}; there are {', '.join(VERBS)}.")
    return Words(parser_of(given.verb).format_help().removeprefix("::\n\n"))


_ACTIONS: Final[dict[str, Callable[[Any], object]]] = {
    "list": _list,
    "show": _show,
    "pause": _step(Step.PAUSE, "Paused"),
    "resume": _resume,
    "cancel": _step(Step.CANCEL, "Canceled"),
    "retry": _retry,
    "attach": _attach,
    "adopt": _adopt,
    "clear": _clear,
    "limits": _limits,
    "network": _network,
    "alerts": _alerts,
    "purge": _purge,
    "doctor": _doctor,
    "help": _help,
}


def carry_out(verb: str, given: Namespace) -> object:
    """Do what a subcommand says, and return what the cell shows."""
    return _ACTIONS[verb](given)
