"""Questions to the cluster itself, and changes of it: a client that is closed again."""

import contextlib
from collections.abc import AsyncIterator

from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka_connection import KafkaConnection


@contextlib.asynccontextmanager
async def open_admin(connection: KafkaConnection, **options: object) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give a client for administration, and close it.

    Raises:
        KafkaError: The broker cannot be reached.
    """
    admin = AIOKafkaAdminClient(**connection.aiokafka_options(), **options)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
