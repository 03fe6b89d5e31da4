"""What the tests of HTTP have in common: requests, one call for a whole exchange, and scripts from text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bgdl_jupyter.transport.base import ProxyServer, Request
from bgdl_jupyter.uris import split_uri
from tests.servers.steps import Close, raw
from tests.transport.ftp_sinks import Collector, Fetched

if TYPE_CHECKING:
    from bgdl_jupyter.transport.http import HttpTransport
    from tests.servers.steps import Script

SCHEMES = frozenset({"http", "https"})


def request_for(uri: str, **options: Any) -> Request:
    """Return a request for an http URI; ``proxy`` may be a URL."""
    if isinstance(options.get("proxy"), str):
        options["proxy"] = ProxyServer(uri=split_uri(options["proxy"], SCHEMES))
    return Request(uri=split_uri(uri, SCHEMES), **options)


async def fetch(
    transport: HttpTransport, uri: str, *, sink: Collector | None = None, limit: int | None = None, **options: Any
) -> Fetched:
    """Ask, and receive the body."""
    sink = sink or Collector()
    async with transport.open(request_for(uri, **options)) as exchange:
        framing = await exchange.receive(sink, limit=limit)
        return Fetched(exchange.answer, framing, bytes(sink.body))


def said(head: str, body: bytes = b"", *, closes: bool = False) -> Script:
    """Return a script that sends a head, its lines as they are written, and a body."""
    data = "\r\n".join([*head.strip().splitlines(), "", ""]).encode("latin-1") + body
    return (raw(data), Close()) if closes else (raw(data),)
