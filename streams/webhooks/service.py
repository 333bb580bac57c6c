"""The role `webhooks`: the partitions that the group gives this process, each with a unit of its own.

The group is for who owns what, and its offsets are for lag monitors; each unit reads by itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import close_consumer
from streams.webhooks.unit import Sending, WebhookUnit

log = logging.getLogger(__name__)

_TELL_EVERY_MS = 5000
_GIVING_BACK_MS = 30_000  # that requests under way and their commit may take
_FOR_EVER_MS = 10**9  # it is never asked for records, and must not be taken for hung


class WebhookService:
    """The partitions in work.

    Attributes:
        units: By partition.
        assigned: Set once the group has said which partitions are ours.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames, sending: Sending) -> None:
        self.units: dict[int, WebhookUnit] = {}
        self.assigned = asyncio.Event()
        self._connection = connection
        self._names = names
        self._sending = sending

    @property
    def topic(self) -> str:
        """Its partitions are those that are owned."""
        return self._names.categorizations

    @property
    def pending(self) -> int:
        """Notifications that wait or are under way."""
        return sum(len(unit.lanes) for unit in list(self.units.values()))

    @property
    def oldest_since(self) -> int | None:
        """When the oldest of them was made, milliseconds since the epoch."""
        sinces = (unit.lanes.oldest_since for unit in list(self.units.values()))
        return min(filter(None, sinces), default=None)

    @property
    def behind(self) -> int:
        """Records that are known of and have led to no notification yet."""
        return sum(unit.behind for unit in list(self.units.values()))

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            KafkaError: The broker refuses.
        """
        consumer = AIOKafkaConsumer(
            **self._connection.aiokafka_options(),
            group_id=f"{self._names.app_id}-webhooks",
            enable_auto_commit=False,
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=6000,
            rebalance_timeout_ms=_GIVING_BACK_MS,
            heartbeat_interval_ms=1500,
            max_poll_interval_ms=_FOR_EVER_MS,
            fetch_max_bytes=1,
            max_partition_fetch_bytes=1,
        )
        listener = _Listener(self, consumer)
        consumer.subscribe([self._names.categorizations, self._names.tag_updates], listener=listener)
        await consumer.start()
        try:
            while True:
                await consumer.getmany(timeout_ms=_TELL_EVERY_MS)  # raises what the group refuses
                await self._tell(consumer)
        finally:
            await self.close()
            await close_consumer(consumer)

    async def own(self, partitions: set[int]) -> None:
        """Work on these partitions."""
        for partition in sorted(partitions - self.units.keys()):
            self.units[partition] = WebhookUnit(self._connection, self._names, partition, self._sending)
            self.units[partition].start()
        self.assigned.set()
        log.info("webhooks of partitions %s", sorted(partitions))

    async def close(self) -> None:
        """Let go of all partitions."""
        gone = list(self.units.values())
        self.units.clear()
        await asyncio.gather(*(unit.close() for unit in gone))

    def fail(self, error: BaseException) -> None:
        """End the process: who owns what is in doubt."""
        self._sending.end_process("webhooks", error)

    async def _tell(self, consumer: AIOKafkaConsumer) -> None:
        """Say for lag monitors how far we are."""
        assigned = consumer.assignment()
        offsets = {place: offset for place, offset in self._offsets() if place in assigned}
        if offsets:
            with contextlib.suppress(KafkaError):  # the next one comes soon
                await consumer.commit(offsets)

    def _offsets(self) -> Iterator[tuple[TopicPartition, int]]:
        for partition, unit in self.units.items():
            for topic, offset in unit.next_offsets.items():
                yield TopicPartition(topic, partition), offset


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """What the group decides. What fails here would only be logged."""

    def __init__(self, service: WebhookService, consumer: AIOKafkaConsumer) -> None:
        self._service = service
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        try:
            await self._service.close()
        except Exception as error:  # noqa: BLE001 - the process ends
            self._service.fail(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        try:
            self._consumer.pause(*assigned)
            topic = self._service.topic
            await self._service.own({place.partition for place in assigned if place.topic == topic})
        except Exception as error:  # noqa: BLE001 - the process ends
            self._service.fail(error)
