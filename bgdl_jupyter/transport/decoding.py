"""
Takes the content coding off a body that has one although we asked for none.

The end of the coding is checked (C3: the decoder is at its end, nothing is left over), and what a small body may
become is bounded.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import DecodingFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A body may become so many times longer than it came, once it is past the grace.
MAX_RATIO: Final = 200
RATIO_GRACE: Final = 64 * 1024 * 1024
#: And so long at all.
MAX_DECODED: Final = 64 * 1024**3

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_GZIP_MAGIC: Final = b"\x1f\x8b"
_CHUNK: Final = 256 * 1024
_DEFLATED: Final = 8
_HEADER_CHECK: Final = 31


class Decoder:
    """
    Decodes one body of one coding.

    Parameters
    ----------
    codings:
        The content codings; one of gzip and deflate is decoded.

    Raises
    ------
    DecodingFailed
        The coding is another, or there are several.
    """

    def __init__(self, codings: tuple[str, ...]) -> None:
        if len(codings) != 1 or codings[0] not in (_GZIP | {"deflate"}):
            names = ", ".join(codings)[:100]
            raise DecodingFailed(f"The server sent the content coding {names!r} although none was asked for.")
        self._is_gzip = codings[0] in _GZIP
        self._inflater = zlib.decompressobj(wbits=31) if self._is_gzip else None
        self._start = b""
        self._encoded = self._decoded = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Yield what the next bytes decode to, in pieces of bounded size.

        Raises
        ------
        DecodingFailed
            The coding is broken, goes on behind its end, or becomes too long.
        """
        self._encoded += len(data)
        while data:
            inflater = self._inflater_for(data)
            if inflater is None:
                self._start += data
                return
            data, self._start = self._start + data, b""
            piece = self._inflate(inflater, data)
            if piece:
                yield piece
            data = inflater.unconsumed_tail or inflater.unused_data
            if not piece and not inflater.eof and not inflater.unconsumed_tail:
                return

    def finish(self) -> None:
        """
        Check that the coding is at its end.

        Raises
        ------
        DecodingFailed
            It is not.
        """
        is_empty = self._encoded == 0
        if not is_empty and (self._inflater is None or not self._inflater.eof or self._start):
            raise DecodingFailed("The content coding of the body ends before its end.")

    def _inflater_for(self, data: bytes) -> zlib._Decompress | None:
        """Return what decodes the next bytes; None where more are needed to say."""
        if self._inflater is None and len(self._start) + len(data) > 1:
            self._inflater = zlib.decompressobj(wbits=_window_bits(self._start + data))
        if self._inflater is not None and self._inflater.eof:
            self._inflater = self._next_member(self._start + data)
        return self._inflater

    def _next_member(self, data: bytes) -> zlib._Decompress | None:
        """Return what decodes a further member of a gzip body (RFC 1952 2.2)."""
        if self._is_gzip and data[:2] == _GZIP_MAGIC:
            return zlib.decompressobj(wbits=31)
        raise DecodingFailed("Something follows the end of the body's content coding.")

    def _inflate(self, inflater: zlib._Decompress, data: bytes) -> bytes:
        try:
            piece = inflater.decompress(data, _CHUNK)
        except zlib.error:
            raise DecodingFailed("The content coding of the body is broken.") from None
        self._decoded += len(piece)
        if self._decoded > MAX_DECODED or self._decoded > max(RATIO_GRACE, MAX_RATIO * self._encoded):
            raise DecodingFailed("The body becomes too long when its content coding is taken off.")
        return piece


def _window_bits(start: bytes) -> int:
    """Return how a deflate body is wrapped: by the letter in zlib's format, by some servers not at all."""
    is_zlib = start[0] & 0x0F == _DEFLATED and int.from_bytes(start[:2], "big") % _HEADER_CHECK == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
