"""How aiohttp's parser is used: with which bounds, and for the head alone of an answer that is there as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiohttp.http import HttpResponseParser
from aiohttp.http_exceptions import HttpProcessingError

from bgdl_jupyter.transport.http_head import MAX_HEAD

if TYPE_CHECKING:
    import asyncio

    from aiohttp.client_proto import ResponseHandler
    from multidict import CIMultiDictProxy

READ_BUFFER: Final = 256 * 1024
#: The sum of all fields is bounded before the parser sees them.
BOUNDS: Final[dict[str, Any]] = {"max_line_size": MAX_HEAD, "max_field_size": MAX_HEAD}
#: What aiohttp's protocol is told before it reads an answer outside of a session, as a session of ours would.
PARSING: Final[dict[str, Any]] = {
    "read_until_eof": True,
    "auto_decompress": False,
    "read_bufsize": READ_BUFFER,
    **BOUNDS,
}
# With any other status there is something to find out, or to be said.
_FILES: Final = (b"HTTP/1.1 200 ", b"HTTP/1.1 206 ")


class WholeAnswer(NamedTuple):
    """An answer with a file that came at once; ``is_last`` when the server closes the connection behind it."""

    status: int
    headers: CIMultiDictProxy[str]
    body: memoryview
    is_last: bool


class HeadParser:
    """Reads the heads of whole answers on one connection, one after the other."""

    def __init__(self, handler: ResponseHandler, loop: asyncio.AbstractEventLoop) -> None:
        self._parser = HttpResponseParser(
            handler, loop, READ_BUFFER, response_with_body=False, auto_decompress=False, **BOUNDS
        )

    def read(self, data: bytes, end: int) -> WholeAnswer | None:
        """
        Return the answer whose head ends, and whose body begins, at ``end``.

        None where it has no file, or where more than a length frames it or more than bytes are in it: whoever reads
        it with care comes to the right end, or error. After that this parser is of no use.
        """
        if not data.startswith(_FILES):
            return None
        try:
            messages, is_upgraded, rest = self._parser.feed_data(data[:end])
        except HttpProcessingError:
            return None
        if len(messages) != 1 or is_upgraded or rest:
            return None
        message = messages[0][0]
        headers = message.headers
        if headers.getall("Content-Length", ()) != [str(len(data) - end)]:
            return None
        if message.chunked or "Transfer-Encoding" in headers or "Content-Encoding" in headers:
            return None
        return WholeAnswer(message.code, headers, memoryview(data)[end:], message.should_close)
