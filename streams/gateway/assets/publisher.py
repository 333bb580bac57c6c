"""Publishing events: each is in the log once, whatever happens to connections, before anybody hears of it."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self

import msgspec

from schemas.origins import TopicPartitionOffset
from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.gateway.requests.problems import GatewayError
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import LogPlaces
from streams.kafka.publishing import open_producer

log = logging.getLogger(__name__)

_PATIENCE = 20.0  # seconds until a caller is told that Kafka does not answer


class Place(NamedTuple):
    """Where an event is in a topic."""

    partition: int
    offset: int


class Publisher:
    """Publishes upload events, keyed by public id. Use it as an async context manager."""

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._connection = connection
        self._topic = names.uploads
        self._places = LogPlaces(connection, names)
        self._stack = AsyncExitStack()
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._places)
        self._producer = await self._stack.enter_async_context(open_producer(self._connection))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self, event: UploadData) -> Place:
        """Publish an event; return once all replicas that are in sync have it.

        Raises:
            GatewayError: Kafka refuses it, or did not say in time that it has it: it may be there or not.
        """
        key, value = (event.public_id or "").encode(), msgspec.json.encode(event)
        try:
            async with asyncio.timeout(_PATIENCE):
                sent = await self._producer.send_and_wait(self._topic, value, key)
        except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
            log.warning("an event was not published for certain: %r", error)
            raise GatewayError(
                "The call may not be recorded: Kafka does not answer; send it again"
            ) from error
        return Place(sent.partition, sent.offset)

    async def in_log(self, published: Place) -> Place:
        """Wait until a published event is in the log that workers read; its place there."""
        return Place(*await self._places.of(TopicPartitionOffset(self._topic, *published)))
