"""Cursors: where the next page of a list begins.

They name a place, so what comes and goes meanwhile moves nothing. A cursor belongs to the question that it
was given with: another question does not understand it.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from streams.gateway.requests.problems import BadCallError

MAX_CURSOR = 4096
_decode = msgspec.json.Decoder(list[str | int | float | None]).decode


def encode_cursor(place: Sequence[Any], question: str) -> str:
    """Give the cursor of a place.

    Args:
        place: Texts, numbers and None.
        question: What was asked, as a text.
    """
    return base64.urlsafe_b64encode(msgspec.json.encode([_mark(question), *place])).decode().rstrip("=")


def decode_cursor(text: str, question: str, kinds: Sequence[type | tuple[type, ...]]) -> tuple[Any, ...]:
    """Give the place that a cursor names.

    Args:
        text: The cursor.
        question: What is asked.
        kinds: Types of the place's parts.

    Raises:
        BadCallError: It is none, or another question's.
    """
    fault = BadCallError(
        "Invalid value for parameter next_cursor: use that of the answer before, to the same call"
    )
    if len(text) > MAX_CURSOR or not text.isascii():
        raise fault
    try:
        read = _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise fault from None
    if not read or read[0] != _mark(question) or len(read) != len(kinds) + 1:
        raise fault
    place = tuple(read[1:])
    if not all(isinstance(part, kind) for part, kind in zip(place, kinds, strict=True)):
        raise fault
    return place


def _mark(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:8]
