"""
A real ipykernel, driven the way a front end drives one.

::

    with RealKernel(cwd=tmp_path) as kernel:
        assert kernel.run("6 * 7").text == "42"
        request = kernel.start("while True: pass")  # and do not wait
        kernel.click(comm_id)
        kernel.wait_for(lambda message: "paused" in message.text)
        kernel.interrupt()
        assert kernel.finish(request).error.startswith("KeyboardInterrupt")

Everything that the kernel publishes is kept in `messages`, in the order of its arrival. One thread at a time: messages
are read by whoever waits.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ipykernel
import pytest
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from jupyter_client.blocking.client import BlockingKernelClient

ROOT = Path(__file__).parents[1]
TIMEOUT = 30.0
IPYKERNEL = tuple(map(int, ipykernel.__version__.split(".")[:2]))  # type: ignore[attr-defined] # public, not declared so
subshells = pytest.mark.skipif(IPYKERNEL < (7, 1), reason="this ipykernel has no subshells that can be used")
routed = pytest.mark.skipif(IPYKERNEL < (7, 4), reason="this ipykernel does not let a comm say where it is heard")


class KernelTimeout(AssertionError):
    """What the test waited for did not happen in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that the kernel published."""

    type: str
    content: dict[str, Any]
    parent_id: str
    received_at: float
    """Of `time.monotonic()`."""

    @property
    def text(self) -> str:
        """What a person would read: a stream, a result or an error."""
        if self.type == "stream":
            return str(self.content["text"])
        if self.type in {"execute_result", "display_data"}:
            return str(self.content["data"].get("text/plain", ""))
        if self.type == "error":
            return f"{self.content['ename']}: {self.content['evalue']}"
        return ""

    @property
    def comm_id(self) -> str | None:
        """The comm that the message belongs to."""
        return self.content.get("comm_id") if self.type.startswith("comm_") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a cell."""

    text: str
    """Streams and plain-text results in order, without the last line break."""
    outputs: list[Message]
    error: str | None
    """`Name: message`."""
    duration: float
    """Seconds from the request to idle."""


