"""
Which addresses a redirect may not lead to, and how names become addresses.

The check is made on the address of the socket, before it connects: a name that pointed elsewhere when it was looked
at, ``127.1`` or ``::ffff:10.0.0.1`` change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Callable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# These stand for the IPv4 address in their last 32 bits (RFC 6052, RFC 8215, RFC 2765 2.1, RFC 4291 2.5.5.1).
_TRANSLATED: Final = tuple(
    ipaddress.IPv6Network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")
)
# Lookups block a thread each; more at once only help a broken resolver to break more.
_MAX_LOOKUPS: Final = 16


def is_private_address(text: str) -> bool:
    """
    Whether an address is not one of the public internet: loopback, link-local, private, shared or reserved.

    What is no address counts as private.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return True
    embedded = _embedded(address)
    is_local = not address.is_global or address.is_multicast or getattr(address, "is_site_local", False)
    return is_local or (embedded is not None and is_private_address(str(embedded)))


def _embedded(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def is_private_name(host: str) -> bool:
    """Whether a host is, by its text alone, a private address or this machine: for what a proxy will connect to."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # Takes 127.1, 0x7f.1 and 2130706433 as a socket would.
        return is_private_address(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return ":" in host and is_private_address(host)


class Answered(AbstractResolver):
    """Makes an error of an answer without an address, which aiohttp would not survive."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return at least one address of a host, or raise ``OSError``."""
        found = await self._resolver.resolve(host, port, family)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


class Resolver(AbstractResolver):
    """
    Looks names up on threads of its own, a bounded number at a time.

    The threads are daemons: a resolver that hangs must not hold up the end of the process.
    """

    def __init__(self, *, max_lookups: int = _MAX_LOOKUPS) -> None:
        self._slots = asyncio.Semaphore(max_lookups)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """
        Return the addresses of a host.

        Raises
        ------
        OSError
            There are none, or nobody could be asked.
        """
        async with self._slots:
            return await _in_thread(lambda: _look_up(host, port, family))

    async def close(self) -> None:
        """Nothing is held."""


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=_numeric(address),
            port=port,
            family=each,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for each, _, protocol, _, address in found
    ]


def _numeric(address: tuple[Any, ...]) -> str:
    """Return the address as text, a link-local one with its interface."""
    if len(address) > 3 and address[3]:  # noqa: PLR2004 (an IPv6 address has a scope in its fourth place)
        return socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    return str(address[0])


async def _in_thread(call: Callable[[], list[ResolveResult]]) -> list[ResolveResult]:
    """Return what a call on a daemon thread returned; what comes after a cancellation is dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[ResolveResult]] = loop.create_future()

    def settle(result: list[ResolveResult] | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result or [])

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else socket.gaierror(socket.EAI_NONAME, "no such name")
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="bgdl-resolver", daemon=True).start()
    return await future
