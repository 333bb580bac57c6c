"""Where a replayed event came from: headers that let it keep its identity and its time.

A dead letter that is published again has a new place in the topic and a new Kafka timestamp. Its headers
name the first ones, so that a plain JSON event without `event_id` or `uploaded_at` stays the same event.
They give a publisher no power that `event_id` and `uploaded_at` do not give as well.
"""

import re

import msgspec

from schemas.cloudevents import Headers
from schemas.errors import PARSE_CODES

REPLAY_OF = "tagstream.replay-of"
REPLAY_TIME = "tagstream.replay-time"
REPLAY_LETTER = "tagstream.replay-letter"
REPLAYS = "tagstream.replays"

ROUTED_FROM = "tagstream.routed-from"
"""Where the record was published, `topic/partition/offset`, if it was routed to another partition."""

UNTRANSLATED = "tagstream.untranslated"
"""Why the record of a source could not be made an upload event: its code and message."""

TRANSLATED_HEADER = ("tagstream.translated", b"true")
"""Says that the record is an upload event that was made of another program's message."""

REPLAY_HEADERS = {
    REPLAY_OF: "Place of the original record, `topic/partition/offset`: what identifies a plain JSON event.",
    REPLAY_TIME: "Its time, in milliseconds since the epoch: the event time where the event tells none.",
    REPLAY_LETTER: "Place of the dead letter that was replayed.",
    REPLAYS: "How often the event has been replayed, this time included, a decimal number.",
}

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,18})")
_TIME = re.compile(r"0|-?[1-9][0-9]{0,18}")


class TopicPartitionOffset(msgspec.Struct, frozen=True):
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "TopicPartitionOffset | None":
        """Read `topic/partition/offset` in the one way in which it is written; None: it is no such text."""
        found = _PLACE.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None


class Origin(msgspec.Struct, frozen=True):
    """Where and when an event was first published. `at` is in milliseconds since the epoch."""

    place: TopicPartitionOffset
    at: int


def read_origin(headers: Headers) -> Origin | None:
    """Read the origin that a replay states; None where there is none, or none that can be read."""
    texts = header_texts([header for header in headers if header[0] in REPLAY_HEADERS])
    place = TopicPartitionOffset.parse(texts.get(REPLAY_OF, ""))
    time = read_time(texts.get(REPLAY_TIME, ""))
    return Origin(place, time) if place and time is not None else None


def origin_headers(origin: Origin) -> list[tuple[str, bytes]]:
    """The headers that state an origin."""
    return [(REPLAY_OF, str(origin.place).encode()), (REPLAY_TIME, str(origin.at).encode())]


def routed_headers(headers: Headers, origin: Origin) -> list[tuple[str, bytes | None]]:
    """The headers of a record that goes to another partition: it stays what it was, and tells from where.

    Args:
        headers: The record's own.
        origin: Where and when it was published. A replay was published first elsewhere, and says so.
    """
    kept = [header for header in headers if header[0] != ROUTED_FROM]
    first = [] if read_origin(headers) else origin_headers(origin)
    return [*kept, *first, (ROUTED_FROM, str(origin.place).encode())]


def routed_from(headers: Headers) -> TopicPartitionOffset | None:
    """Where a record was published that was routed; None: it lies where it was published."""
    texts = header_texts([header for header in headers if header[0] == ROUTED_FROM])
    return TopicPartitionOffset.parse(texts.get(ROUTED_FROM, ""))


def untranslated_header(code: str, message: str) -> tuple[str, bytes]:
    """The header of a source's record that is to become a dead letter."""
    return UNTRANSLATED, f"{code} {message}".encode(errors="replace")


def untranslated(headers: Headers) -> tuple[str, str] | None:
    """Code and message of what is wrong with a source's record; None: it is none, or was translated."""
    texts = header_texts([header for header in headers if header[0] == UNTRANSLATED])
    if UNTRANSLATED not in texts:
        return None
    code, _, message = texts[UNTRANSLATED].partition(" ")
    return (code, message) if code in PARSE_CODES else ("invalid_event", texts[UNTRANSLATED])


def read_time(text: str) -> int | None:
    """Read milliseconds since the epoch; None: it is no such text."""
    return int(text) if _TIME.fullmatch(text) else None


def header_texts(headers: Headers) -> dict[str, str]:
    """The headers as texts; of several with one name the last counts."""
    return {name: (content or b"").decode(errors="replace") for name, content in headers}
