"""The trace that a record belongs to, for exemplars."""

import re
from collections.abc import Iterable

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_HEADERS = ("traceparent", "ce_traceparent")  # W3C's own; that of a CloudEvent in binary mode


def trace_id_of(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The W3C trace id of a record, 32 hexadecimal digits; None: it names none."""
    for name, value in headers:
        if name in _HEADERS and value is not None and (found := _TRACEPARENT.match(value)):
            return found[1].decode("ascii")
    return None
