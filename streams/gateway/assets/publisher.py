"""Publishing events: each is in the log once, before anybody hears of it."""

import asyncio
import logging
from typing import NamedTuple

from schemas.origins import TopicPartitionOffset
from schemas.uploads import UploadData
from streams.gateway.requests.problems import GatewayError
from streams.kafka.publishing import UploadLog

log = logging.getLogger(__name__)

_PATIENCE = 20.0  # seconds until a caller is told that Kafka does not answer


class Place(NamedTuple):
    """Where an event is in the log that workers read."""

    partition: int
    offset: int


class Publisher:
    """Publishes upload events, keyed by public id, in a log that is open."""

    def __init__(self, uploads: UploadLog) -> None:
        self._uploads = uploads

    async def publish(self, event: UploadData) -> TopicPartitionOffset:
        """Publish an event; return once all replicas that are in sync have it.

        Raises:
            GatewayError: Kafka refuses it, or did not say in time that it has it: it may be there or not.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                (published,) = await self._uploads.publish([event])
        except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
            log.warning("an event was not published for certain: %r", error)
            raise GatewayError(
                "The call may not be recorded: Kafka does not answer; send it again"
            ) from error
        return published

    async def in_log(self, published: TopicPartitionOffset) -> Place:
        """Wait until a published event is in the log that workers read; its place there."""
        return Place(*await self._uploads.in_log(published))
