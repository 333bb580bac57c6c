"""The transactions of rises: fence, load, commit, as a unit's ledger does it.

What is told, the rises that go on and how far counts are judged are one transaction. So each step is judged
once, whoever dies, and which counts it was judged by is known: the offsets of `tag.counts`.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from schemas.cloudevents import event_headers
from schemas.errors import InvariantError
from schemas.streams.records import Trend, TrendKey
from schemas.topics import OFFSET_KEY, TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import read_partition
from streams.kafka.producers import close_producer, take_over, transaction
from streams.rises.rise import Rise

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

PARTITION = 0  # of both topics: what is told of a tag stays in order
_Message = tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]  # topic, key, value, headers


class Progress(msgspec.Struct, frozen=True):
    """How far counts are judged.

    Attributes:
        first: The first step of the last transaction, seconds since the epoch.
        judged: Its last one.
        offsets: By partition of `tag.counts` the offset before which all records were counted.
    """

    first: int
    judged: int
    offsets: dict[str, int] = {}


@dataclass
class Judged:
    """What a transaction is to hold."""

    progress: Progress
    told: Sequence[Trend] = ()
    rises: Mapping[tuple[str, str], Rise | None] = field(default_factory=dict)  # by tenant and tag


class RiseLedger:
    """The only way to change rises.

    Attributes:
        rises: Those that go on, by tenant and tag.
        progress: None: nothing is judged yet.
    """

    def __init__(
        self, connection: KafkaConnection, names: TopicNames, headers: Mapping[str, tuple[str, bytes]]
    ) -> None:
        """Make a ledger; `open` takes over.

        Args:
            connection: Where the topics are.
            names: What they are called.
            headers: By topic the one that names its schema, if any.
        """
        self.rises: dict[tuple[str, str], Rise] = {}
        self.progress: Progress | None = None
        self._connection = connection
        self._names = names
        self._more = headers
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Fence every earlier owner, then load what was committed.

        Raises:
            KafkaError: The broker refuses or does not answer.
        """
        names = self._names
        written = (names.image_trends, names.rises_changelog)
        self._producer = await take_over(self._connection, f"{names.app_id}-trends", written)
        reading = read_partition(self._connection, names.rises_changelog, PARTITION)
        async with contextlib.aclosing(reading) as records:
            async for record in records:
                self._load(record.key or b"", record.value)

    def _load(self, key: bytes, value: bytes | None) -> None:
        if key == OFFSET_KEY.encode():
            self.progress = None if value is None else msgspec.json.decode(value, type=Progress)
            return
        place = msgspec.json.decode(key, type=TrendKey)
        if value is None:
            self.rises.pop((place.tenant, place.tag), None)
        else:
            self.rises[place.tenant, place.tag] = msgspec.json.decode(value, type=Rise)

    async def close(self) -> None:
        """Stop the producer. A transaction that is still open is left to the next owner's fence."""
        if self._producer is not None:
            await close_producer(self._producer)

    async def commit(self, judged: Judged) -> None:
        """Make it true.

        Raises:
            Exception: The outcome is unknown, or another owner took over. The caller must end the process.
        """
        await self._transact(self._messages(judged))
        self.progress = judged.progress
        for place, rise in judged.rises.items():
            if rise is None:
                self.rises.pop(place, None)
            else:
                self.rises[place] = rise

    def _messages(self, judged: Judged) -> list[_Message]:
        encode, rows = msgspec.json.encode, self._names.rises_changelog
        told = [
            (
                self._names.image_trends,
                encode(TrendKey(each.tenant, each.tag)),
                encode(each),
                self._headers(each),
            )
            for each in judged.told
        ]
        changed: list[_Message] = [
            (rows, encode(TrendKey(*place)), None if rise is None else encode(rise), [])
            for place, rise in judged.rises.items()
        ]
        return [*told, *changed, (rows, OFFSET_KEY.encode(), encode(judged.progress), [])]

    def _headers(self, trend: Trend) -> list[tuple[str, bytes]]:
        source = f"tagstream:{self._names.app_id}"
        kind = f"tagstream.{trend.phase.value}"
        ours = event_headers(id=f"{trend.rise}-{trend.phase.name.lower()}", source=source, type=kind)
        more = self._more.get(self._names.image_trends)
        return [*ours, more] if more else ours

    async def _transact(self, messages: Sequence[_Message]) -> None:
        producer = self._producer
        if producer is None:
            raise InvariantError("commit before open")
        async with transaction(producer):
            sends = [
                await producer.send(topic, value, key, PARTITION, headers=headers)
                for topic, key, value, headers in messages
            ]
            await asyncio.gather(*sends)  # a commit would succeed even where a send failed
