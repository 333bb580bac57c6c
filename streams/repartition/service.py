"""The partitions of the upload topics that the group gives this process, each at work by itself.

The group is for who owns what, and its offsets are for lag monitors; each partition knows where it stands.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from streams.kafka.groups.ownership import own_in_group
from streams.repartition.input_partition import InputPartition, Repartitioning
from streams.repartition.purging import Purge

log = logging.getLogger(__name__)


class RepartitionService:
    """The partitions in work.

    Attributes:
        inputs: By partition of an upload topic.
        assigned: Set once the group has said which partitions are ours.
    """

    def __init__(self, shared: Repartitioning, folded: Callable[[], Mapping[int, int]]) -> None:
        """Prepare.

        Args:
            shared: What all partitions share.
            folded: Gives the first offset that is not folded in, of each partition of the state that is ours.
        """
        self.inputs: dict[TopicPartition, InputPartition] = {}
        self.assigned = asyncio.Event()
        self._shared = shared
        self._purge = Purge(shared.connection, shared.names.upload_log, folded)

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """How far each partition is copied, as far as that is known."""
        return {place: each.point.next for place, each in self.inputs.items() if each.point}

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            KafkaError: The broker refuses.
        """
        names = self._shared.names
        await own_in_group(
            self._shared.connection,
            names.repartition_group,
            names.copied,
            RoundRobinPartitionAssignor,
            self,
        )

    async def own(self, places: set[TopicPartition]) -> None:
        """Work on these partitions."""
        for place in sorted(places - self.inputs.keys()):
            self.inputs[place] = InputPartition(place, self._shared)
            self.inputs[place].start()
        self.assigned.set()
        owned = ", ".join(f"{place.topic}/{place.partition}" for place in sorted(places))
        log.info("repartitioning %s", owned or "nothing: others do")

    async def close(self) -> None:
        """Let go of all partitions."""
        gone = list(self.inputs.values())
        self.inputs.clear()
        await asyncio.gather(*(each.close() for each in gone))

    def fail(self, error: BaseException) -> None:
        """End the process: who owns what is in doubt."""
        self._shared.end_process("repartitioning", error)

    async def take_turn(self) -> None:
        """Delete what is folded in, where all of the log are copies."""
        if self._shared.names.inputs:
            await self._purge.run()
