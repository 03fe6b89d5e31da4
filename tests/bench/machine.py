"""
The downloader as Hypothesis drives it: any order of what users, servers, disks and kernels do, and what always holds.

After every rule: nothing that is complete is wrong (I1), nothing that was accepted is gone (I2), no two live operations
have one URI or one destination (I3), no destination holds a part (I4), no name appears that nobody asked for (I5), a
second kernel sees what the first has as held and cannot touch it (I9), and progress is honest (I13). In the end
everything is healed, and every operation that was not given up is complete.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hypothesis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.bench.living import Living, Refused, Seen, watched
from tests.bench.results import Family
from tests.bench.stage import build_shim
from tests.servers.content import file_sha256
from tests.servers.fault_server import FaultServer
from tests.servers.faults import cut_after, hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES: Final = ("a.bin", "b.bin", "c.bin")
_SIZE: Final = 400_000
_SMALL: Final = 5_000
#: How far a clock jumps: from one side to the other less than the 90 days after which what is final is forgotten.
_JUMP: Final = 40 * 86400.0
_STEPS: Final = ("start", "pause", "resume", "cancel", "retry")
_HEALING: Final = {"IDLE": "start", "PAUSED_BY_APPLICATION": "resume", "ERROR": "retry"}
_HEALED_WITHIN: Final = 30.0
_MOST_TOLD: Final = 60

_TROUBLES: Final[dict[str, Callable[[int], tuple[Any, ...]]]] = {
    "none": lambda _: (),
    "cut at once": lambda _: (cut_after(0),),
    "cut half-way": lambda size: (cut_after(size // 2),),
    "cut at the end": lambda size: (cut_after(size - 1),),
    "held": lambda size: (hold_after(size // 2, until="go"),),
    **{str(code): partial(lambda code, _: (status(code),), code) for code in (401, 404, 416, 500, 503)},
}

names = st.sampled_from(NAMES)


class DownloaderMachine(RuleBasedStateMachine):
    """One application, its kernel, perhaps a second one, and a server with three files."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="machine-")))
        self._work = self._folder / "work"
        self._work.mkdir()
        self._server = self._stack.enter_context(FaultServer())
        self._kernel = Living(self._folder)
        self._versions: dict[str, list[FileSpec]] = {}
        self._created: dict[str, str] = {}
        self._given_up: set[str] = set()
        self._received: dict[str, int] = {}
        self._is_full = False
        self.told: list[str] = []
        self._begun = time.monotonic()

    def _tell(self, what: str) -> None:
        """Take down what was done and what was seen: an order that another run of it does differently is told so."""
        self.told.append(f"{time.monotonic() - self._begun:.3f} {what}")

    def _ask(self, verb: str, *words: Any) -> Any:
        return self._ask_of(self._kernel, verb, *words)

    def _ask_of(self, kernel: Living, verb: str, *words: Any) -> Any:
        answer = kernel.ask(verb, *words)
        if not self.told or not self.told[-1].endswith(said := f"{verb}{words} -> {answer}"):
            self._tell(f"{'' if kernel is self._kernel else 'the second kernel: '}{said}")
        return answer

    def teardown(self) -> None:
        try:
            self._heal()
        finally:
            self._server.events.set("go")
            self._kernel.kill()
            self._stack.close()

    # ------------------------------------------------------------------------------------------------ what servers do

    @initialize()
    def serve_all(self) -> None:
        for number, name in enumerate(NAMES):
            size = _SMALL if number == 0 else _SIZE
            digests = ("Repr-Digest",) if number == 1 else ()
            self._versions[name] = [FileSpec(size=size, seed=number + 1, etag=f'"{name}-1"', digests=digests)]
            self._serve(name)
        for name in NAMES[1:]:
            self._serve(name, hold_after(_SIZE // 2, until="go", on=1))
            self.add(name=name, is_started=True)

    def _serve(self, name: str, *faults: Any) -> None:
        self._tell(f"the server has {name} {self._versions[name][-1].etag} {faults}")
        self._server.put(f"/{name}", replace(self._versions[name][-1], faults=faults))

    @rule(name=names, trouble=st.sampled_from(sorted(_TROUBLES)))
    def get_into_trouble(self, name: str, trouble: str) -> None:
        self._serve(name, *_TROUBLES[trouble](self._versions[name][-1].size))

    @rule(name=names)
    def change_version(self, name: str) -> None:
        number = len(self._versions[name]) + 1
        last = self._versions[name][-1]
        self._versions[name].append(replace(last, seed=last.seed + 10, etag=f'"{name}-{number}"'))
        self._serve(name)

    # --------------------------------------------------------------------------------------------------- what users do

    @rule(name=names, is_started=st.booleans())
    def add(self, name: str, is_started: bool) -> None:
        uri = self._server.url(f"/{name}")
        is_twin = any(each.uri == uri and not _is_final(each) for each in self._look())
        answer = self._ask("create", uri, name)
        if isinstance(answer, Refused):
            assert is_twin or self._is_full, answer
            return
        # A twin may have come to its end since it was looked for.
        twins = [each for each in self._look() if each.uri == uri and each.guid != answer and not _is_final(each)]
        assert twins == [], "two live operations have one URI"
        if not self._ask("notices"):  # what is kept in memory alone is said to be
            self._created[answer] = name
        if is_started:
            self._ask("take", answer, "start")

    @rule(choice=st.integers(0, 5), step=st.integers(0, 5))
    def take_an_allowed_step(self, choice: int, step: int) -> None:
        allowed = [(each, name) for each in self._look() for name in sorted(each.allowed & set(_STEPS))]
        if allowed:
            self._take(*allowed[(choice * 7 + step) % len(allowed)])

    @rule(choice=st.integers(0, 5), step=st.sampled_from(_STEPS))
    def take_any_step(self, choice: int, step: str) -> None:
        operations = self._look()
        if operations:
            self._take(operations[choice % len(operations)], step)

    def _take(self, operation: Seen, step: str) -> None:
        answer = self._ask("take", operation.guid, step)
        if isinstance(answer, Refused):
            is_right = answer.error == "DuplicateDownload" and self._has_live_twin(operation)
            is_right = is_right or step not in operation.allowed or self._may_have_moved(operation)
            assert is_right, (operation, step, answer)
            return
        assert step != "retry" or not self._has_live_twin(operation), "what is live already was started again"
        if step == "cancel" and not _is_final(operation):
            self._given_up.add(operation.guid)
        if step == "retry":
            self._given_up.discard(operation.guid)
            self._received.pop(operation.guid, None)

    def _has_live_twin(self, operation: Seen) -> bool:
        return any(
            each.uri == operation.uri and each.guid != operation.guid and not _is_final(each) for each in self._look()
        )

    def _may_have_moved(self, before: Seen) -> bool:
        return before.status == "RUNNING" or any(
            each.guid == before.guid and each.status != before.status for each in self._look()
        )

    @rule(seconds=st.sampled_from([0.02, 0.3]))
    def wait(self, seconds: float) -> None:
        self._ask("settle", seconds)

    # ------------------------------------------------------------------------------------- what disks and clocks do

    @rule(is_full=st.booleans())
    def fill_disk(self, is_full: bool) -> None:
        self._is_full = is_full
        self._ask("fill_disk", is_full)

    @rule(ahead=st.sampled_from([-_JUMP, -60.0, 60.0, _JUMP]))
    def set_clock(self, ahead: float) -> None:
        self._ask("set_clock", ahead)

    @rule(choice=st.integers(0, 3), how=st.sampled_from(["delete", "truncate", "lengthen"]))
    def harm_a_partial_file(self, choice: int, how: str) -> None:
        # Nothing but a digest tells of a hole that is made in a file while it is written (b.bin has one).
        written = {
            each.guid.replace("-", "") for each in self._look() if each.status == "RUNNING" and each.name != NAMES[1]
        }
        parts = sorted(
            path for path in self._work.glob(".*.bgdl") if path.name[1:33] not in written or how != "truncate"
        )
        if parts:
            self._tell(f"{how} {parts[choice % len(parts)].name}")
            with contextlib.suppress(FileNotFoundError):  # it was just published
                _harm(parts[choice % len(parts)], how)

    # ------------------------------------------------------------------------------------------------ what kernels do

    @rule()
    def crash(self) -> None:
        self._tell("SIGKILL")
        self._kernel.kill()
        self._restart()

    @rule()
    def restart(self) -> None:
        self._tell("restart")
        self._kernel.end()
        self._restart()

    def _restart(self) -> None:
        self._is_full = False
        self._received.clear()
        self._kernel = Living(self._folder)

    @precondition(lambda self: not self._is_full)
    @rule()
    def meet_a_second_kernel(self) -> None:
        with Living(self._folder) as second:
            for operation in self._ask_of(second, "look"):
                if _is_final(operation):
                    continue
                assert operation.is_held, f"two kernels have {operation}"
                answer = self._ask_of(second, "take", operation.guid, "cancel")
                assert isinstance(answer, Refused), "the second kernel canceled what the first has"

    # ------------------------------------------------------------------------------------------------ what always holds

    def _look(self) -> list[Seen]:
        seen: list[Seen] = self._ask("look")
        return seen

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        seen = self._look()
        self._nothing_complete_is_wrong(seen)
        assert set(self._created) <= {each.guid for each in seen}, "an operation is gone"
        live = [each.name for each in seen if not _is_final(each)]
        assert len(live) == len(set(live)), "two operations have one destination"
        strangers = [path.name for path in self._work.iterdir() if _original(path) not in NAMES and not _is_part(path)]
        assert strangers == []
        for each in seen:
            self._progress_is_honest(each)

    def _nothing_complete_is_wrong(self, seen: list[Seen]) -> None:
        for path in self._files():
            wanted = {spec.sha256 for spec in self._versions[_original(path)]}
            assert file_sha256(path) in wanted, f"{path.name} holds what was never served"
        missing = [each for each in seen if each.status == "COMPLETED" and not (self._work / str(each.name)).exists()]
        assert missing == []

    def _progress_is_honest(self, operation: Seen) -> None:
        assert operation.total is None or operation.received <= operation.total, operation
        before = self._received.get(operation.guid, 0)
        may_go_back = operation.has_restarted or operation.status in {"CANCELED", "ERROR"}
        assert operation.received >= before or may_go_back, operation
        self._received[operation.guid] = operation.received

    def _files(self) -> list[Path]:
        return [path for path in self._work.iterdir() if _original(path) in NAMES]

    # ---------------------------------------------------------------------------------------------------------- the end

    def _heal(self) -> None:
        """Let all be well, and see that every operation comes to its end."""
        self._server.events.set("go")
        for name in self._versions:
            self._serve(name)
        self._kernel.kill()
        self._restart()
        self._ask("settle", 5.0)
        for _ in range(3):  # a retry may meet what the one before has left
            for each in self._look():
                step = _HEALING.get(each.status, "resume" if "resume" in each.allowed else "")
                if step and step in each.allowed:
                    self._ask("take", each.guid, step)
            self._ask("settle", _HEALED_WITHIN)
        note(f"in the end: {self._look()}")
        left = [each for each in self._look() if each.status not in {"COMPLETED", "CANCELED"}]
        assert left == [], "not every operation can be brought to its end"
        self.all_is_as_it_must_be()
        self._ask("end")
        assert [path.name for path in self._work.iterdir() if _is_part(path)] == []
        shutil.rmtree(self._work)


def _is_final(operation: Seen) -> bool:
    return operation.status in {"COMPLETED", "CANCELED", "ERROR"}


def _is_part(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".bgdl")


def _original(path: Path) -> str:
    """Return the name that was asked for: "a (1).bin" was "a.bin"."""
    stem, _, suffix = path.name.rpartition(".")
    return f"{stem.partition(' (')[0]}.{suffix}"


def _harm(path: Path, how: str) -> None:
    if how == "delete":
        path.unlink()
        return
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2 if how == "truncate" else size + 1000)


def run(count: int = 100, *, steps: int = 40) -> Family:
    """Let Hypothesis try ``count`` orders of ``steps`` rules each."""
    made = 0
    told: list[str] = []

    class Counted(DownloaderMachine):
        def teardown(self) -> None:
            nonlocal made
            made += 1
            try:
                super().teardown()
            finally:
                error = sys.exc_info()[1]  # Hypothesis ends a run by errors of its own, too
                if error is not None and not type(error).__module__.startswith("hypothesis") and not told:
                    told.extend(self.told)

    failures = []
    with tempfile.TemporaryDirectory(prefix="machine-") as folder, watched(build_shim(Path(folder))):
        try:
            run_state_machine_as_test(Counted, settings=settings(count, steps))
        except Exception as error:  # noqa: BLE001 (what it is, is what is looked for)
            failures += [f"{type(each).__name__}: {each}"[:1500] for each in _leaves(error)]
            failures += list(getattr(error, "__notes__", ()))  # the steps that led there
            failures += told[-_MOST_TOLD:]
    return Family(
        name="any_order",
        title="Whatever is done in whatever order",
        section="Kills and power loss",
        claim=(
            f"Hypothesis makes up orders of {steps} steps: add, start, pause, resume, cancel, retry; a server that "
            "cuts, holds, answers 401, 404, 416, 500, 503 or serves another version; a full disk, a clock that jumps, "
            "partial files deleted or changed; SIGKILL, restart, a second kernel. After every step nothing complete "
            "is wrong, nothing accepted is gone, no two live operations share a URI or a destination, no destination "
            "holds a part, the second kernel can touch nothing, progress is honest; in the end all comes to its end."
        ),
        n=max(made, 1),
        passed=max(made, 1) - bool(failures),
        failures=failures,
        command=f"python -m tests.bench any_order --count {count}",
    )


def _leaves(error: BaseException) -> list[BaseException]:
    """Return what a group of errors is made of: one that Hypothesis cannot repeat comes in a group with its causes."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def settings(examples: int, steps: int) -> hypothesis.settings:
    """Return how Hypothesis is to look: processes and disks take their time."""
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        database=None,
    )
