"""A partition's pending notifications, on a real broker."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from support.webhooks.deployment import Deployment

from streams.kafka.consumers import consuming
from streams.webhooks.outbox import Outbox
from streams.webhooks.rows import PendingRow, encode

pytestmark = pytest.mark.kafka

ROW = PendingRow(sequence=7, since=0, kind="upload", cloud="demo", asset="koala", url="http://h/", body={})


async def test_what_is_committed_but_not_stable_yet_is_waited_for(deployment: Deployment) -> None:
    """A broker says that a transaction has ended before its markers are written: its rows are not missed."""
    topic, options = deployment.names.notifications, deployment.connection.aiokafka_options()
    outbox = Outbox(deployment.connection, deployment.names, 0)
    async with AIOKafkaProducer(**options, transactional_id=f"{deployment.names.app_id}-earlier") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, encode(ROW), ROW.key.encode(), partition=0)
        loading = asyncio.create_task(outbox.open())
        place = TopicPartition(topic, 0)
        async with consuming(deployment.connection) as consumer:
            assert (await consumer.end_offsets([place]))[place] == 0
        assert not loading.done()
        await producer.commit_transaction()
    assert await loading == [ROW]
    await outbox.close()
