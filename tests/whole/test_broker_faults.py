"""Kafka goes away, loses a topic, has odd ones, or takes no large records: real broker, real workers."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from support.chaos.run import steady_port
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, log_of, status, uploads

from schemas.topics import MAX_FORWARDED_BYTES
from streams.cli.local.embedded_broker import EmbeddedBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "25"))
MOST_LINES = 60  # of a log, in such an outage


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture
async def own(
    new_broker: Callable[[], EmbeddedBroker], unique: str, tmp_path: Path
) -> AsyncIterator[tuple[Cluster, EmbeddedBroker]]:
    """A cluster with a broker of its own, which is not started yet."""
    broker = new_broker()
    broker.port = steady_port()
    cluster = Cluster(broker.bootstrap_servers, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster, broker
    finally:
        await cluster.close()
        await asyncio.to_thread(broker.kill)


@asynccontextmanager
async def admin_of(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def until_status(cluster: Cluster, wanted: tuple[int, str], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await status(cluster, 0) != wanted:
            assert (await status(cluster, 0, "/healthz"))[0] == 200
            await asyncio.sleep(0.2)


async def publish_patiently(cluster: Cluster, numbers: range) -> None:
    """Publish as an application does that waits for a broker that is away."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, request_timeout_ms=int(OUTAGE + 100) * 1000
    )
    await producer.start()
    try:
        await asyncio.sleep(5)  # in the outage
        for event in uploads(numbers):
            value = b'{"event_id":"%s","url":"%s","auto_tagging":0.5}'
            texts = ((event.event_id or "").encode(), (event.url or "").encode())
            await producer.send(cluster.names.uploads, value % texts, (event.public_id or "").encode())
        await producer.flush()
    finally:
        await producer.stop()


