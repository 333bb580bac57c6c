"""Partitions that a consumer group gives this process, for those who read their records by themselves.

The group is for who owns what, and its offsets are for lag monitors: its consumer is never asked for records.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.errors import KafkaError

from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import close_consumer

_TELL_EVERY_MS = 5000
_GIVING_BACK_MS = 30_000  # that work under way and its commit may take
_FOR_EVER_MS = 10**9  # it must not be taken for hung
_LEARN_MS = 30_000  # until partitions that a topic has gained are shared out


class OwnsPartitions(Protocol):
    """Who works on what the group gives."""

    @property
    def offsets(self) -> Mapping[TopicPartition, int]:
        """How far each partition in work is done."""

    async def own(self, places: set[TopicPartition]) -> None:
        """Work on these partitions."""

    async def close(self) -> None:
        """Let go of all partitions."""

    async def take_turn(self) -> None:
        """Do what is due once in a while."""

    def fail(self, error: BaseException) -> None:
        """End the process: who owns what is in doubt."""


async def own_in_group(
    connection: KafkaConnection,
    group: str,
    topics: Iterable[str],
    assignor: type[AbstractPartitionAssignor],
    owner: OwnsPartitions,
) -> None:
    """Be in a group until cancelled; the owner hears what it decides.

    Raises:
        KafkaError: The broker refuses.
    """
    consumer = AIOKafkaConsumer(
        **connection.aiokafka_options(),
        group_id=group,
        enable_auto_commit=False,
        isolation_level="read_committed",
        partition_assignment_strategy=[assignor],
        session_timeout_ms=6000,
        rebalance_timeout_ms=_GIVING_BACK_MS,
        heartbeat_interval_ms=1500,
        max_poll_interval_ms=_FOR_EVER_MS,
        metadata_max_age_ms=_LEARN_MS,
        fetch_max_bytes=1,
        max_partition_fetch_bytes=1,
    )
    consumer.subscribe(list(topics), listener=_Listener(owner, consumer))
    await consumer.start()
    try:
        while True:
            await consumer.getmany(timeout_ms=_TELL_EVERY_MS)  # raises what the group refuses
            await _tell(consumer, owner)
            await owner.take_turn()
    finally:
        await owner.close()
        await close_consumer(consumer)


async def _tell(consumer: AIOKafkaConsumer, owner: OwnsPartitions) -> None:
    """Say for lag monitors how far we are."""
    assigned = consumer.assignment()
    offsets = {place: offset for place, offset in owner.offsets.items() if place in assigned}
    if offsets:
        with contextlib.suppress(KafkaError):  # the next one comes soon
            await consumer.commit(offsets)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """What the group decides. What fails here would only be logged."""

    def __init__(self, owner: OwnsPartitions, consumer: AIOKafkaConsumer) -> None:
        self._owner = owner
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        try:
            await self._owner.close()
        except Exception as error:  # noqa: BLE001 - the process ends
            self._owner.fail(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        try:
            self._consumer.pause(*assigned)
            await self._owner.own(set(assigned))
        except Exception as error:  # noqa: BLE001 - the process ends
            self._owner.fail(error)
