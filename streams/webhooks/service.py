"""The role `webhooks`: the partitions that the group gives this process, each with a unit of its own.

The group is for who owns what, and its offsets are for lag monitors; each unit reads by itself.
"""

import asyncio
import logging

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.groups.ownership import own_in_group
from streams.webhooks.unit import Sending, WebhookUnit

log = logging.getLogger(__name__)


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

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """How far each partition of each topic has led to notifications."""
        return {
            TopicPartition(topic, partition): offset
            for partition, unit in self.units.items()
            for topic, offset in unit.next_offsets.items()
        }

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            KafkaError: The broker refuses.
        """
        names = self._names
        await own_in_group(
            self._connection,
            f"{names.app_id}-webhooks",
            [names.categorizations, names.tag_updates],
            RangePartitionAssignor,
            self,
        )

    async def own(self, places: set[TopicPartition]) -> None:
        """Work on these partitions."""
        partitions = {place.partition for place in places if place.topic == self._names.categorizations}
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

    async def take_turn(self) -> None:
        """Nothing is due."""
