"""Creating the topics that `schemas.topics` lists, and checking those that exist."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import KafkaRefusalError, TopicsError
from schemas.topics import MAX_RECORD_BYTES, TABLES, Deployment, TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.faults import check_login, lasting_fault

log = logging.getLogger(__name__)

_SIZE, _CLOCK = "max.message.bytes", "message.timestamp.type"
_AHEAD = "message.timestamp.after.max.ms"
_NONE = dict.fromkeys((_SIZE, _CLOCK, _AHEAD))
_DAY_MS = 86_400_000


class TopicSettings(Deployment, Protocol):
    """What topics are created with: see `streams.app.settings.Settings`."""

    @property
    def partitions(self) -> int:
        """Partitions of each topic."""

    @property
    def replication(self) -> int:
        """Replicas of each topic."""


@contextlib.asynccontextmanager
async def open_admin(connection: KafkaConnection, **options: object) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open a client for administration, and close it.

    Raises:
        KafkaError: The broker cannot be reached.
    """
    admin = AIOKafkaAdminClient(**connection.aiokafka_options(), **options)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def ensure_topics(connection: KafkaConnection, settings: TopicSettings) -> None:
    """Create the topics that are missing, and check those that exist.

    Raises:
        TopicsError: One has another number of partitions or too small a size limit, cannot be created, or
            is gone although the rest of the state is there.
        KafkaError: The broker does not answer, or refuses.
    """
    names = TopicNames.of(settings)
    async with open_admin(connection) as admin:
        # All of them: asking for one by name would create it, with too few partitions, where brokers do that.
        counts = {
            name: count for name, count in (await partition_counts(admin)).items() if name in names.configs
        }
        check_partitions(counts, settings.partitions)
        missing = [name for name in names.configs if name not in counts]
        if missing:
            await _check_whole(connection, names, counts, missing)
            configs = {name: names.configs[name] for name in missing}
            await _create(admin, configs, settings.partitions, settings.replication)
        await _check_configs(admin, names, names.configs)


async def wait_for_topics(connection: KafkaConnection, settings: TopicSettings) -> None:
    """As `ensure_topics`, but wait for a broker that is away.

    Raises:
        KafkaRefusalError: The broker does not let us in, or does not let us do it.
    """
    delay = 0.5
    while True:
        try:
            return await ensure_topics(connection, settings)
        except KafkaError as error:
            if fault := lasting_fault(error, connection):
                raise KafkaRefusalError(fault) from error
            log.warning("waiting for Kafka at %s: %s", connection.bootstrap_servers, error)
        await check_login(connection)
        await asyncio.sleep(delay)
        delay = min(delay * 2, 15.0)


async def partition_counts(admin: AIOKafkaAdminClient, names: Iterable[str] | None = None) -> dict[str, int]:
    """The number of partitions of each topic that exists, of these or of all."""
    found = await admin.describe_topics(None if names is None else list(names))
    return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["error_code"] == 0}


def check_partitions(counts: Mapping[str, int], wanted: int) -> None:
    """Check that all have the number that the setting says.

    Raises:
        TopicsError: One has not.
    """
    odd = {name: count for name, count in sorted(counts.items()) if count != wanted}
    if not odd:
        return
    listing = ", ".join(f"{name}={count}" for name, count in odd.items())
    cure = "recreate these topics, or choose another app_id and topic_prefix"
    if len(odd) == len(counts) and len(set(odd.values())) == 1:
        cure = f"set TAGSTREAM_PARTITIONS={next(iter(odd.values()))}, or {cure}"
    rule = f"all topics need the same number of partitions, TAGSTREAM_PARTITIONS={wanted}"
    raise TopicsError(f"{rule}, found {listing}; {cure}")


async def _check_whole(
    connection: KafkaConnection, names: TopicNames, counts: Mapping[str, int], missing: Iterable[str]
) -> None:
    """Refuse to go on with an emptied table: the counts would be wrong without anybody noticing."""
    gone = [names.changelog(table) for table in TABLES if names.changelog(table) in missing]
    kept = [names.changelog(table) for table in TABLES if names.changelog(table) in counts]
    if not gone or not await _any_records(connection, {name: counts[name] for name in kept}):
        return
    raise TopicsError(
        f"state topics {', '.join(gone)} are missing while {', '.join(kept)} hold records: the state is not "
        "whole; restore them, or delete the others too (the state begins anew from what the upload topic "
        "still holds), or choose a new app_id"
    )


async def _any_records(connection: KafkaConnection, counts: Mapping[str, int]) -> bool:
    places = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    if not places:
        return False
    async with consuming(connection) as consumer:
        return any((await consumer.end_offsets(places)).values())


async def _check_configs(admin: AIOKafkaAdminClient, names: TopicNames, topics: Iterable[str]) -> None:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, _NONE) for name in topics]
    for answer in await admin.describe_configs(asked) if asked else ():
        for code, _, _, topic, entries in answer.resources:
            if code:
                log.warning("cannot check the configuration of topic %s: %s", topic, for_code(code).__name__)
                continue
            config = {name: value for name, value, *_ in entries}
            if topic == names.uploads:
                _check_clock(topic, config)
            # Ours must take our largest records: a partition would stop at the first that is refused.
            elif int(config.get(_SIZE, MAX_RECORD_BYTES)) < MAX_RECORD_BYTES:
                raise TopicsError(too_small(topic, int(config[_SIZE])))


def _check_clock(topic: str, config: Mapping[str, str]) -> None:
    """Warn where a publisher whose clock is far ahead would make the partitions' clocks run ahead."""
    if config.get(_CLOCK) == "LogAppendTime" or int(config.get(_AHEAD, _DAY_MS + 1)) <= _DAY_MS:
        return
    cure = f"kafka-configs.sh --alter --topic {topic} --add-config {_AHEAD}=3600000"
    log.warning(
        "topic %s takes records of the far future: one of them would end the retention of all counts; %s",
        topic,
        f"{cure} (before Kafka 3.6: {_CLOCK}=LogAppendTime)",
    )


def too_small(topic: str, limit: int | None = None) -> str:
    """A sentence that a topic's size limit is too low, and the cure."""
    found = "its limit" if limit is None else f"{_SIZE}={limit}"
    return (
        f"topic {topic}: {found} is too small, records may have {MAX_RECORD_BYTES} bytes; "
        f"kafka-configs.sh --alter --topic {topic} --add-config {_SIZE}={MAX_RECORD_BYTES}"
    )


def replicas_in_sync(replication: int) -> int:
    """How many replicas must have a record before it counts: 2 of 3, so that any one may be lost."""
    return math.ceil(replication / 2)


async def _create(
    admin: AIOKafkaAdminClient, configs: dict[str, dict[str, str]], partitions: int, replication: int
) -> None:
    safety = {"min.insync.replicas": str(replicas_in_sync(replication))}
    topics = [
        NewTopic(
            name, num_partitions=partitions, replication_factor=replication, topic_configs=config | safety
        )
        for name, config in configs.items()
    ]
    answer = await admin.create_topics(topics)
    for name, code, *rest in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicsError(
                f"cannot create topic {name!r}: {for_code(code).__name__} {rest[0] if rest else ''}"
            )
        log.info("created topic %s with %d partitions", name, partitions)
