"""A rescale from the first look to the last: refuse, mark, fence, move, unmark.

Nobody else can change the state meanwhile. The marker keeps workers from starting, and each ledger that is
opened here refuses those that had started before. A run that was cut short leaves the marker, and the next
one finds by the rows what is left.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from schemas.errors import BadEventError, InvariantError
from schemas.topics import TopicNames
from schemas.uploads import parse_upload
from streams.fold.changes import Changes
from streams.fold.outcomes import Forwarded, Output
from streams.fold.outputs import forwarded_output
from streams.fold.retention import KEEPS_ALL
from streams.fold.retries import end_retry, record_of
from streams.fold.rows import ALL
from streams.fold.settling import settle
from streams.fold.streams.filling import forget_filled
from streams.fold.streams.tag_counts import Share
from streams.fold.streams.told import told
from streams.fold.trend_rows.count_rows import decode_count
from streams.fold.trend_rows.recent import is_recent
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.connection import KafkaConnection
from streams.kafka.partitioning import partition_for
from streams.rescale.moving import Memory, Move, misplaced
from streams.rescale.report import Report
from streams.rescale.topics import checked_counts, grow, mark, require_idle, unmark, until_grown
from streams.state.partition import PartitionState
from streams.units.ledger import Ledger

_IMAGES = 2000  # in one transaction
_BYTES = 4_000_000  # of their rows
_TAGS = 2000  # whose latest uses are settled in one transaction
_OPENED_AT_ONCE = 4


@dataclass(frozen=True)
class Totals:
    """What must be the same before and after."""

    images: int
    counted: int

    @classmethod
    def of(cls, states: list[PartitionState]) -> "Totals":
        """The images, and how often tags are assigned to them in all."""
        alls = (
            row for state in states for key, row in state.rows["trends"].items() if key.startswith(f"{ALL}:")
        )
        return cls(
            sum(len(state.rows["images"]) for state in states), sum(decode_count(row).n for row in alls)
        )


class RescaleJob:
    """One rescale.

    Attributes:
        report: How far it is.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        partitions: int,
        *,
        accepted: str = "",
        on_progress: Callable[[Report], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            connection: How to reach Kafka.
            names: The deployment's topics.
            partitions: How many the state is to have.
            accepted: As the ledger's.
            on_progress: Called whenever the report has changed.
        """
        self.report = Report(partitions)
        self._connection = connection
        self._names = names
        self._partitions = partitions
        self._accepted = accepted
        self._on_progress = on_progress

    async def run(self) -> None:
        """Do it, or go on with it.

        Raises:
            TopicsError: It cannot be done; the message has the cure.
            KafkaError: The broker refuses, or does not answer.
            Exception: Somebody else has taken a partition over, or a commit is in doubt: run it again.
        """
        names, wanted = self._names, self._partitions
        groups = (names.app_id, names.repartition_group, f"{names.app_id}-webhooks", f"{names.app_id}-trends")
        async with open_admin(self._connection) as admin:
            found = checked_counts(await partition_counts(admin), names, wanted)
            await require_idle(admin, groups)
            await grow(admin, found, wanted, rehearse=True)
            await mark(admin, names, wanted)
            await grow(admin, found, wanted)
            await until_grown(admin, found, wanted)
            await require_idle(admin, groups)
            async with self._ledgers() as ledgers:
                await self._move_all(ledgers)
            await unmark(admin, names)

    @contextlib.asynccontextmanager
    async def _ledgers(self) -> AsyncIterator[list[Ledger]]:
        """Take all partitions over, and let go of them."""
        ledgers = [
            Ledger(self._connection, self._names, PartitionState(number), accepted=self._accepted, moves=True)
            for number in range(self._partitions)
        ]
        opening = asyncio.Semaphore(_OPENED_AT_ONCE)

        async def open_one(ledger: Ledger) -> None:
            async with opening:
                await ledger.open()

        try:
            async with asyncio.TaskGroup() as tasks:
                for ledger in ledgers:
                    tasks.create_task(open_one(ledger))
            yield ledgers
        finally:
            await asyncio.gather(*(ledger.close() for ledger in ledgers))

    async def _move_all(self, ledgers: list[Ledger]) -> None:
        for ledger in ledgers:
            await self._settle(ledger)
        states, memory = [ledger.state for ledger in ledgers], Memory()
        before = Totals.of(states)
        left = {state.partition: misplaced(state, self._partitions) for state in states}
        self.report.images, self.report.total = before.images, sum(map(len, left.values()))
        self.report.waiting = sum(len(state.rows["retries"]) for state in states)
        self._on_progress(self.report)
        for ledger in ledgers:
            await self._forward_waiting(ledger)
            for images in _portions(ledger.state, left[ledger.state.partition]):
                await self._move(ledger, states, images, memory)
                self.report.moved += len(images)
                self._on_progress(self.report)
        after = Totals.of(states)
        if before != after:
            raise InvariantError(
                f"{before} before the move, {after} after it; the topic of the rescale stays"
            )

    async def _settle(self, ledger: Ledger) -> None:
        """Let what came lately of tags go to their buckets: from there an image takes its part along."""
        state = ledger.state
        waiting = [key for key in state.rows["trends"] if is_recent(key)]
        for start in range(0, len(waiting), _TAGS):
            changes = Changes(state.rows)
            for key in waiting[start : start + _TAGS]:
                settle(changes, key, KEEPS_ALL)
            await ledger.commit(changes, state.next_offset)

    async def _forward_waiting(self, ledger: Ledger) -> None:
        """Send events that wait for their sources to the log of the partition of their image."""
        state = ledger.state
        changes = Changes(state.rows)
        for row in list(state.rows["retries"].values()):
            record = record_of(row, state.partition)
            try:
                upload = parse_upload(record)
            except BadEventError:
                continue
            owner = partition_for(upload.public_id, self._partitions)
            if owner != state.partition:
                changes.emit(forwarded_output(record, Forwarded(upload, owner), self._names))
                end_retry(changes, record)
        if changes.outputs:
            await ledger.commit(changes, state.next_offset)

    async def _move(
        self, ledger: Ledger, states: list[PartitionState], images: list[str], memory: Memory
    ) -> None:
        source = ledger.state.partition
        move = Move(dict(enumerate(states)), source, memory)
        move.move(images)
        for changes in move.changes.values():
            forget_filled(changes)
        theirs = {
            partition: list(changes.encoded())
            for partition, changes in move.changes.items()
            if partition != source
        }
        for partition, rows in theirs.items():
            for table, key, value in rows:
                topic = self._names.changelog(table)
                move.changes[source].emit(Output(topic, key.encode(), value, (), partition))
            share = Share(partition, states[partition].stream_time)
            for output in told(move.changes[partition], self._names, share):
                move.changes[source].emit(output)
        await ledger.commit(move.changes[source], ledger.state.next_offset)
        for partition, rows in theirs.items():
            for table, key, value in rows:
                states[partition].apply(table, key, value)


def _portions(state: PartitionState, images: list[str]) -> Iterator[list[str]]:
    """Images in portions that a transaction bears."""
    portion, size = list[str](), 0
    for image in images:
        portion.append(image)
        size += len(state.rows["images"][image])
        if len(portion) >= _IMAGES or size >= _BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
