"""The partitions of the upload topics that the group gives this process, each at work by itself.

The group is for who owns what, and its offsets are for lag monitors; each partition knows where it stands.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from streams.kafka.consumers import close_consumer
from streams.repartition.input_partition import InputPartition, Repartitioning
from streams.repartition.purging import Purge

log = logging.getLogger(__name__)

_TELL_EVERY_MS = 5000
_GIVING_BACK_MS = 30_000  # that a commit under way may take
_FOR_EVER_MS = 10**9  # it is never asked for records, and must not be taken for hung
_LEARN_MS = 30_000  # until partitions that an upload topic has gained are shared out


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

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            KafkaError: The broker refuses.
        """
        names = self._shared.names
        consumer = AIOKafkaConsumer(
            **self._shared.connection.aiokafka_options(),
            group_id=names.repartition_group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            session_timeout_ms=6000,
            rebalance_timeout_ms=_GIVING_BACK_MS,
            heartbeat_interval_ms=1500,
            max_poll_interval_ms=_FOR_EVER_MS,
            metadata_max_age_ms=_LEARN_MS,
            fetch_max_bytes=1,
            max_partition_fetch_bytes=1,
        )
        consumer.subscribe(list(names.uploads_topics), listener=_Listener(self, consumer))
        await consumer.start()
        try:
            while True:
                await consumer.getmany(timeout_ms=_TELL_EVERY_MS)  # raises what the group refuses
                await self._tell(consumer)
                await self._purge.run()
        finally:
            await self.close()
            await close_consumer(consumer)

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

    async def _tell(self, consumer: AIOKafkaConsumer) -> None:
        """Say for lag monitors how far we are."""
        assigned = consumer.assignment()
        offsets = {
            place: each.point.next for place, each in self.inputs.items() if each.point and place in assigned
        }
        if offsets:
            with contextlib.suppress(KafkaError):  # the next one comes soon
                await consumer.commit(offsets)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """What the group decides. What fails here would only be logged."""

    def __init__(self, service: RepartitionService, consumer: AIOKafkaConsumer) -> None:
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
            await self._service.own(set(assigned))
        except Exception as error:  # noqa: BLE001 - the process ends
            self._service.fail(error)
