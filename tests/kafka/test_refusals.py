"""A broker with passwords and access control lists: what a worker needs, and what it says without it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.chaos.run import steady_port
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, log_of, status, uploads
from support.secure_broker import (
    CLUSTER,
    DESCRIBE,
    DESCRIBE_CONFIGS,
    GROUP,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    Permission,
    allow,
    needed,
    needed_to_follow,
    secure_broker,
)

from schemas.topics import TopicNames
from streams.app.checks.kafka import check_kafka
from streams.app.settings import Settings
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka.admin import ensure_topics
from streams.kafka.checks.findings import Finding
from streams.kafka.connection import KafkaConnection

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PORT = steady_port()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    users = {
        f"{user}-user": "secret"
        for user in ("whole", "topic", "transactional", "group", "wrong", "no", "doctor", "tag", "query")
    }
    with secure_broker(tmp_path_factory.mktemp("secure"), PORT, users) as started:
        yield started


@pytest.fixture
async def cluster(broker: EmbeddedBroker, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose topics exist, with 20 uploads that wait."""
    cluster = Cluster(broker.bootstrap_servers, unique, tmp_path, environment=dict(STUB))
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        assert await cluster.stop(0) == 0
        await cluster.publish(uploads(range(20)))
        yield cluster
    finally:
        await cluster.close()


def connection_of(user: str) -> KafkaConnection:
    """The way of a user with a password."""
    return KafkaConnection(f"127.0.0.1:{PORT}", "SASL_PLAINTEXT", username=user, password="secret")  # noqa: S106 - as above


async def start_as(
    cluster: Cluster,
    user: str,
    password: str = "secret",  # noqa: S107 - the tests' own
    worker: int = 0,
) -> None:
    cluster.environment |= {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{PORT}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": password,
    }
    await cluster.start(worker)


async def test_what_is_documented_is_enough(cluster: Cluster, broker: EmbeddedBroker) -> None:
    """A user with these permissions and no others tags every upload."""
    await allow(broker.bootstrap_servers, "whole-user", needed(cluster.names))
    await start_as(cluster, "whole-user")
    await cluster.until_folded(20)
    await assert_exact(cluster, 20)
    assert await cluster.stop(0) == 0


async def test_who_only_answers_needs_no_group_and_writes_nothing(
    cluster: Cluster, broker: EmbeddedBroker
) -> None:
    """A user who may read the state alone answers for all partitions, with the role `query`."""
    await allow(broker.bootstrap_servers, "tag-user", needed(cluster.names))
    await start_as(cluster, "tag-user")
    await cluster.until_folded(20)
    await allow(broker.bootstrap_servers, "query-user", needed_to_follow(cluster.names))
    cluster.environment["TAGSTREAM_ROLES"] = "query"
    await start_as(cluster, "query-user", worker=1)
    async with asyncio.timeout(60):
        while (await status(cluster, 1)) != (200, "ready"):
            assert cluster.processes[1].returncode is None, log_of(cluster, 1)
            await asyncio.sleep(0.1)
    answer = await cluster.get(1, "/trends/top?window=all")
    assert {row["tag"]: row["count"] for row in answer["tags"]} == {"koala": 20, "tree": 20}
    assert [await cluster.stop(worker) for worker in (0, 1)] == [0, 0]


@pytest.mark.parametrize("lack", ["topic", "transactional", "group"])
async def test_a_permission_that_is_missing_is_named(
    cluster: Cluster, broker: EmbeddedBroker, lack: str
) -> None:
    """Exit code 78, with the user, what was refused and what to grant; once granted, all uploads count."""
    names, user = cluster.names, f"{lack}-user"
    missing = {
        "topic": Permission(TOPIC, names.categorizations, WRITE),
        "transactional": Permission(TRANSACTIONAL_ID, names.app_id, WRITE),
        "group": Permission(GROUP, names.app_id, READ),
    }[lack]
    also = {Permission(TRANSACTIONAL_ID, names.app_id, DESCRIBE)} if lack == "transactional" else set()
    await allow(broker.bootstrap_servers, user, needed(names) - {missing} - also)
    await start_as(cluster, user)
    assert await cluster.ended(0) == 78
    grant = {
        "topic": f"grant READ, WRITE and DESCRIBE on topic '{names.categorizations}'",
        "transactional": f"grant WRITE and DESCRIBE on transactional id '{names.app_id}-",
        "group": f"grant READ on group '{names.app_id}'",
    }[lack]
    said = log_of(cluster, 0)
    assert f"Kafka refuses user '{user}'" in said
    assert grant in said
    await allow(broker.bootstrap_servers, user, needed(names))
    await cluster.start(0)
    await cluster.until_folded(20)
    await assert_exact(cluster, 20)


