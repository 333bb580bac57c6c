"""How far the workers are: what they have committed of the upload topic, seen from outside."""

import asyncio
from collections.abc import Mapping
from typing import Self

import orjson

from streams.following import read_from_end
from streams.kafka_connection import KafkaConnection
from streams.partition_log import close_consumer, open_consumer
from streams.rows import OFFSET_KEY
from streams.topics import TopicNames

_POLL = 0.1  # seconds


class FoldedOffsets:
    """Follows the row `@offset` of each partition, which every transaction writes beside its outcomes.

    The group's offsets would say the same, but only every few seconds. Use as an async context manager.
    """

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._topic = names.changelog("meta")
        self._consumer = open_consumer(connection)
        self._offsets: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await read_from_end(self._consumer, [self._topic])
        except BaseException:
            await close_consumer(self._consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_consumer(self._consumer)

    async def now(self) -> Mapping[int, int]:
        """Give for each partition the first offset that is not folded in, where one was since the entry.

        Raises:
            KafkaError: The broker refuses.
        """
        for place, messages in (await self._consumer.getmany()).items():
            for message in messages:
                if message.key == OFFSET_KEY.encode() and message.value is not None:
                    self._offsets[place.partition] = orjson.loads(message.value)["next"]
        return self._offsets

    async def until(self, partition: int, offset: int) -> None:
        """Wait until an event is folded in that was published after the entry."""
        while (await self.now()).get(partition, 0) <= offset:  # noqa: ASYNC110 - others' commits wake nobody
            await asyncio.sleep(_POLL)
