"""
Names as data, for aiohttp: what exists, what does not, what is slow, what changes.

```python
names = FakeResolver({"files.test": Records("127.0.0.1"), "slow.test": Records("127.0.0.1", delay=10)})
async with ClientSession(connector=TCPConnector(resolver=names)) as session: ...
assert names.queries == ["files.test"]
```
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult


class Records:
    """An answer: addresses, after `delay` seconds."""

    def __init__(self, *addresses: str, delay: float = 0.0) -> None:
        self.addresses = addresses
        self.delay = delay

    def result(self) -> tuple[str, ...]:
        """Return the addresses."""
        return self.addresses


class Failure(Records):
    """An answer that is a failure of `getaddrinfo`, after `delay` seconds."""

    def __init__(self, code: int, *, delay: float = 0.0) -> None:
        super().__init__(delay=delay)
        self.code = code

    def result(self) -> tuple[str, ...]:
        """Raise what `getaddrinfo` raises."""
        raise socket.gaierror(self.code, "as the table says")


NXDOMAIN = Failure(socket.EAI_NONAME)
SERVFAIL = Failure(socket.EAI_AGAIN)
SILENCE = Records(delay=3600.0)
EMPTY = Records()

Row = Records | Sequence[Records]
"""One answer, or one for each query in turn; the last one stays."""


class FakeResolver(AbstractResolver):
    """Resolves from a table; a name that is not in it does not exist."""

    def __init__(self, table: Mapping[str, Row]) -> None:
        self.table = dict(table)
        """May be changed at any time."""
        self.queries: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return what the table says. Raises `socket.gaierror`."""
        self.queries.append(host)
        records = self._records(host)
        await asyncio.sleep(records.delay)
        wanted = [each for each in records.result() if family in {socket.AF_UNSPEC, _family(each)}]
        return [_record(host, address, port) for address in wanted]

    async def close(self) -> None:
        """Release nothing."""

    def _records(self, host: str) -> Records:
        row = self.table.get(host, NXDOMAIN)
        if isinstance(row, Records):
            return row
        return row[min(Counter(self.queries)[host], len(row)) - 1]


def many(count: int, *, last: str = "127.0.0.1") -> Records:
    """Return an answer of so many addresses, of which only the last one answers."""
    dead = (f"127.77.{number >> 8}.{number & 255}" for number in range(1, count))
    return Records(*dead, last)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _record(host: str, address: str, port: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=flags)
