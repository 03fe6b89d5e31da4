"""
A subshell of our own (JEP 91): one of the kernel's loops, which goes on while a cell computes.

It is made by the kernel's public protocol, as any client would make one: a request on the control channel, which is
answered also while the main shell is busy. The kernel starts a thread named after the subshell, with a loop.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.frontends.kernel.running import has_started, kernel_version, running_kernel
from bgdl_jupyter.model.host import LoopPlace

#: 7.0 has subshells, and loses the parent of what is sent from other threads.
_FIRST_VERSION: Final = (7, 1)
_REPLY_TIMEOUT: Final = 5.0
_HINT: Final = "Use loop='auto' or loop='thread'."


class SubshellPlace(LoopPlace):
    """
    The loop of a kernel subshell that is ours alone; stopping the place deletes the subshell.

    Parameters
    ----------
    subshell_id:
        The id that the kernel gave it.

    Raises
    ------
    LookupError, AttributeError
        No thread of this process runs that subshell, or it does not show its loop.
    """

    def __init__(self, subshell_id: str) -> None:
        self.subshell_id = subshell_id
        thread = _thread_of(subshell_id)
        super().__init__(
            thread.io_loop.asyncio_loop,  # type: ignore[attr-defined] # the class is private to ipykernel
            thread,
            kind="subshell",
            reason="The kernel gave a subshell, which goes on while a cell computes.",
        )

    def _end(self) -> None:
        delete_subshell(self.subshell_id)


def subshell_place() -> SubshellPlace:
    """
    Have the kernel make a subshell and return its place; a few milliseconds, also in a busy cell.

    Raises
    ------
    BackgroundTransferError
        There is no kernel, it has no subshells, or it did not give one; the message says which.
    """
    _require_subshells()
    subshell_id = None
    try:
        subshell_id = _create_subshell()
        return SubshellPlace(subshell_id)
    except BackgroundTransferError:
        raise
    except Exception as error:
        # Subshells are young, and what may fail here is open; a thread serves as well as long as we say so.
        if subshell_id is not None:
            delete_subshell(subshell_id)
        reason = f"{type(error).__name__}: {error}"
        raise BackgroundTransferError(f"The kernel gave no subshell we can use ({reason}).", hint=_HINT) from error


def delete_subshell(subshell_id: str) -> None:
    """Ask the kernel to delete the subshell, and do not wait: at a shutdown nobody would answer."""
    control = _ControlChannel()
    control.send("delete_subshell_request", {"subshell_id": subshell_id})
    control.close(linger=1000)


def _require_subshells() -> None:
    kernel = running_kernel()
    if kernel is None:
        raise BackgroundTransferError("No ipykernel runs in this process.", hint=_HINT)
    if kernel_version() < _FIRST_VERSION:
        raise BackgroundTransferError(f"ipykernel {_dotted(kernel_version())} has no subshells we can use.", hint=_HINT)
    if "kernel subshells" not in kernel.kernel_info.get("supported_features", ()):
        raise BackgroundTransferError("This kernel says that it has no subshells.", hint=_HINT)
    if not has_started(kernel):
        raise BackgroundTransferError("The kernel is still starting and answers no requests.", hint=_HINT)
    if threading.current_thread() is kernel.control_thread:
        raise BackgroundTransferError("The thread that would answer the request is the one that asks.", hint=_HINT)


def _create_subshell() -> str:
    control = _ControlChannel()
    try:
        control.send("create_subshell_request", {})
        reply = control.receive(_REPLY_TIMEOUT)
    finally:
        control.close(linger=0)
    if reply.get("status") != "ok":
        raise BackgroundTransferError(f"The kernel refused to make a subshell: {reply.get('evalue')}.", hint=_HINT)
    return str(reply["subshell_id"])


def _thread_of(subshell_id: str) -> threading.Thread:
    for thread in threading.enumerate():
        if thread.name == f"subshell-{subshell_id}":
            return thread
    raise LookupError(f"no thread of this process is named after subshell {subshell_id}")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


class _ControlChannel:
    """A client of the kernel we run in, with the control channel alone."""

    def __init__(self) -> None:
        import zmq
        from ipykernel.connect import get_connection_file
        from jupyter_client.blocking.client import BlockingKernelClient

        # The process's own context: a context made for one request would have to wait for its socket's messages.
        self._client = BlockingKernelClient(context=zmq.Context.instance())
        self._client.load_connection_file(get_connection_file())
        self._socket = self._client.connect_control()

    def send(self, message_type: str, content: dict[str, Any]) -> None:
        self._client.session.send(self._socket, message_type, content)

    def receive(self, timeout: float) -> dict[str, Any]:
        """Return the content of the next reply; `timeout` in seconds."""
        if not self._socket.poll(int(timeout * 1000)):
            raise BackgroundTransferError(f"The kernel gave no subshell within {timeout:g} s.", hint=_HINT)
        _, reply = self._client.session.recv(self._socket, mode=0)
        assert reply is not None  # noqa: S101 (there is one: the poll said so)
        content: dict[str, Any] = reply["content"]
        return content

    def close(self, *, linger: int) -> None:
        """Close the socket; what is not sent yet has `linger` milliseconds more."""
        self._socket.close(linger=linger)