async def test_a_wrong_password_is_no_broker_that_is_away(cluster: Cluster) -> None:
    """Exit code 78 at once, and the message names the settings; the password is nowhere in the log."""
    await start_as(cluster, "wrong-user", "guessed-4711")
    assert await cluster.ended(0) == 78
    said = log_of(cluster, 0)
    assert "Kafka does not let user 'wrong-user' in" in said
    assert "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM" in said
    assert "guessed-4711" not in said


async def test_topics_that_may_not_be_created_are_named(cluster: Cluster, broker: EmbeddedBroker) -> None:
    """A user who sees no topics and may create none: exit code 78, a topic's name and the cure."""
    topics = {permission for permission in needed(cluster.names) if permission.resource == TOPIC}
    await allow(broker.bootstrap_servers, "no-user", needed(cluster.names) - topics)
    await start_as(cluster, "no-user")
    assert await cluster.ended(0) == 78
    assert f"cannot create topic '{cluster.name}" in log_of(cluster, 0)
    assert "grant CREATE on it, or create it yourself" in log_of(cluster, 0)


async def findings_until(
    connection: KafkaConnection, settings: Settings, wanted: tuple[str, str, str]
) -> list[Finding]:
    """Wait until a check says this: a broker hears of topics and permissions a moment later."""
    async with asyncio.timeout(20):
        while True:
            found = await check_kafka(connection, settings)
            if wanted in {(finding.check, finding.status, finding.value) for finding in found}:
                return found
            await asyncio.sleep(0.05)


async def test_the_doctor_names_all_grants_that_are_missing(broker: EmbeddedBroker, unique: str) -> None:
    """All at once, before anything is started; whoever has them all may also ask what the time is there."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.")
    names, user = TopicNames.of(settings), "doctor-user"
    await ensure_topics(KafkaConnection(broker.bootstrap_servers), settings)
    connection = connection_of(user)
    lacks = {Permission(TOPIC, names.dead_letters, WRITE), Permission(GROUP, names.app_id, READ)}
    lacks |= {Permission(TRANSACTIONAL_ID, names.app_id, what) for what in (WRITE, DESCRIBE)}
    lacks |= {Permission(TOPIC, name, DESCRIBE_CONFIGS) for name in names.configs}
    await allow(broker.bootstrap_servers, user, needed(names) - lacks)
    found = await findings_until(connection, settings, ("topics", "ok", "all 9"))
    fails = [finding for finding in found if finding.status == "fail"]
    assert {finding.check for finding in fails} == {"permissions"}
    assert [finding.cure for finding in fails] == [
        f"grant READ, WRITE and DESCRIBE on topic '{names.dead_letters}'",
        f"grant READ on group '{names.app_id}'",
        f"grant WRITE and DESCRIBE on transactional id '{names.app_id}-', as a prefix",
    ]
    warned = {finding.check: finding.cure for finding in found if finding.status == "warn"}
    assert "grant DESCRIBE_CONFIGS" in warned.pop("topic configuration")
    assert "grant DESCRIBE on the cluster" in warned.pop("clock")
    assert warned == {}
    await allow(broker.bootstrap_servers, user, lacks | {Permission(CLUSTER, "kafka-cluster", DESCRIBE)})
    fine = ("permissions", "ok", f"user '{user}' may do what a worker does")
    found = await findings_until(connection, settings, fine)
    assert {finding.status for finding in found} == {"ok"}


@pytest.mark.usefixtures("broker")
async def test_the_doctor_knows_a_wrong_password() -> None:
    """It is no broker that is away."""
    connection = replace(connection_of("wrong-user"), password="guessed-4711")  # noqa: S106 - nobody's
    [found] = await check_kafka(connection, Settings())
    assert (found.check, found.status) == ("login", "fail")
    assert found.cure == "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    assert "guessed-4711" not in found.sentence
