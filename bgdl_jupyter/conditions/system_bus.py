"""
The system bus of Linux, as far as we need it: read a service's properties, hear that they changed.

Needs the extra ``dbus``; without it, without a bus or without the service, `Unavailable` says what is missing. A
service is never started by being asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

log = logging.getLogger(__name__)

#: Seconds for the bus or a service to answer.
DEADLINE: Final = 5.0
_BUS: Final = "org.freedesktop.DBus"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"


class Unavailable(Exception):
    """What was to be asked is not there; the message is a clause that names it."""


@dataclass(frozen=True, slots=True)
class Service:
    """An object on the bus whose properties are read."""

    title: str
    name: str
    path: str
    interface: str


_BUS_ITSELF: Final = Service("the bus", _BUS, "/org/freedesktop/DBus", _BUS)


class SystemBus:
    """One connection to the bus, made when first needed and again when it was lost; lives on one loop."""

    def __init__(self) -> None:
        self._bus: MessageBus | None = None
        self._watched: set[Service] = set()
        self._pokes: list[Callable[[], None]] = []

    async def properties(self, service: Service) -> dict[str, Any]:
        """
        Return the properties of a service's object.

        Raises
        ------
        Unavailable
            dbus-fast, the bus or the service is missing, or does not answer.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                bus = await self._connected()
                await self._watch(bus, service)
                values = await _call(bus, replace(service, interface=_PROPERTIES), "GetAll", service.interface)
        except TimeoutError:
            raise Unavailable(f"{service.title} does not answer") from None
        if values is None:
            raise Unavailable(f"{service.title} does not run")
        return {name: variant.value for name, variant in values.items()}

    def notify(self, poke: Callable[[], None]) -> None:
        """Call ``poke`` when a service that was asked before tells something, comes or goes."""
        self._pokes.append(poke)

    async def aclose(self) -> None:
        """Leave the bus."""
        bus, self._bus = self._bus, None
        self._watched.clear()
        if bus is not None and bus.connected:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # as dbus-fast ships it

    async def _connected(self) -> MessageBus:
        if self._bus is None or not self._bus.connected:
            self._watched.clear()
            self._bus = await _connect()
            self._bus.add_message_handler(self._hear)
        return self._bus

    async def _watch(self, bus: MessageBus, service: Service) -> None:
        if service in self._watched:
            return
        self._watched.add(service)
        for rule in (
            f"type='signal',sender='{service.name}',path='{service.path}'",
            f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{service.name}'",
        ):
            await _call(bus, _BUS_ITSELF, "AddMatch", rule)

    def _hear(self, message: Message) -> None:
        # Only what was asked for arrives here, so any signal is a reason to look again.
        if message.message_type.name == "SIGNAL":
            for poke in self._pokes:
                poke()


def _load() -> None:
    with contextlib.suppress(ImportError):  # what is missing is told by `_connect`
        importlib.import_module("dbus_fast.aio")


async def _connect() -> MessageBus:
    try:
        await asyncio.to_thread(_load)  # takes tenths of a second, in which the loop would stand still
    except RuntimeError:  # a script that ends at once has no threads left to give
        raise Unavailable("the process is ending") from None
    try:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import AuthError, InvalidAddressError
    except ImportError:
        raise Unavailable("dbus-fast is not installed (pip install 'bgdl-jupyter[dbus]')") from None
    try:
        return await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, EOFError, AuthError, InvalidAddressError) as error:
        log.debug("no system bus: %r", error)
        raise Unavailable("there is no system bus") from error


async def _call(bus: MessageBus, target: Service, member: str, argument: str) -> Any:
    """Return the first value of the reply, None for an error; the service is not started."""
    from dbus_fast import Message, MessageFlag, MessageType

    reply = await bus.call(
        Message(
            destination=target.name,
            path=target.path,
            interface=target.interface,
            member=member,
            signature="s",
            body=[argument],
            flags=MessageFlag.NO_AUTOSTART,
        )
    )
    if reply.message_type is MessageType.ERROR:
        log.debug("%s.%s: %s", target.name, member, reply.error_name)
        return None
    return reply.body[0] if reply.body else ()
