"""A private system bus, and services of python-dbusmock on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.counterparts import require

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

    from bgdl_jupyter.conditions.system_bus import Service

DEADLINE = 15.0
_SUBSCRIPTION = Message(
    destination="org.freedesktop.DBus",
    path="/org/freedesktop/DBus",
    interface="org.freedesktop.DBus",
    member="AddMatch",
    signature="s",
    body=["type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"],
)


class PrivateBus:
    """
    A dbus-daemon that nobody else knows; its address belongs into ``DBUS_SYSTEM_BUS_ADDRESS``.

    The test itself is on it, too, to tell the mocks what to say.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self._processes: list[Process] = []
        self._daemon: Process | None = None
        self._connection: MessageBus | None = None
        self._owned = asyncio.Condition()
        self._owners: set[str] = set()

    async def __aenter__(self) -> Self:
        daemon = require("dbus-run-session").with_name("dbus-daemon")
        self._daemon = await asyncio.create_subprocess_exec(
            daemon,
            "--session",
            "--nofork",
            "--print-address=1",
            f"--address={self.address}",
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._daemon.stdout is not None
        async with asyncio.timeout(DEADLINE):
            await self._daemon.stdout.readline()  # it listens
            self._connection = await MessageBus(bus_address=self.address, bus_type=BusType.SESSION).connect()
            await self._call(_SUBSCRIPTION)
        self._connection.add_message_handler(self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None and self._connection.connected:
            self._connection.disconnect()
            await self._connection.wait_for_disconnect()
        for process in self._processes:
            await _end(process)
        await self.die()

    async def die(self) -> None:
        """End the daemon."""
        if self._daemon is not None:
            await _end(self._daemon)
            self._daemon = None

    async def run(self, template: str, service: Service) -> Process:
        """Start a mock service and return when it has its name."""
        environment = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        process = await asyncio.create_subprocess_exec(
            require("dbusmock"), "-m", "dbusmock", "--system", "--template", template, env=environment
        )
        self._processes.append(process)
        async with asyncio.timeout(DEADLINE), self._owned:
            await self._owned.wait_for(lambda: service.name in self._owners)
        return process

    async def end(self, process: Process) -> None:
        """End a mock service."""
        await _end(process)

    async def add(self, service: Service, name: str, value: Variant) -> None:
        """Give a mock a property that its template lacks."""
        await self._mock(service, "AddProperty", "ssv", [service.interface, name, value])

    async def tell(self, service: Service, **properties: Variant) -> None:
        """Let a mock change its properties, and say so."""
        await self._mock(service, "UpdateProperties", "sa{sv}", [service.interface, properties])

    async def _mock(self, service: Service, member: str, signature: str, body: list[Any]) -> None:
        await self._call(
            Message(
                destination=service.name,
                path=service.path,
                interface="org.freedesktop.DBus.Mock",
                member=member,
                signature=signature,
                body=body,
            )
        )

    async def _call(self, message: Message) -> None:
        assert self._connection is not None
        reply = await self._connection.call(message)
        assert reply.message_type is not MessageType.ERROR, reply.body

    def _hear(self, message: Message) -> None:
        if message.member == "NameOwnerChanged":
            name, _, owner = message.body
            (self._owners.add if owner else self._owners.discard)(name)
            self._telling = asyncio.ensure_future(self._tell_owned())

    async def _tell_owned(self) -> None:
        async with self._owned:
            self._owned.notify_all()


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(DEADLINE):
        await process.wait()
