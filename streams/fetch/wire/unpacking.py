"""Bytes that are stored compressed, and sent so whatever is asked: unpacked within the limit of an image."""

import asyncio
import zlib
from collections.abc import Iterator

from streams.fetch.errors import SourceGoneError
from streams.fetch.room.admission import Admission
from streams.fetch.urls import shown, too_large

_PIECE = 1_048_576  # bytes that are unpacked at a time
_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip or zlib, as it begins


async def unpacked(data: bytes, url: str, limit: int, admission: Admission) -> bytes:
    """Unpack gzip or deflate.

    Raises:
        SourceGoneError: It is none, it ends too early, or there are more bytes than an image may have.
    """
    pieces, size = [], 0
    unpacking = _pieces(data)
    try:
        while (piece := await asyncio.to_thread(next, unpacking, None)) is not None:
            size += len(piece)
            if size > limit:
                raise too_large(url, limit)
            await admission.take(len(piece))
            pieces.append(piece)
    except zlib.error as error:
        message = f"{shown(url)} is compressed, and damaged ({error!s:.64})"
        raise SourceGoneError("invalid_answer", message) from error
    return b"".join(pieces)


def _pieces(data: bytes) -> Iterator[bytes]:
    """The unpacked bytes, some at a time; a file may have several members."""
    left = data
    while left:
        raw = left[:1] not in (b"\x1f", b"\x78") and left is data  # deflate without a header, as some send it
        member = zlib.decompressobj(-zlib.MAX_WBITS if raw else _ANY_HEADER)
        while not member.eof:
            piece = member.decompress(left, _PIECE)
            if not piece and not member.eof and not member.unconsumed_tail:
                raise zlib.error("it ends too early")
            left = member.unconsumed_tail
            if piece:
                yield piece
        left = member.unused_data