async def tag(cluster: Cluster, numbers: range, folded: int) -> None:
    """Start a worker, publish uploads, and wait until so many of all are folded in."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(numbers))
    await cluster.until_folded(folded)


async def test_a_broker_that_is_gone_for_long_is_waited_for(own: tuple[Cluster, EmbeddedBroker]) -> None:
    """The worker lives on and answers; /readyz says why it is not ready; what is published then counts once.

    Its log tells of the outage and of its end, and repeats nothing a hundred times a second.
    """
    cluster, broker = own
    broker.start()
    await tag(cluster, range(50), 50)
    publishing = asyncio.create_task(publish_patiently(cluster, range(50, 100)))
    await asyncio.sleep(2)
    before = len(log_of(cluster, 0).splitlines())
    await asyncio.to_thread(broker.kill)
    await until_status(cluster, (503, "waiting for Kafka"))
    await asyncio.sleep(OUTAGE)
    assert await status(cluster, 0) == (503, "waiting for Kafka")
    answer = await cluster.get(0, "/trends/top?window=all")
    assert answer["tags"][0] == {"tag": "koala", "count": 50}
    assert {state["lag"] for state in answer["as_of"]} == {None}
    assert not answer["complete"]
    unknown = await cluster.get(0, "/trends/tags/unicorn")
    assert unknown["error"] == "kafka_away"
    await asyncio.to_thread(broker.start)
    await until_status(cluster, (200, "ready"))
    await publishing
    await cluster.until_folded(100)
    await assert_exact(cluster, 100)
    assert cluster.processes[0].returncode is None
    assert (await cluster.get(0, "/trends/top?window=all"))["complete"]
    lines = log_of(cluster, 0).splitlines()[before:]
    assert len(lines) < MOST_LINES, "\n".join(lines)
    assert "does not answer, waiting for it" in "\n".join(lines)
    assert "Kafka answers again" in "\n".join(lines)


async def test_a_broker_that_goes_in_the_middle_of_a_commit_ends_the_worker(
    own: tuple[Cluster, EmbeddedBroker],
) -> None:
    """Whether it was committed nobody can say, so the worker ends with 70; its next life goes on exactly."""
    cluster, broker = own
    broker.start()
    await tag(cluster, range(3000), 300)
    await asyncio.to_thread(broker.kill)
    assert await cluster.ended(0) == 70
    assert "ending the process" in log_of(cluster, 0)
    await asyncio.to_thread(broker.start)
    await cluster.start(0)
    await cluster.until_folded(3000)
    await assert_exact(cluster, 3000)


async def test_a_worker_may_start_before_its_broker(own: tuple[Cluster, EmbeddedBroker]) -> None:
    """It waits, says so, and begins once the broker is there; it can be stopped while it waits."""
    cluster, broker = own
    await cluster.start(0)
    async with asyncio.timeout(60):
        while await status(cluster, 0) == (0, ""):
            await asyncio.sleep(0.2)
    await until_status(cluster, (503, "waiting for Kafka"))
    assert await cluster.stop(0) == 0
    await cluster.start(0)
    await asyncio.to_thread(broker.start)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(10)))
    await cluster.until_folded(10)
    await assert_exact(cluster, 10)


@pytest.mark.parametrize("gone", ["uploads", "images"])
async def test_a_topic_that_is_deleted_ends_the_worker(cluster: Cluster, gone: str) -> None:
    """Exit code 78 and the topic's name, also after a restart: it must not go on with less than it had.

    With a new app_id the state is made anew of what the upload topic still holds.
    """
    await tag(cluster, range(20), 20)
    topic = cluster.names.uploads if gone == "uploads" else cluster.names.changelog(gone)
    async with admin_of(cluster) as admin:
        await admin.delete_topics([topic])
    assert await cluster.ended(0) == 78
    assert f"topic {topic} was deleted" in log_of(cluster, 0)
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    assert "choose a new app_id" in log_of(cluster, 0)
    cluster.environment["TAGSTREAM_APP_ID"] = f"{cluster.name}-anew"
    await cluster.start(0)
    await cluster.until_ready([0])
    if gone == "uploads":
        await cluster.publish(uploads(range(20)))
    async with asyncio.timeout(90):
        while (await counts_told(cluster)) != {"koala": 20, "tree": 20}:
            await asyncio.sleep(0.2)


async def test_an_output_topic_that_is_deleted_is_made_anew(cluster: Cluster) -> None:
    """Exit code 78 once, so that somebody hears of it; the next start goes on, and counts are right."""
    await tag(cluster, range(10), 10)
    async with admin_of(cluster) as admin:
        await admin.delete_topics([cluster.names.categorizations])
    assert await cluster.ended(0) == 78
    await tag(cluster, range(10, 20), 20)
    assert len(await cluster.results()) == 10
    assert await cluster.counts() == {"koala": 20, "tree": 20}


async def counts_told(cluster: Cluster) -> dict[str, int]:
    answer = await cluster.get(0, "/trends/top?window=all")
    return {row["tag"]: row["count"] for row in answer.get("tags", ())}


@pytest.mark.parametrize("count", [2, 6])
async def test_a_topic_with_another_number_of_partitions_is_refused(cluster: Cluster, count: int) -> None:
    """Fewer or more: exit code 78, and the message names topic, value, rule and cure. The cure works."""
    async with admin_of(cluster) as admin:
        size = {"max.message.bytes": str(MAX_FORWARDED_BYTES)}
        await admin.create_topics([NewTopic(cluster.names.uploads, count, 1, topic_configs=size)])
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    said = log_of(cluster, 0)
    assert f"found {cluster.names.uploads}={count}" in said
    assert "all topics need the same number of partitions, TAGSTREAM_PARTITIONS=4" in said
    assert f"set TAGSTREAM_PARTITIONS={count}" in said
    cluster.partitions = count
    await tag(cluster, range(10), 10)
    await assert_exact(cluster, 10)


async def test_a_topic_that_grows_ends_the_worker(cluster: Cluster) -> None:
    """Partitions that are added while it runs: uploads in them would wait for ever."""
    await cluster.start(0)
    await cluster.until_ready([0])
    async with admin_of(cluster) as admin:
        await admin.create_partitions({cluster.names.uploads: NewPartitions(6)})
    assert await cluster.ended(0) == 78
    assert f"found {cluster.names.uploads}=6" in log_of(cluster, 0)


async def test_topics_that_take_no_large_records_are_refused(cluster: Cluster) -> None:
    """At the start: exit code 78, with the topic, its limit, ours, and the command that raises it."""
    small = NewTopic(cluster.names.categorizations, 4, 1, topic_configs={"max.message.bytes": "1048588"})
    async with admin_of(cluster) as admin:
        await admin.create_topics([small])
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    said = log_of(cluster, 0)
    assert f"topic {cluster.names.categorizations}: max.message.bytes=1048588 is too small" in said
    assert "--add-config max.message.bytes=4194304" in said


async def test_a_record_above_the_topic_s_limit_ends_the_worker(cluster: Cluster) -> None:
    """A limit that is lowered while it runs: no partition stands still in silence, and nothing is lost."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await set_limit(cluster, "300")
    await cluster.publish(uploads(range(20)))
    assert await cluster.ended(0) == 78
    assert f"topic {cluster.names.categorizations}: its limit is too small" in log_of(cluster, 0)
    await set_limit(cluster, "4194304")
    await cluster.start(0)
    await cluster.until_folded(20)
    await assert_exact(cluster, 20)


async def set_limit(cluster: Cluster, size: str) -> None:
    config = {"max.message.bytes": size}
    resource = ConfigResource(ConfigResourceType.TOPIC, cluster.names.categorizations, config)
    async with admin_of(cluster) as admin:
        await admin.alter_configs([resource])
