"""A small file that a transfer needs before it can begin, fetched whole into memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import TransferFailed, TransferTimeout
from bgdl_jupyter.uris import origin_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.patience import Patience
    from bgdl_jupyter.transport.base import Request

_BUFFER: Final = 64 * 1024
_WITHIN: Final = 120.0


async def fetch_small_file(
    make_request: Callable[[], Awaitable[Request]], *, most: int, facilities: Facilities, patience: Patience
) -> bytes:
    """
    Return the contents of a file, tried as often as a transfer would.

    Parameters
    ----------
    make_request:
        Makes the request of each try.
    most:
        How many bytes it may have.

    Raises
    ------
    TransferFailed
        It could not be had, or is larger.
    """
    failures = 0
    while True:
        request = await make_request()
        origin = origin_of(request.uri.public)
        transport = await facilities.transport_for(origin.scheme)
        sink = _Collector()
        try:
            async with asyncio.timeout(_WITHIN), transport.open(request) as exchange:
                await exchange.receive(sink, limit=most + 1)
        except TimeoutError:
            failures += await patience.back_off(_too_slow(request), failures, host=origin.host)
        except TransferFailed as error:
            failures += await patience.back_off(error, failures, host=origin.host)
        else:
            if len(sink.body) > most:
                raise TransferFailed(f"{request.uri.public} has more than {most:,} bytes.")
            return bytes(sink.body)


def _too_slow(request: Request) -> TransferTimeout:
    return TransferTimeout(f"{request.uri.public} did not come in {_WITHIN:g} s.")


class _Collector:
    """Keeps all that comes."""

    def __init__(self) -> None:
        self.body = bytearray()
        self._buffer = memoryview(bytearray(_BUFFER))

    def get_buffer(self) -> memoryview:
        """Return room."""
        return self._buffer

    def received(self, count: int) -> Awaitable[None] | None:
        """Keep what was put into the room."""
        return self.write(self._buffer[:count])

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        """Keep bytes."""
        self.body += data
        return None
