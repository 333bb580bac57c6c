"""How far the workers are: what they have committed of the upload topic, asked from outside."""

import asyncio
from collections.abc import Mapping
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka_connection import KafkaConnection
from streams.topics import TopicNames

_POLL = 0.1  # seconds


class FoldedOffsets:
    """Asks for the group offsets, which travel in the same transactions as the outcomes.

    Use as an async context manager.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._names = names
        self._admin = AIOKafkaAdminClient(**connection.aiokafka_options())

    async def __aenter__(self) -> Self:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def now(self) -> Mapping[int, int]:
        """Give for each partition the first offset that is not folded in; those without a commit are absent.

        Raises:
            KafkaError: The broker does not answer.
        """
        offsets = await self._admin.list_consumer_group_offsets(self._names.app_id)
        return {
            place.partition: committed.offset
            for place, committed in offsets.items()
            if place.topic == self._names.uploads
        }

    async def until(self, partition: int, offset: int) -> None:
        """Wait until an event is folded in."""
        while (await self.now()).get(partition, 0) <= offset:  # noqa: ASYNC110 - others' commits wake nobody
            await asyncio.sleep(_POLL)
