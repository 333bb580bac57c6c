"""Processes with one role each: real broker, real processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, log_of, status, uploads

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

TAGGER, QUERIER = 0, 1


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """One process that only tags, and one that only answers; the latter has no models to load."""
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        await start(cluster, TAGGER, "tag")
        await start(
            cluster,
            QUERIER,
            "query",
            TAGSTREAM_TAGGER="onnx",
            TAGSTREAM_ADD_ONS="mine=/nowhere",
            TAGSTREAM_CATEGORIZATION="mine",
            TAGSTREAM_RULES="/nowhere/rules.toml",
        )
        yield cluster
    finally:
        await cluster.close()


async def start(cluster: Cluster, worker: int, roles: str, **environment: str) -> None:
    shared = dict(cluster.environment)
    cluster.environment |= {"TAGSTREAM_ROLES": roles, **environment}
    await cluster.start(worker)
    cluster.environment = shared


async def until_ready(cluster: Cluster, *workers: int) -> None:
    async with asyncio.timeout(60):
        for worker in workers:
            while await status(cluster, worker) != (200, "ready"):
                await asyncio.sleep(0.1)


async def ask(cluster: Cluster, worker: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{cluster.ports[worker]}{path}")


async def members(cluster: Cluster) -> list[str]:
    """The names of those who are in the workers' group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([cluster.name])
    finally:
        await admin.close()
    (group,) = answer.groups
    return [str(member[0]) for member in group[5]]


async def until_counted(cluster: Cluster, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = (await ask(cluster, QUERIER, "/trends/top?window=all")).json()
            counts = {row["tag"]: row["count"] for row in answer["tags"]}
            if answer["complete"] and counts == {"koala": count, "tree": count}:
                return
            await asyncio.sleep(0.1)


async def test_each_process_does_what_its_role_says(cluster: Cluster) -> None:
    """One tags all and answers nothing; the other answers for all, is in no group and owns no partition."""
    await until_ready(cluster, TAGGER, QUERIER)
    await cluster.publish(uploads(range(40)))
    await until_counted(cluster, 40)
    await assert_exact(cluster, 40)
    refused = await ask(cluster, TAGGER, "/trends/top?window=all")
    assert (refused.status_code, refused.json()["error"]) == (503, "queries_off")
    assert "role query" in refused.json()["reason"]
    assert len((await cluster.get(TAGGER, "/readyz"))["partitions"]) == cluster.partitions
    assert (await cluster.get(QUERIER, "/readyz"))["partitions"] == []
    (member,) = await members(cluster)
    assert f"{cluster.name}-{TAGGER}" in member
    assert "tagstream_partitions_owned 0" not in await cluster.metrics(TAGGER)
    assert "tagstream_state_complete 1.0" in await cluster.metrics(QUERIER)
    assert "add-ons" not in log_of(cluster, QUERIER)
    assert [await cluster.stop(worker) for worker in (TAGGER, QUERIER)] == [0, 0]


async def test_answers_go_on_while_nobody_tags(cluster: Cluster) -> None:
    """They are scaled each by itself: without a tagger the other answers, and knows more once one is back."""
    await until_ready(cluster, TAGGER, QUERIER)
    await cluster.publish(uploads(range(20)))
    await until_counted(cluster, 20)
    await cluster.kill(TAGGER)
    await cluster.publish(uploads(range(20, 30)))
    await until_counted(cluster, 20)
    await cluster.kill(QUERIER)
    await start(cluster, QUERIER, "query")
    await start(cluster, TAGGER, "tag")
    await until_ready(cluster, QUERIER)
    await until_counted(cluster, 30)
    await assert_exact(cluster, 30)
