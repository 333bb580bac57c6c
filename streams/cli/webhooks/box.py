"""The notifications that were given up and not sent again since: reading them, and asking for another try."""

import asyncio
import contextlib
import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.topics import MAX_RECORD_BYTES, TopicNames
from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import find_offset_ranges, read_offset_ranges
from streams.kafka.producers import open_producer
from streams.webhooks.delivering import MESSAGE, REASON
from streams.webhooks.lanes import receiver_of
from streams.webhooks.rows import REPLAY, PendingRow, decode_row

_CHUNK = 200


@dataclass(frozen=True)
class GivenUp:
    """A notification that was given up.

    Attributes:
        id: What names it.
        record: The dead letter.
        asked: Whether somebody wants it sent again, and nobody has done so yet.
    """

    id: str
    row: PendingRow
    reason: str
    message: str
    record: Record
    asked: bool = False

    @property
    def receiver(self) -> str:
        """Host and port that it was for."""
        return receiver_of(self.row.url)


@dataclass(frozen=True)
class Selection:
    """Which of them are meant; what is empty means all. Names may be patterns such as `http_5*`."""

    ids: Collection[str] = ()
    clouds: Sequence[str] = ()
    receivers: Sequence[str] = ()
    reasons: Sequence[str] = ()

    def has(self, letter: GivenUp) -> bool:
        """Whether this one is meant."""
        named = not self.ids or letter.id in self.ids
        given = (
            (letter.row.cloud, self.clouds),
            (letter.receiver, self.receivers),
            (letter.reason, self.reasons),
        )
        return named and all(not names or _matches(text, names) for text, names in given)


async def given_up(connection: KafkaConnection, names: TopicNames, selection: Selection) -> list[GivenUp]:
    """Those that are there and meant, the oldest first."""
    ranges = await find_offset_ranges(connection, names.notification_dead_letters)
    found: dict[str, GivenUp] = {}
    asked: set[str] = set()
    async with contextlib.aclosing(read_offset_ranges(connection, ranges)) as records:
        async for record in records:
            key = (record.key or b"").decode(errors="replace")
            if key.startswith(REPLAY):
                (asked.discard if record.value is None else asked.add)(key.removeprefix(REPLAY))
            elif record.value is None:
                found.pop(key, None)
            elif (letter := _letter(key, record)) is not None:
                found.pop(key, None)
                found[key] = letter
    return [
        GivenUp(each.id, each.row, each.reason, each.message, each.record, key in asked)
        for key, each in found.items()
        if selection.has(each)
    ]


async def send_again(connection: KafkaConnection, names: TopicNames, letters: Sequence[GivenUp]) -> None:
    """Ask whoever runs the role `webhooks` to try these once more.

    Raises:
        KafkaError: Not all could be asked for; to ask again does no harm.
    """
    options: dict[str, Any] = {"max_request_size": MAX_RECORD_BYTES}
    async with open_producer(connection, **options) as producer:
        for start in range(0, len(letters), _CHUNK):
            sends = [
                await producer.send(
                    names.notification_dead_letters,
                    letter.record.value,
                    f"{REPLAY}{letter.id}".encode(),
                    letter.record.partition,
                )
                for letter in letters[start : start + _CHUNK]
            ]
            await asyncio.gather(*sends)


def _letter(key: str, record: Record) -> GivenUp | None:
    texts = {name: (content or b"").decode(errors="replace") for name, content in record.headers}
    try:
        row = decode_row(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # none of ours
    return GivenUp(key, row, texts.get(REASON, "unknown"), texts.get(MESSAGE, ""), record)


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)
