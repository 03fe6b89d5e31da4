"""
Kernels: who we are, and whether another one is still alive.

The proof is as good as the place allows:

* In our own PID namespace the process table tells: gone, a zombie, or another process under the same number is dead;
  a stopped process is alive.
* On a local disk each living kernel holds a lock on a file of its own (``kernels/<id>``): held is alive, free is dead.
  It is a lock of the open file (flock), which no other part of the process can drop by closing something.
* Elsewhere (another pod on a shared disk) only silence tells, and silence is no proof. It is measured by the times that
  the file system itself set on the two kernels' files, so that neither kernel's clock matters.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from bgdl_jupyter.storage.private_files import PRIVATE_FILE, is_on_network, make_private_directory
from bgdl_jupyter.storage.records import Holder

#: Seconds without a heartbeat after which a kernel elsewhere counts as gone.
SILENCE: Final = 60.0
_DEAD_STATES: Final = frozenset("ZXx")


class Life(Enum):
    """What is known of another kernel."""

    ALIVE = "alive"
    SILENT = "not heard of for long, perhaps alive"
    DEAD = "proven dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel as it describes itself in the state file; times are seconds since 1970."""

    kernel_id: str
    application: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str
    has_lock: bool
    since: float
    heartbeat: float

    @classmethod
    def this_one(cls, *, application: str, has_lock: bool, now: float, kernel_id: str) -> Kernel:
        """Return the description of the process that asks."""
        return cls(
            kernel_id=kernel_id,
            application=application,
            host=socket.gethostname(),
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
            pid=os.getpid(),
            started=process_start(os.getpid()) or "",
            has_lock=has_lock,
            since=now,
            heartbeat=now,
        )

    def shares_processes_with(self, other: Kernel) -> bool:
        """Whether both see the same process table."""
        # Without a boot id (no Linux) the name of the host has to do: there every process sees all others.
        machine = self.boot_id or self.host
        return (machine, self.pid_namespace) == (other.boot_id or other.host, other.pid_namespace)

    def to_holder(self) -> Holder:
        """Return what others are shown."""
        return Holder(
            kernel_id=self.kernel_id,
            host=self.host,
            pid=self.pid,
            application=self.application,
            since=self.since,
            last_heartbeat=self.heartbeat,
        )


def new_kernel_id() -> str:
    """Return an id that no other kernel has."""
    return uuid.uuid4().hex


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def process_start(pid: int) -> str | None:
    """
    Return when a process started, in a form to compare; None for one that is gone or only waits to be collected.

    Where the system does not tell (no ``/proc``), it is an empty text as long as there is a process of that number.
    """
    if not Path("/proc/self/stat").exists():
        return "" if _answers(pid) else None
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in _DEAD_STATES else fields[19]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class KernelFile:
    """
    The file that shows that we live: locked as long as the process exists, touched with every heartbeat.

    Attributes
    ----------
    is_locked:
        Whether locks work here.
    """

    def __init__(self, directory: Path, kernel_id: str) -> None:
        make_private_directory(directory)
        self.path = directory / kernel_id
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, PRIVATE_FILE)
        self.is_locked = _try_lock(self._descriptor) is True

    def is_there(self) -> bool:
        """Whether the path still leads to it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except OSError:
            return False

    def touch(self) -> None:
        """Set the time of the file to the file system's present."""
        with contextlib.suppress(OSError):  # nobody may be left to see it: the folder was removed
            os.utime(self._descriptor)

    def age(self, other: Path) -> float | None:
        """Return by how many seconds another kernel's file was touched before ours; None where that is unknown."""
        self.touch()
        try:
            return os.fstat(self._descriptor).st_mtime - other.stat().st_mtime
        except OSError:
            return None

    def remove_other(self, kernel_id: str) -> None:
        """Remove the file of a kernel that is dead."""
        if Path(kernel_id).name == kernel_id:  # what is in the state file leads nowhere else
            with contextlib.suppress(OSError):
                (self.path.parent / kernel_id).unlink()

    def drop(self) -> None:
        """Close it without removing it: in a forked child the lock must not outlive the parent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove and close it; the kernel is no more."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.drop()


def _try_lock(descriptor: int) -> bool | None:
    """Lock a file without waiting: True gained, False held by another, None where locks do not work."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_lock_held(path: Path) -> bool | None:
    """Whether somebody holds the lock on a kernel's file; None where there is no such file or locks do not work."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        gained = _try_lock(descriptor)
    finally:
        os.close(descriptor)
    return None if gained is None else not gained


class Coroner:
    """
    Tells the living from the dead.

    Parameters
    ----------
    me:
        The kernel that asks.
    file:
        Its file, None where there is none (a state in memory knows no other kernels).
    """

    def __init__(self, me: Kernel, file: KernelFile | None) -> None:
        self._me = me
        self._file = file
        self._is_local = file is not None and not is_on_network(file.path.parent)

    def judge(self, kernel_id: str, kernel: Kernel | None, now: float) -> Life:
        """Return what is known of a kernel; ``kernel`` is None where it has no description any more."""
        if kernel_id == self._me.kernel_id:
            return Life.ALIVE
        if kernel is not None and self._me.shares_processes_with(kernel):
            # Where the start is not told, a process of that number has to be taken for the kernel.
            return Life.ALIVE if process_start(kernel.pid) in (kernel.started, "") else Life.DEAD
        if self._file is None:
            return Life.ALIVE
        path = self._file.path.parent / Path(kernel_id).name
        is_held = is_lock_held(path)
        if is_held:
            return Life.ALIVE
        if kernel is None:
            return Life.DEAD
        if is_held is False and kernel.has_lock and self._is_local:
            return Life.DEAD
        age = self._file.age(path)
        silence = now - kernel.heartbeat if age is None else age
        return Life.SILENT if silence >= SILENCE else Life.ALIVE
