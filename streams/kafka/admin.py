"""Creating the topics that `schemas.topics` lists, and checking those that exist."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from schemas.errors import KafkaRefusalError
from schemas.topics import Deployment, TopicNames
from streams.kafka.checks.all import check_cluster
from streams.kafka.checks.cluster import check_version
from streams.kafka.checks.enforcing import enforce, refusal_of_cluster
from streams.kafka.checks.findings import Finding
from streams.kafka.checks.look import look_at, versions_of
from streams.kafka.checks.topics import check_partitions
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import check_login, lasting_fault

log = logging.getLogger(__name__)

_KNOWN_WITHIN = 30  # seconds from a topic's creation until the broker's metadata must have it
_LOOK_INTERVAL = 0.05  # seconds between two looks at them


class TopicSettings(Deployment, Protocol):
    """What topics are created with: see `streams.app.settings.Settings`."""

    @property
    def partitions(self) -> int:
        """Partitions of each topic."""

    @property
    def replication(self) -> int:
        """Replicas of each topic."""

    @property
    def is_gateway(self) -> bool:
        """Whether upload events are published here."""

    @property
    def tags(self) -> bool:
        """Whether uploads are tagged; else the state is only followed."""


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
    """Check the cluster, log what it warns of, and create the topics that are missing.

    Raises:
        TopicsError: The topics do not fit the settings, one cannot be created, or one is gone although the
            rest of the state is there.
        KafkaRefusalError: The broker is too old, or does not let us do a worker's work.
        KafkaError: The broker does not answer, or refuses.
    """
    names = TopicNames.of(settings)
    async with open_admin(connection) as admin:
        versions = await versions_of(admin)
        enforce([check_version(versions)], refusal_of_cluster)
        look = await look_at(admin, connection, names)
        found = check_cluster(
            look, names, settings.partitions, connection, tags=settings.tags, publishes=settings.is_gateway
        )
        enforce(found, refusal_of_cluster)
        missing = [name for name in names.configs if name not in look.topics]
        enforce(await create_topics(admin, settings, missing), refusal_of_cluster)
        await _until_known(admin, missing)


async def ensure_more_topics(
    connection: KafkaConnection, settings: TopicSettings, names: Collection[str]
) -> None:
    """Create the topics of a role that are missing.

    Raises:
        TopicsError: They do not fit the settings, or one cannot be created.
        KafkaError: The broker does not answer, or refuses.
    """
    async with open_admin(connection) as admin:
        # All: asking for one by name would create it, with too few partitions, where brokers do that.
        counts = await partition_counts(admin)
        found = {name: counts[name] for name in names if name in counts}
        enforce([check_partitions(found, settings.partitions)], refusal_of_cluster)
        missing = [name for name in names if name not in counts]
        enforce(await create_topics(admin, settings, missing), refusal_of_cluster)


async def _until_known(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    """Wait until the broker tells of topics that it created.

    Who joins a group before is given none of their partitions, and is not asked again for minutes.
    """
    missing, deadline = set(names), asyncio.get_running_loop().time() + _KNOWN_WITHIN
    while missing and asyncio.get_running_loop().time() < deadline:
        missing -= (await partition_counts(admin)).keys()
        if missing:
            await asyncio.sleep(_LOOK_INTERVAL)
    if missing:
        log.warning("Kafka does not tell of %s, %d s after creating it", min(missing), _KNOWN_WITHIN)


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


def replicas_in_sync(replication: int) -> int:
    """How many replicas must have a record before it counts: 2 of 3, so that any one may be lost."""
    return math.ceil(replication / 2)


async def create_topics(
    admin: AIOKafkaAdminClient, settings: TopicSettings, names: Collection[str], *, rehearse: bool = False
) -> list[Finding]:
    """Create topics, or only ask whether they could be; one finding for each that cannot."""
    topic_names = TopicNames.of(settings)
    configs = topic_names.configs | topic_names.webhook_configs | topic_names.trend_configs
    safety = {"min.insync.replicas": str(replicas_in_sync(settings.replication))}
    topics = [
        NewTopic(
            name,
            num_partitions=settings.partitions,
            replication_factor=settings.replication,
            topic_configs=configs[name] | safety,
        )
        for name in names
    ]
    answer = await admin.create_topics(topics, validate_only=rehearse) if topics else None
    refused = []
    for name, code, *message in answer.topic_errors if answer else ():
        if code not in (0, TopicAlreadyExistsError.errno):
            refused.append(_not_created(name, for_code(code), message[0] if message else None))
        elif not rehearse:
            log.info("created topic %s with %d partitions", name, settings.partitions)
    return refused


def _not_created(name: str, error: type[KafkaError], message: str | None) -> Finding:
    cures = {
        TopicAuthorizationFailedError: "grant CREATE on it, or create it yourself",
        ClusterAuthorizationFailedError: "grant CREATE on it, or create it yourself",
        InvalidReplicationFactorError: "set TAGSTREAM_REPLICATION to no more than there are brokers",
    }
    cure = cures.get(error, "create it yourself, with the configuration that docs/reference has")
    return Finding(
        "topics", "fail", f"cannot create topic {name!r}", f"{error.__name__} {message or ''}".strip(), cure
    )
