"""The role `trends`: of all processes that have it, the group chooses the one that judges."""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.groups.ownership import own_in_group
from streams.rises.ledger import PARTITION
from streams.rises.unit import Judging, RiseUnit

log = logging.getLogger(__name__)


class RiseService:
    """Judges while the group says so.

    Attributes:
        unit: What judges; None: another process does.
        assigned: Set once the group has said who does.
    """

    offsets: Mapping[TopicPartition, int] = {}

    def __init__(self, connection: KafkaConnection, names: TopicNames, judging: Judging) -> None:
        self.unit: RiseUnit | None = None
        self.assigned = asyncio.Event()
        self._connection = connection
        self._names = names
        self._judging = judging

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            KafkaError: The broker refuses.
        """
        names = self._names
        await own_in_group(
            self._connection, f"{names.app_id}-trends", [names.image_trends], RangePartitionAssignor, self
        )

    async def own(self, places: set[TopicPartition]) -> None:
        """Judge, if the partition that rises are told in is ours."""
        if self.unit is None and PARTITION in {place.partition for place in places}:
            self.unit = RiseUnit(self._connection, self._names, self._judging)
            self.unit.start()
            log.info("this process judges trends")
        self.assigned.set()

    async def close(self) -> None:
        """Let go."""
        unit, self.unit = self.unit, None
        if unit is not None:
            await unit.close()

    def fail(self, error: BaseException) -> None:
        """End the process: who judges is in doubt."""
        self._judging.end_process("trends", error)

    async def take_turn(self) -> None:
        """Nothing is due."""
