"""
A kill before every system call of the scenario and of its recovery, and every error at every call that may meet it.

Between two calls nothing changes on the disk, so that a kill before each is a kill at every moment.
"""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.bench import judge
from tests.bench.results import Family, Table
from tests.bench.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.bench.stage import Run

#: What may fail on a disk, and how.
KINDS: Final = (
    "write",
    "pwrite",
    "fsync",
    "fdatasync",
    "rename",
    "link",
    "close",
    "open",
    "ftruncate",
    "unlink",
    "mkdir",
)
ERRORS: Final = (errno.EIO, errno.ENOSPC)
_NEVER_FULL: Final = frozenset({"unlink", "ftruncate"})
#: At which of its calls, as shares of all, the scenario is killed before its recovery is.
_BEFORE_RECOVERY: Final = (0.2, 0.45, 0.6, 0.75, 0.9)


@dataclass(slots=True)
class _Account:
    n: int = 0
    met: int = 0
    failures: list[str] = field(default_factory=list)

    def judge(self, what: str, wrong: Iterable[str]) -> None:
        sentences = list(wrong)
        self.n += 1
        if sentences:
            self.failures.append(f"{what}: {'; '.join(sentences)}")

    @property
    def passed(self) -> int:
        return self.n - len(self.failures)


def chosen(total: int, count: int | None, draw: random.Random, *, is_mixed: bool = False) -> list[int]:
    """
    Return the numbers below ``total``, or ``count`` of them, drawn evenly from the beginning to the end.

    Mixed, they are in no order: what goes wrong in one place alone is met sooner.
    """
    numbers: Sequence[int] = range(total)
    if count is not None and count < total:
        numbers = sorted({int((each + draw.random()) * total / count) for each in range(count)})
    return draw.sample(numbers, len(numbers)) if is_mixed else list(numbers)


def kills(count: int | None = None, *, seed: int = 1, first: bool = False, kinds: Sequence[str] = ()) -> Family:
    """Kill before every call of the scenario, or before ``count`` of them; ``kinds`` leaves out all others."""
    account, draw = _Account(), random.Random(seed)
    with Stage() as stage:
        total = _length(stage, "begin", kinds=kinds)
        for at in chosen(total, count, draw, is_mixed=first):
            with stage.performance() as folder:
                began = stage.play("begin", folder, at=at, kinds=",".join(kinds))
                account.met += began.end == "killed"
                account.judge(_place(began, at), _after_kill(stage, folder, began))
            if first and account.failures:
                break
    return Family(
        name="kills_at_calls",
        title="A kill before every system call",
        section="Kills and power loss",
        claim=(
            "Five downloads in a process (a small file, one over several connections, one over an old file, one with a "
            "digest, one that is canceled), which is killed before a call that touches the disk; then a process that "
            "restores. At once: no destination holds a part, and what was complete is. In the end: every operation "
            "that was created is there and has its file, and nothing else is left."
        ),
        n=account.n,
        passed=account.passed,
        details={"calls of the scenario": total, "kills that met the process alive": account.met},
        failures=account.failures[:20],
        command=_command("kills_at_calls", count),
    )


