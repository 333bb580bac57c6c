"""Creating the topics that `streams.topics` lists, and checking those that exist."""

import asyncio
import logging

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.errors import TopicsError
from streams.kafka_connection import KafkaConnection
from streams.settings import Settings
from streams.topics import TopicNames

log = logging.getLogger(__name__)


async def ensure_topics(connection: KafkaConnection, settings: Settings) -> int:
    """Create the topics that are missing; give the number of partitions of each.

    Raises:
        TopicsError: The topics that exist have different numbers of partitions, or may not be created.
        KafkaError: The broker does not answer.
    """
    configs = TopicNames.of(settings).configs
    admin = AIOKafkaAdminClient(**connection.aiokafka_options())
    await admin.start()
    try:
        counts = await _partition_counts(admin, list(configs))
        partitions = _agreed(counts, settings.partitions)
        missing = [name for name in configs if name not in counts]
        if missing:
            await _create(admin, {name: configs[name] for name in missing}, partitions, settings.replication)
        return partitions
    finally:
        await admin.close()


async def wait_for_topics(connection: KafkaConnection, settings: Settings) -> int:
    """As `ensure_topics`, but wait for a broker that is away."""
    delay = 0.5
    while True:
        try:
            return await ensure_topics(connection, settings)
        except KafkaError as error:
            log.warning("waiting for Kafka at %s: %s", connection.bootstrap_servers, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 15.0)


async def _partition_counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    found = await admin.describe_topics(names)
    return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["error_code"] == 0}


def _agreed(counts: dict[str, int], wanted: int) -> int:
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name}={count}" for name, count in sorted(counts.items()))
        cure = "recreate the odd ones, or choose another app_id and topic_prefix"
        raise TopicsError(f"all topics need the same number of partitions, found {listing}; {cure}")
    found = next(iter(counts.values()), wanted)
    if found != wanted:
        log.warning("the topics have %d partitions; the setting of %d is for new topics only", found, wanted)
    return found


async def _create(
    admin: AIOKafkaAdminClient, configs: dict[str, dict[str, str]], partitions: int, replication: int
) -> None:
    topics = [
        NewTopic(name, num_partitions=partitions, replication_factor=replication, topic_configs=config)
        for name, config in configs.items()
    ]
    answer = await admin.create_topics(topics)
    for name, code, *rest in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicsError(
                f"cannot create topic {name!r}: {for_code(code).__name__} {rest[0] if rest else ''}"
            )
        log.info("created topic %s with %d partitions", name, partitions)
