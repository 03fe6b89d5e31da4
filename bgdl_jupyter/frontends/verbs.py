"""
What a person can ask for by a button, a toast or the lab extension's panel, and how it is carried out.

Which steps are allowed is said by the model; a verb is a name for one of several.
"""

from __future__ import annotations

import asyncio
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


def allowed_verbs(operation: DownloadOperation) -> frozenset[Verb]:
    """Return what may be asked of an operation now."""
    found = {verb for verb in _STEPS if step_for(operation, verb) is not None}
    if operation.status.is_final and not operation.is_held:
        found.add(Verb.CLEAR)
    return frozenset(found)


def step_for(operation: DownloadOperation, verb: Verb) -> Step | None:
    """Return the step that a verb is for this operation, None where it is refused or would change nothing."""
    if verb is Verb.CANCEL and operation.status.is_final:
        return None
    steps = operation.allowed_steps
    return next((step for step in _STEPS.get(verb, ()) if step in steps), None)


def perform(runner: Runner, operations: Iterable[DownloadOperation], verb: Verb) -> None:
    """
    Do it with each operation that allows it; the others are left as they are.

    What was on the screen may be a moment old, so a step that is no longer allowed is no error. Engine's loop only.
    """
    wanted = [each for each in operations if verb in allowed_verbs(each)]
    if verb is Verb.CLEAR:
        # Partial files are removed with it, and disks are slow.
        runner.place.spawn(asyncio.to_thread(clear, wanted), name="clear")
        return
    for step in _STEPS[verb]:
        runner.take_all([each for each in wanted if step_for(each, verb) is step], step)
