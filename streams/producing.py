"""An idempotent producer for commands: it ends when it is told to, even if the broker does not answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaProducer

from streams.kafka_connection import KafkaConnection

_GOODBYE = 5.0  # seconds that what was sent last may take


@contextlib.asynccontextmanager
async def open_producer(connection: KafkaConnection, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer, and end it.

    Raises:
        KafkaError: The broker cannot be reached.
    """
    producer = AIOKafkaProducer(**connection.aiokafka_options(), enable_idempotence=True, **options)
    await producer.start()
    try:
        yield producer
    finally:
        try:
            async with asyncio.timeout(_GOODBYE):
                await producer.stop()
        except TimeoutError:  # a broker that is gone: it would wait for ever, and send when nobody expects it
            await producer._sender.close()  # noqa: SLF001 - what `stop` was about to do
            await producer.client.close()
