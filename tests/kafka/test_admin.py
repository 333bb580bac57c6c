"""Topics as workers create them, on a real broker."""

from typing import Any, cast

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.kafka.admin import _until_known, ensure_topics, open_admin, replicas_in_sync
from streams.kafka.connection import KafkaConnection
from streams.kafka.producers import open_producer


@pytest.mark.parametrize(("replication", "expected"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_any_one_of_three_replicas_may_be_lost(replication: int, expected: int) -> None:
    """Neither a lost disk nor a node that is away costs a record or stops the work."""
    assert replicas_in_sync(replication) == expected


@pytest.mark.kafka
async def test_topics_say_how_many_replicas_must_have_a_record(kafka: str, unique: str) -> None:
    """The topics say so themselves: a broker's default is often one."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=2)
    connection = KafkaConnection(kafka)
    await ensure_topics(connection, settings)
    topics = [ConfigResource(ConfigResourceType.TOPIC, name) for name in TopicNames.of(settings).configs]
    async with open_admin(connection) as admin:
        answers = await admin.describe_configs(topics)
    found = [resource for answer in answers for resource in answer.resources]
    assert len(found) == len(topics)
    for _, _, _, name, entries in found:
        values = {key: (value, source) for key, value, _, source, *_ in entries}
        value, source = values["min.insync.replicas"]
        assert (value, source) == ("1", 1), name  # 1: said by the topic, not by the broker


@pytest.mark.kafka
async def test_an_event_is_no_larger_unpacked_than_a_record_may_be(kafka: str, unique: str) -> None:
    """A compressed batch is measured unpacked: a worker unpacks it whole."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=2)
    connection = KafkaConnection(kafka)
    await ensure_topics(connection, settings)
    topic = TopicNames.of(settings).uploads
    async with open_producer(connection, compression_type="gzip", max_request_size=10_000_000) as producer:
        await producer.send_and_wait(topic, b"x" * 1_000_000, partition=0)
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 6_000_000, partition=0)


class SlowBroker:
    """Stands for an admin client whose broker tells of a topic only when it is asked for the third time."""

    def __init__(self) -> None:
        self.asked = 0

    async def describe_topics(self, _names: object) -> list[dict[str, object]]:
        self.asked += 1
        return [{"topic": "t", "partitions": [0], "error_code": 0 if self.asked > 2 else 3}]


async def test_a_topic_that_was_created_is_waited_for() -> None:
    """Until the broker's metadata has it: a member that joins before would own none of its partitions."""
    broker = SlowBroker()
    await _until_known(cast("Any", broker), ["t"])
    assert broker.asked == 3
