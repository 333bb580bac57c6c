"""Cursors: where the next page begins, opaque to whoever asks."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, cast

import msgspec

from streams.web.api.parameters import Kind, Parameter

MAX_CURSOR = 2048  # a page's last name, of at most 255 characters of 4 bytes, in JSON and base64
CursorPart = str | int | float
_decode = msgspec.json.Decoder(tuple[CursorPart | None, ...]).decode


def encode_cursor(parts: Sequence[CursorPart | None]) -> str:
    """Give the cursor of a place in an order."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(text: str, longest: int = MAX_CURSOR) -> tuple[CursorPart | None, ...]:
    """Give the place that a cursor names.

    Raises:
        ValueError: It is none, or has more characters than the longest.
    """
    if len(text) > longest or not text.isascii():
        raise ValueError(text)
    try:
        return _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError(text) from None


def cursor(*kinds: type[CursorPart]) -> Kind[tuple[CursorPart, ...]]:
    """Make the kind of a cursor whose parts are of these types."""

    def parse(text: str) -> tuple[CursorPart, ...]:
        parts = decode_cursor(text)
        if tuple(type(part) for part in parts) != kinds:
            raise ValueError(text)
        return cast("tuple[CursorPart, ...]", parts)

    schema = {"type": "string", "maxLength": MAX_CURSOR}
    example = encode_cursor([kind() for kind in kinds])
    return Kind(parse, "the `cursor` of the previous answer", example, schema)


NamePage = Annotated[tuple[CursorPart, ...] | None, Parameter(cursor(str), "Where the page begins.")]
"""Where a page of names begins."""