@dataclass(slots=True)
class RealKernel:
    """
    A context manager around a kernel of this interpreter.

    Parameters
    ----------
    cwd:
        Where the kernel starts; a folder of its own if None.
    env:
        Added to the environment.
    """

    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    messages: list[Message] = field(default_factory=list, init=False)
    manager: KernelManager = field(init=False, repr=False)
    client: BlockingKernelClient = field(init=False, repr=False)
    _home: Path = field(init=False, repr=False)
    _replied: set[str] = field(default_factory=set, init=False, repr=False)
    _started_at: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="kernel-"))
        self.manager = KernelManager(connection_file=str(self._home / "kernel.json"))
        self.manager.start_kernel(cwd=str(self.cwd or self._home), env=self._environment())
        try:
            self._connect()
        except BaseException:
            self.manager.shutdown_kernel(now=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        shutil.rmtree(self._home, ignore_errors=True)

    # ------------------------------------------------------------------------------------------------ cells

    def run(self, code: str, timeout: float = TIMEOUT) -> Result:
        """Run a cell to its end; raises `KernelTimeout`."""
        return self.finish(self.start(code), timeout)

    def start(self, code: str, *, subshell_id: str | None = None, allow_stdin: bool = True) -> str:
        """Send a cell and do not wait; returns the id of the request."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": True,
        }
        return self._send("execute_request", content, subshell_id=subshell_id)

    def finish(self, request: str, timeout: float = TIMEOUT) -> Result:
        """Wait until a cell that was started is done."""
        deadline = time.monotonic() + timeout
        idle = self.wait_for(lambda message: _is_idle(message, request), timeout, since=0)
        # ipykernel before 7.4 may lose a request that comes in while it sends a reply (ipykernel#1554).
        self._await_reply(request, deadline)
        outputs = [message for message in self.messages if message.parent_id == request]
        errors = [message.text for message in outputs if message.type == "error"]
        return Result(
            text="".join(message.text for message in outputs if message.type != "error").rstrip("\n"),
            outputs=outputs,
            error=errors[0] if errors else None,
            duration=idle.received_at - self._started_at[request],
        )

    def wait_for(
        self, is_it: Callable[[Message], bool], timeout: float = TIMEOUT, *, since: int | None = None
    ) -> Message:
        """
        Wait for a message that the kernel publishes.

        Parameters
        ----------
        is_it:
            Says whether a message is the one.
        timeout:
            In seconds.
        since:
            Look at `messages` from this index on first; by default only at what comes in from now on.
        """
        deadline = time.monotonic() + timeout
        index = len(self.messages) if since is None else since
        while True:
            while index < len(self.messages):
                if is_it(self.messages[index]):
                    return self.messages[index]
                index += 1
            self._read(deadline)

    def wait_for_text(self, text: str, timeout: float = TIMEOUT) -> Message:
        """Wait until a cell has printed something, now or earlier."""
        return self.wait_for(lambda message: text in message.text, timeout, since=0)

    # ------------------------------------------------------------------------------------------------ comms

    def open_comm(self, target: str, data: Mapping[str, Any], *, comm_id: str, channel: str = "shell") -> str:
        """Open a comm as the lab extension does; returns the id of the request."""
        content = {"comm_id": comm_id, "target_name": target, "data": dict(data)}
        return self._send("comm_open", content, channel=channel)

    def send_comm(
        self, comm_id: str, data: Mapping[str, Any], *, subshell_id: str | None = None, channel: str = "shell"
    ) -> str:
        """
        Send to a comm and do not wait; returns the id of the request.

        `subshell_id` is what JupyterLab puts into the header, `channel` is "shell" or "control".
        """
        content = {"comm_id": comm_id, "data": dict(data)}
        return self._send("comm_msg", content, subshell_id=subshell_id, channel=channel)

    def click(self, comm_id: str, *, subshell_id: str | None = None, channel: str = "shell") -> str:
        """Click a Button of ipywidgets."""
        data = {"method": "custom", "content": {"event": "click"}}
        return self.send_comm(comm_id, data, subshell_id=subshell_id, channel=channel)

    def models(self) -> dict[str, dict[str, Any]]:
        """Return the state of every widget that the kernel has opened and not closed, by comm id, as a page has it."""
        models: dict[str, dict[str, Any]] = {}
        for message in self.messages:
            comm_id, data = message.comm_id, message.content.get("data", {})
            if comm_id is None:
                continue
            if message.type == "comm_open":
                models[comm_id] = dict(data.get("state", {}))
            elif message.type == "comm_close":
                models.pop(comm_id, None)
            elif data.get("method") in {"update", "echo_update"}:
                models.setdefault(comm_id, {}).update(data.get("state", {}))
        return models

    # ---------------------------------------------------------------------------------------------- control

    def request(self, message_type: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request on the control channel and return the content of its reply."""
        request = self._send(message_type, dict(content or {}), channel="control")
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            with suppress(queue.Empty):
                reply = self.client.control_channel.get_msg(timeout=1)
                if reply["parent_header"].get("msg_id") == request:
                    content = reply["content"]
                    return dict(content)
        raise KernelTimeout(f"no reply to {message_type}")

    # --------------------------------------------------------------------------------------- life and death

    @property
    def pid(self) -> int:
        """The process of the kernel."""
        pid = getattr(self.manager.provisioner, "pid", None)
        assert isinstance(pid, int)
        return pid

    def interrupt(self) -> None:
        """Do what the stop button does."""
        self.manager.interrupt_kernel()

    def sigkill(self) -> None:
        """Kill the kernel as the system does when memory is short; `restart(now=True)` starts the next one."""
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT
        while self.manager.is_alive():
            if time.monotonic() > deadline:
                raise KernelTimeout("the kernel outlives SIGKILL")
            time.sleep(0.005)  # the only way to learn of the end of a child that somebody else waits for

    def restart(self, *, now: bool = False) -> None:
        """Restart as a front end does; `now` means without asking the kernel."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=now)
        self.messages.clear()
        self._connect()

    def shutdown(self) -> None:
        """Shut down as a front end does, and wait for the end."""
        self.manager.shutdown_kernel(now=False)

    # ------------------------------------------------------------------------------------------------- inner

    def _environment(self) -> dict[str, str]:
        folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {
            **os.environ,
            **{name: str(self._home / name.lower()) for name in folders},
            "PYTHONPATH": path,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **(self.env or {}),
        }

    def _connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def _send(
        self, message_type: str, content: dict[str, Any], *, subshell_id: str | None = None, channel: str = "shell"
    ) -> str:
        message = self.client.session.msg(message_type, content)
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        request = str(message["header"]["msg_id"])
        self._started_at[request] = time.monotonic()
        channels = {"shell": self.client.shell_channel, "control": self.client.control_channel}
        channels[channel].send(message)
        return request

    def _read(self, deadline: float) -> None:
        """Take in one message, or raise `KernelTimeout` at the deadline."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                raw = self.client.get_iopub_msg(timeout=min(left, 1.0))
            except queue.Empty:
                self._require_life()
                continue
            self.messages.append(
                Message(
                    type=raw["header"]["msg_type"],
                    content=raw["content"],
                    parent_id=raw["parent_header"].get("msg_id", ""),
                    received_at=time.monotonic(),
                )
            )
            return
        raise KernelTimeout(f"not in time; the last messages: {self.messages[-5:]}")

    def _await_reply(self, request: str, deadline: float) -> None:
        while request not in self._replied:
            if time.monotonic() > deadline:
                raise KernelTimeout(f"no reply to {request}")
            with suppress(queue.Empty):
                self._replied.add(self.client.get_shell_msg(timeout=1)["parent_header"].get("msg_id", ""))

    def _require_life(self) -> None:
        if not self.manager.is_alive():
            raise KernelTimeout(f"the kernel has died ({sys.executable}); the last messages: {self.messages[-5:]}")


def _is_idle(message: Message, request: str) -> bool:
    return (
        message.parent_id == request and message.type == "status" and message.content.get("execution_state") == "idle"
    )
