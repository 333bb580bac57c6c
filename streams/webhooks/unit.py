"""One partition's notifications: from the output topics to rows, from rows to receivers.

Three tasks share one state: reading makes rows of records, the committer alone changes what is committed, and
the sender gives each due notification to a request of its own. A notification is sent once its row is
committed, and the next one of its asset once its delivery is.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from schemas.times import steady_time
from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.units.faults import innermost
from streams.webhooks.committing import Committer
from streams.webhooks.delivering import Deliverer
from streams.webhooks.intake import Intake
from streams.webhooks.lanes import Lanes, Room
from streams.webhooks.merged_log import Batch, MergedLog
from streams.webhooks.meter import WebhookMeter
from streams.webhooks.outbox import Entries, Outbox
from streams.webhooks.sending import Sender

log = logging.getLogger(__name__)

_FULL_PAUSE = 0.5  # seconds until it is looked again whether there is room
_GOODBYE = 5.0  # seconds that requests under way may take when the partition is given back
_FULL = "too many notifications wait for this receiver"


@dataclass(frozen=True)
class Sending:
    """What all partitions of a process share.

    Attributes:
        slots: As many requests may be under way at once.
        end_process: Called with what failed, and why.
    """

    intake: Intake
    deliverer: Deliverer
    room: Room
    slots: asyncio.Semaphore
    end_process: Callable[[str, BaseException], None]
    meter: WebhookMeter | None = None


class WebhookUnit:
    """One owned partition.

    Attributes:
        lanes: What is pending.
    """

    def __init__(
        self, connection: KafkaConnection, names: TopicNames, partition: int, sending: Sending
    ) -> None:
        self.partition = partition
        self.lanes = Lanes(sending.room)
        self._sending = sending
        self._outbox = Outbox(connection, names, partition)
        self._log = MergedLog(connection, sending.intake.topics, partition)
        self._committer = Committer(self._outbox, self.lanes, self._wake)
        self._sender = Sender(self.lanes, sending.deliverer, self._committer, sending.slots, sending.meter)
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether what is pending is loaded and records are read."""
        return self._ready.is_set()

    @property
    def behind(self) -> int:
        """Records that are known of and not read."""
        return self._log.behind

    @property
    def next_offsets(self) -> dict[str, int]:
        """By topic how far it is read, as committed."""
        progress = self._outbox.progress
        return {} if progress is None else progress.next

    def start(self) -> None:
        """Begin to work, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"webhooks-{self.partition}")

    async def close(self) -> None:
        """Let requests under way end, commit what came of them, and let go."""
        if self._task is None:
            return
        await self._sender.finish(_GOODBYE)
        await self._committer.drained(_GOODBYE)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._load()
            async with self._log, asyncio.TaskGroup() as tasks:
                await self._begin()
                self._ready.set()
                tasks.create_task(self._read())
                tasks.create_task(self._committer.commit_for_ever())
                tasks.create_task(self._sender.send_for_ever())
        except Exception as error:  # whatever it was: loading anew gives the truth
            log.critical("webhooks of partition %d failed", self.partition, exc_info=error)
            self._sending.end_process(f"webhooks of partition {self.partition}", innermost(error))
        finally:
            self._ready.clear()
            await self._outbox.close()

    async def _load(self) -> None:
        for row in await self._outbox.open():
            self.lanes.add(row)
        self._committer.sequence = self._outbox.progress.sequence if self._outbox.progress else 0
        log.info("webhooks of partition %d: %d notifications pending", self.partition, len(self.lanes))

    async def _begin(self) -> None:
        """Note where a partition that nobody has read yet is read from, so that no restart moves that."""
        if self._outbox.progress is None:
            begin = await self._log.recent(int(steady_time() * 1000))
            await self._outbox.commit(Entries(next=begin), self._committer.sequence)

    async def _read(self) -> None:
        async for batch in self._log.batches(self.next_offsets):
            while self.lanes.must_drain:
                await self._committer.next_commit(_FULL_PAUSE)
            await self._committer.add(await self._entries(batch))

    async def _entries(self, batch: Batch) -> Entries:
        now, sequence = int(steady_time() * 1000), self._committer.sequence
        entries = await asyncio.to_thread(self._sending.intake.entries, batch, sequence, now)
        refused = [row for row in entries.rows if not self.lanes.has_room_for(row)]
        if refused:
            letters = [self._sending.deliverer.letter(row, "backlog_full", _FULL) for row in refused]
            entries.letters += letters
            gone = {row.key for row in refused}
            entries.rows = [row for row in entries.rows if row.key not in gone]
        return entries

    def _wake(self) -> None:
        self._sender.wake()