def kills_of_recovery(count: int | None = None, *, seed: int = 1, first: bool = False) -> Family:
    """Kill the scenario, then kill its recovery before each of its calls, then the next one, then let one be."""
    account, draw = _Account(), random.Random(seed)
    with Stage() as stage:
        length = _length(stage, "begin")
        for share in _BEFORE_RECOVERY:
            each = None if count is None else max(1, count // len(_BEFORE_RECOVERY))
            at = int(length * share)
            for again in chosen(_length(stage, "recover", at), each, draw, is_mixed=first):
                with stage.performance() as folder:
                    began = stage.play("begin", folder, at=at)
                    second = stage.play("recover", folder, at=again)
                    third = stage.play("recover", folder, at=again // 2)
                    account.met += (second.end == "killed") + (third.end == "killed")
                    account.judge(f"after call {at}, {_place(second, again)}", _after_kill(stage, folder, began))
                if first and account.failures:
                    break
    return Family(
        name="kills_of_recovery",
        title="A kill before every system call of the recovery, twice",
        section="Kills and power loss",
        claim=(
            "The same scenario, killed at five places; the process that restores is killed before each of its calls, "
            "so is the next one at half the way, and the third has to bring everything to the same end."
        ),
        n=account.n,
        passed=account.passed,
        details={"kills of recoveries": account.met},
        failures=account.failures[:20],
        command=_command("kills_of_recovery", count),
    )


def errors(count: int | None = None, *, seed: int = 1, first: bool = False, kinds: Sequence[str] = KINDS) -> Family:
    """Let every call of some kinds fail once with each error, or ``count`` of them."""
    draw = random.Random(seed)
    accounts: dict[tuple[str, int], _Account] = {}
    with Stage() as stage:
        with stage.performance() as folder:
            plain = stage.play("begin", folder)
        places = [
            (kind, error, at)
            for kind in kinds
            for error in ERRORS
            if not (error == errno.ENOSPC and kind in _NEVER_FULL)
            for at in range(_count(plain, kind))
        ]
        for kind, error, at in (places[each] for each in chosen(len(places), count, draw, is_mixed=first)):
            with stage.performance() as folder:
                began = stage.play("begin", folder, at=at, error=error, kinds=kind)
                account = accounts.setdefault((kind, error), _Account())
                account.met += any(call.error == error for call in began.calls)
                wrong = [*judge.survived_errors(began), *_after_kill(stage, folder, began)]
                account.judge(f"{errno.errorcode[error]} at {kind} number {at}", wrong)
            if first and account.failures:
                break
    rows: list[list[str | int]] = [
        [kind, errno.errorcode[error], each.passed, each.n] for (kind, error), each in accounts.items()
    ]
    failures = [failure for account in accounts.values() for failure in account.failures]
    return Family(
        name="errors_of_calls",
        title="An error of the disk at every system call",
        section="Kills and power loss",
        claim=(
            "The same scenario; one call fails once, with EIO or with ENOSPC. The process comes to its end: every "
            "operation is complete, or failed and says why; one that could not be recorded was refused. The next "
            "process brings all that was accepted to its end, and no file is wrong."
        ),
        n=sum(account.n for account in accounts.values()),
        passed=sum(account.passed for account in accounts.values()),
        details={"errors that met a call": sum(account.met for account in accounts.values())},
        tables=[Table(columns=("call", "error", "survived", "of"), rows=rows)],
        failures=failures[:20],
        command=_command("errors_of_calls", count),
    )


def _command(bench: str, count: int | None) -> str:
    return f"python -m tests.bench {bench}" + ("" if count is None else f" --count {count}")


def _length(stage: Stage, act: str, at: int = -1, *, kinds: Sequence[str] = ()) -> int:
    """Return how many calls, perhaps of some kinds, an act has; a recovery follows a scenario that was killed."""
    with stage.performance() as folder:
        played = stage.play("begin", folder, at=at)
        if act == "recover":
            played = stage.play("recover", folder)
    if kinds:
        return sum(_count(played, kind) for kind in kinds)
    return sum(call.call != "note" for call in played.calls)


def _count(run: Run, kind: str) -> int:
    """Return how many calls of a kind there were; the shim tells those that created a file from others that opened."""
    members = {"open": ("open", "create", "truncating")}.get(kind, (kind,))
    return sum(call.call in members for call in run.calls)


def _place(run: Run, at: int) -> str:
    last = next((call for call in reversed(run.calls) if call.call != "note"), None)
    return f"killed before call {at}" + (f", behind {last.call} of {last.path.rpartition('/')[2]!r}" if last else "")


def _after_kill(stage: Stage, folder: Path, began: Run) -> Iterator[str]:
    """Look at the disk, recover without any harm, and look again."""
    contents = stage.contents()
    yield from judge.at_once(folder / "work", contents)
    yield from judge.still_complete(folder / "work", contents, began.said("completed"))
    last = stage.play("recover", folder)
    yield from judge.recovered(folder, contents, began.said("created"), last)
