"""The receivers of FTP's data connection, without a connection: what arrives when, and who waits for what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.transport.ftp_data import BufferedReception, CopiedReception
from tests.transport.ftp_sinks import Collector

if TYPE_CHECKING:
    from collections.abc import Callable

Reception = BufferedReception | CopiedReception


class Wire(asyncio.Transport):
    """Remembers how it was treated."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False
        self.is_aborted = False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True


def deliver(reception: Reception, data: bytes) -> None:
    """Do what asyncio does with bytes from the socket."""
    if isinstance(reception, CopiedReception):
        reception.data_received(data)
        return
    while data:
        room = reception.get_buffer(-1)
        count = min(len(room), len(data))
        room[:count] = data[:count]
        reception.buffer_updated(count)
        data = data[count:]


@pytest.fixture(params=[BufferedReception, CopiedReception])
def begin(request) -> Callable[..., tuple[Reception, Wire]]:
    def begin(sink: Collector, wanted: int | None, *, stops_there: bool = False) -> tuple[Reception, Wire]:
        reception, wire = request.param(sink, wanted, stops_there=stops_there), Wire()
        reception.connection_made(wire)
        return reception, wire

    return begin


async def test_what_is_not_wanted_is_not_delivered(begin):
    sink = Collector()
    reception, wire = begin(sink, 3, stops_there=True)
    deliver(reception, b"abcdef")
    await reception.finish(patience=0)
    assert bytes(sink.body) == b"abc"
    assert not reception.has_surplus
    assert wire.is_aborted


async def test_what_follows_the_end_is_surplus(begin):
    sink = Collector()
    reception, _ = begin(sink, 3)
    deliver(reception, b"abcdef")
    await reception.finish(patience=0)
    assert (bytes(sink.body), reception.has_surplus) == (b"abc", True)


async def test_reading_is_paused_while_the_sink_is_waited_for(begin):
    reception, wire = begin(Collector(lags=True), None)
    deliver(reception, b"abc")
    assert wire.is_paused
    reception.eof_received()
    await reception.finish(patience=0)
    assert not wire.is_paused


async def test_a_broken_connection_is_told_apart_from_a_broken_sink(begin):
    reception, _ = begin(Collector(), None)
    deliver(reception, b"abc")
    reception.connection_lost(ConnectionResetError())
    await reception.finish(patience=0)
    assert isinstance(reception.lost, ConnectionResetError)


async def test_a_loss_after_the_end_does_not_count(begin):
    reception, _ = begin(Collector(), None)
    reception.eof_received()
    reception.connection_lost(ConnectionResetError())
    await reception.finish(patience=0)
    assert reception.lost is None


@pytest.mark.filterwarnings("error")
async def test_giving_up_leaves_no_coroutine_behind_and_takes_no_more_bytes(begin):
    """A pause may come between the arrival of bytes and the waiting for the sink that took them."""
    sink = Collector(lags=True)
    reception, wire = begin(sink, None)
    finishing = asyncio.create_task(reception.finish(patience=0))
    await asyncio.sleep(0)
    deliver(reception, b"abc")
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    assert wire.is_aborted
    deliver(reception, b"")
    reception.connection_lost(None)
    assert bytes(sink.body) == b"abc"
