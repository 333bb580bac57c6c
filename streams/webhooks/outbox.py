"""The transactions of one partition's notifications: fence, load, commit.

As a unit's ledger does it: whoever owns the partition starts a producer under its name, which refuses every
earlier owner from then on, and then reads what is committed. Rows, dead letters and how far the output topics
are read are one transaction, so a record leads to its rows once, whoever dies.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.cloudevents import Headers
from schemas.errors import InvariantError
from schemas.topics import OFFSET_KEY, TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import read_partition
from streams.kafka.producers import close_producer, take_over, transaction
from streams.webhooks.rows import PendingRow, Progress, decode_progress, decode_row, encode

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer


@dataclass(frozen=True)
class Letter:
    """A record for the topic of dead letters; without a value: what was there is settled."""

    key: str
    value: bytes | None
    headers: Headers = ()


@dataclass
class Entries:
    """What a transaction is to hold.

    Attributes:
        rows: Notifications to be sent.
        settled: Keys of rows that are delivered, or are dead letters now.
        letters: Records for the topic of dead letters.
        next: By topic how far it is read.
    """

    rows: list[PendingRow] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    next: dict[str, int] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether they hold more than how far topics are read."""
        return bool(self.rows or self.settled or self.letters)


class Outbox:
    """The only way to change what is pending in a partition.

    Attributes:
        progress: How far the output topics are read, as committed; None before `open`, or if nothing is.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames, partition: int) -> None:
        self.progress: Progress | None = None
        self._connection = connection
        self._names = names
        self._partition = partition
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> list[PendingRow]:
        """Fence every earlier owner, then load what was committed; return the rows by their numbers.

        Raises:
            KafkaError: The broker refuses or does not answer.
        """
        names = self._names
        written = (names.notifications, names.notification_dead_letters)
        owner = f"{names.app_id}-webhooks-{self._partition}"
        self._producer = await take_over(self._connection, owner, written)
        rows: dict[str, PendingRow] = {}
        reading = read_partition(self._connection, names.notifications, self._partition)
        async with contextlib.aclosing(reading) as records:
            async for record in records:
                self._load(rows, (record.key or b"").decode(), record.value)
        return sorted(rows.values(), key=lambda row: row.sequence)

    def _load(self, rows: dict[str, PendingRow], key: str, value: bytes | None) -> None:
        if value is None:
            rows.pop(key, None)
        elif key == OFFSET_KEY:
            self.progress = decode_progress(value)
        else:
            rows[key] = decode_row(value)

    async def close(self) -> None:
        """Stop the producer. A transaction that is still open is left to the next owner's fence."""
        if self._producer is not None:
            await close_producer(self._producer)

    async def commit(self, entries: Entries, sequence: int) -> None:
        """Make entries true together; `sequence` is the number of the next row.

        Raises:
            Exception: The outcome is unknown, or another owner took over. The caller must end the process.
        """
        known = self.progress.next if self.progress is not None else {}
        progress = Progress(next={**known, **entries.next}, sequence=sequence)
        await self._transact(entries, progress)
        self.progress = progress

    async def _transact(self, entries: Entries, progress: Progress) -> None:
        if self._producer is None:
            raise InvariantError("commit before open")
        rows = [Letter(row.key, encode(row)) for row in entries.rows]
        gone = [Letter(key, None) for key in entries.settled]
        letters = self._names.notification_dead_letters
        async with transaction(self._producer):
            await self._send(self._names.notifications, [*rows, *gone, Letter(OFFSET_KEY, encode(progress))])
            await self._send(letters, entries.letters)

    async def _send(self, topic: str, records: Sequence[Letter]) -> None:
        """Send and wait: a commit would succeed even where a send failed."""
        producer = self._producer
        if producer is None:
            raise InvariantError("send before open")
        sends = [
            await producer.send(
                topic, each.value, each.key.encode(), self._partition, headers=list(each.headers)
            )
            for each in records
        ]
        await asyncio.gather(*sends)
