"""Replays: a dead letter becomes the record that it was, with headers that say what it is a replay of."""

import re

from schemas.cloudevents import Headers
from schemas.dead_letters import FAULT_HEADERS
from schemas.origins import (
    REPLAY_HEADERS,
    REPLAY_LETTER,
    REPLAYS,
    ROUTED_FROM,
    UNTRANSLATED,
    Origin,
    TopicPartitionOffset,
    header_texts,
    origin_headers,
    read_origin,
    read_time,
)
from schemas.uploads import Record

_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_OURS = frozenset({*FAULT_HEADERS, *REPLAY_HEADERS, ROUTED_FROM, UNTRANSLATED})


def failed_place(headers: Headers) -> TopicPartitionOffset | None:
    """The place of the record that failed; None where the letter is none of ours."""
    texts = header_texts(headers)
    if texts.get("__connect.errors.class.name") != "tagstream":
        return None
    parts = (texts.get(f"__connect.errors.{part}", "") for part in ("topic", "partition", "offset"))
    return TopicPartitionOffset.parse("/".join(parts))


def original_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The headers without the explanation of a fault and without those of an earlier replay."""
    return [(name, content) for name, content in headers if name not in _OURS]


def replay_headers(letter: Record, failed: TopicPartitionOffset) -> list[tuple[str, bytes | None]]:
    """The original headers, followed by those that say what is replayed.

    The letter of an event that was replayed before keeps that event's first place and time.

    Args:
        letter: The dead letter.
        failed: The place of the record that it is about, from `failed_place`.
    """
    origin = read_origin(letter.headers) or Origin(failed, _published_at(letter))
    place = str(TopicPartitionOffset(letter.topic, letter.partition, letter.offset))
    original = original_headers(letter.headers)
    count = str(replays_of(letter.headers) + 1).encode()
    return [*original, *origin_headers(origin), (REPLAY_LETTER, place.encode()), (REPLAYS, count)]


def replays_of(headers: Headers) -> int:
    """How often an event was replayed, by its headers or its letter's; without a number it was once."""
    texts = header_texts([header for header in headers if header[0] in REPLAY_HEADERS])
    told = _COUNT.fullmatch(texts.get(REPLAYS, ""))
    return int(told[0]) if told else int(REPLAY_LETTER in texts)


def _published_at(letter: Record) -> int:
    """The original record's time; letters of older versions do not tell it, and were written later."""
    time = read_time(header_texts(letter.headers).get("tagstream.timestamp", ""))
    return letter.timestamp if time is None else time


def replayed_letter(headers: Headers) -> TopicPartitionOffset | None:
    """The place of the dead letter that a record is a replay of; None: it is no replay."""
    texts = header_texts([header for header in headers if header[0] == REPLAY_LETTER])
    return TopicPartitionOffset.parse(texts.get(REPLAY_LETTER, ""))
