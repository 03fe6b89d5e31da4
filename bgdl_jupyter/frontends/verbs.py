"""
What a person can ask for by a button, a toast or the lab extension's panel, and how it is carried out.

Which steps are allowed is said by the model; a verb is a name for one of several.
"""

from __future__ import annotations

import asyncio
import functools
from enum import Enum
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.model.housekeeping import clear
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner


class Verb(Enum):
    """Something to do with operations; the values are the verbs on the wire."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    CLEAR = "clear"


#: The steps that a verb may stand for, the best first: going on also means "although the network costs money".
_STEPS: Final = {
    Verb.START: (Step.START,),
    Verb.PAUSE: (Step.PAUSE,),
    Verb.RESUME: (Step.RESUME, Step.OVERRIDE),
    Verb.CANCEL: (Step.CANCEL,),
    Verb.RETRY: (Step.RETRY,),
}


# More than these are not taken in one turn of the loop.
_MANY: Final = 500


def allowed_verbs(operation: DownloadOperation) -> frozenset[Verb]:
    """Return what may be asked of an operation now."""
    return _verbs_for(operation.allowed_steps, operation.is_over, operation.is_held)


@functools.lru_cache(maxsize=256)  # few combinations, asked for each operation that changes
def _verbs_for(steps: frozenset[Step], is_over: bool, is_held: bool) -> frozenset[Verb]:  # noqa: FBT001 (a cache's key)
    found = {verb for verb in _STEPS if _first_of(verb, steps) is not None}
    if is_over:
        found.discard(Verb.CANCEL)  # it would change nothing
        found |= set() if is_held else {Verb.CLEAR}
    return frozenset(found)


def _first_of(verb: Verb, steps: frozenset[Step]) -> Step | None:
    return next((step for step in _STEPS[verb] if step in steps), None)


def perform(runner: Runner, operations: Iterable[DownloadOperation], verb: Verb) -> None:
    """
    Do it with each operation that allows it; the others are left as they are.

    What was on the screen may be a moment old, so a step that is no longer allowed is no error. Engine's loop only;
    very many are handed to it a few at a time.
    """
    wanted = [each for each in operations if verb in allowed_verbs(each)]
    if verb is Verb.CLEAR:
        # Partial files are removed with it, and disks are slow.
        runner.place.spawn(asyncio.to_thread(clear, wanted), name="clear")
    elif len(wanted) > _MANY:
        runner.place.spawn(asyncio.to_thread(_take_steps, runner, wanted, verb), name=verb.value)
    else:
        _take_steps(runner, wanted, verb)


def _take_steps(runner: Runner, wanted: Iterable[DownloadOperation], verb: Verb) -> None:
    for step in _STEPS[verb]:
        runner.take_all([each for each in wanted if _first_of(verb, each.allowed_steps) is step], step)
