"""Cursors: where the next page of a list begins.

They name a place, so what comes and goes meanwhile moves nothing. A cursor belongs to the question that it
was given with: another question does not understand it.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from streams.gateway.requests.problems import BadCallError
from streams.web.api.kinds import cursors

MAX_CURSOR = 4096


def encode_cursor(place: Sequence[Any], question: str) -> str:
    """Give the cursor of a place.

    Args:
        place: Texts, numbers and None.
        question: What was asked, as a text.
    """
    return cursors.encode_cursor([_mark(question), *place])


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
    try:
        read = cursors.decode_cursor(text, MAX_CURSOR)
    except ValueError:
        raise fault from None
    if not read or read[0] != _mark(question) or len(read) != len(kinds) + 1:
        raise fault
    place = read[1:]
    if not all(isinstance(part, kind) for part, kind in zip(place, kinds, strict=True)):
        raise fault
    return place


def _mark(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:8]
