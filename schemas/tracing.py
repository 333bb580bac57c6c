"""The trace that an event belongs to, as W3C Trace Context and Baggage write it: read, bounded, passed on.

A publisher's headers are a stranger's. What breaks the grammar or its bounds is dropped; no event fails.
Of several headers of one name the last counts, as for everything that Kafka clients append.

Source: W3C Trace Context (level 2) and W3C Baggage; CloudEvents' distributed tracing extension.
"""

import re

import msgspec

from schemas.cloudevents import Headers, is_structured

TRACE_HEADERS = {
    "traceparent": "The trace, and the span in it that this follows: 55 characters.",
    "tracestate": "What tracing systems add to that: at most 32 entries and 512 characters.",
    "baggage": "What the publisher wants everybody behind it to know: at most 180 entries and 8,192 bytes.",
}

_PARENT_LENGTH = 55
_MAX_STATE, _MAX_STATES = 512, 32
_LONG_STATE = 128  # an entry beyond is the first to go where there are too many characters
_MAX_BAGGAGE, _MAX_BAGGAGE_ENTRIES = 8192, 180
_KNOWN_FLAGS = 0x03  # sampled, and that the trace's id is random

_READ = frozenset({*TRACE_HEADERS, "ce_traceparent", "ce_tracestate", "content-type"})
_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(
    rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_OCTETS = rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_PAIR = re.compile(_TOKEN + rb"[ \t]*=[ \t]*" + _OCTETS)
_PROPERTY = re.compile(_TOKEN + rb"(?:[ \t]*=[ \t]*" + _OCTETS + rb")?")


class TraceContext(msgspec.Struct, frozen=True):
    """What travels with an event to all that comes of it; each part is valid, or absent.

    Attributes:
        traceparent: `00-<trace id>-<parent id>-<flags>`.
        tracestate: Only beside a `traceparent`.
        baggage: Needs no trace.
    """

    traceparent: bytes | None = None
    tracestate: bytes | None = None
    baggage: bytes | None = None

    @property
    def trace_id(self) -> str | None:
        """32 hexadecimal digits; None: there is no trace."""
        return None if self.traceparent is None else self.traceparent[3:35].decode()

    @property
    def recorded_trace_id(self) -> str | None:
        """The same where the trace's flags say that it is recorded: who looks for another finds nothing."""
        recorded = self.traceparent is not None and int(self.traceparent[53:55], 16) & 1
        return self.trace_id if recorded else None

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers that pass it on."""
        parts = zip(TRACE_HEADERS, (self.traceparent, self.tracestate, self.baggage), strict=True)
        return [(name, content) for name, content in parts if content is not None]


NO_CONTEXT = TraceContext()


class _Attributes(msgspec.Struct, frozen=True):
    traceparent: str | None = None
    tracestate: str | None = None


def read_context(headers: Headers, value: bytes | None = None) -> TraceContext:
    """Read the context of a record.

    The record's own `traceparent` counts first: it tells of the last hop. Without a valid one, a CloudEvent's
    `traceparent` attribute does.

    Args:
        headers: Those of the record.
        value: Its value, where that may be a CloudEvent in structured mode.
    """
    found = {low: text for name, text in headers if text is not None and (low := name.lower()) in _READ}
    if not found:
        return NO_CONTEXT
    parent, state = _trace(found.get("traceparent"), found.get("tracestate"))
    if parent is None:
        parent, state = _trace(*_extension(found, value))
    return TraceContext(parent, state, _baggage(found.get("baggage")))


def _extension(found: dict[str, bytes], value: bytes | None) -> tuple[bytes | None, bytes | None]:
    """The attributes of a CloudEvent's distributed tracing extension, unchecked."""
    if not value or not is_structured(found.get("content-type", b"").decode("ascii", "replace")):
        return found.get("ce_traceparent"), found.get("ce_tracestate")
    try:
        event = msgspec.json.decode(value, type=_Attributes)
        return (event.traceparent or "").encode(), (event.tracestate or "").encode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None, None


def _trace(parent: bytes | None, state: bytes | None) -> tuple[bytes | None, bytes | None]:
    checked = _traceparent(parent or b"")
    return checked, _tracestate(state or b"") if checked else None


def _traceparent(text: bytes) -> bytes | None:
    """A valid one in version 00; of later versions what that one has."""
    if len(text) < _PARENT_LENGTH or not _PARENT.fullmatch(text, 0, _PARENT_LENGTH):
        return None
    if text.startswith(b"00"):
        return text if len(text) == _PARENT_LENGTH else None
    if text[_PARENT_LENGTH : _PARENT_LENGTH + 1] not in {b"", b"-"}:
        return None
    flags = int(text[53:55], 16) & _KNOWN_FLAGS
    return b"00%b-%02x" % (text[2:52], flags)


def _tracestate(text: bytes) -> bytes | None:
    if len(text) > _MAX_STATES * (_MAX_STATE + len("=,")):
        return None
    entries = [entry for part in text.split(b",") if (entry := part.strip(b" \t"))]
    keys = {entry.partition(b"=")[0] for entry in entries}
    if len(entries) > _MAX_STATES or len(keys) < len(entries) or not all(map(_STATE.fullmatch, entries)):
        return None
    return (text if len(text) <= _MAX_STATE else _shortened(entries)) if entries else None


def _shortened(entries: list[bytes]) -> bytes | None:
    """As many entries as there is room for: long ones go first, then the last ones."""
    kept = [entry for entry in entries if len(entry) <= _LONG_STATE]
    while len(b",".join(kept)) > _MAX_STATE:
        kept.pop()
    return b",".join(kept) or None


def _baggage(text: bytes | None) -> bytes | None:
    if not text or len(text) > _MAX_BAGGAGE:
        return None
    entries = text.split(b",")
    return text if len(entries) <= _MAX_BAGGAGE_ENTRIES and all(map(_is_entry, entries)) else None


def _is_entry(entry: bytes) -> bool:
    pair, *properties = (part.strip(b" \t") for part in entry.split(b";"))
    return bool(_PAIR.fullmatch(pair)) and all(map(_PROPERTY.fullmatch, properties))
