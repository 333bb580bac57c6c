"""Gateways as processes: with models of their own or the worker's, and what calls leave behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from support.gateway.gateways import CLOUD, KEY, SECRET, GatewayCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

KOALA = (Path(__file__).parents[3] / "streams" / "photos" / "koala.jpg").read_bytes()
WORKER, GATEWAY = 0, 1


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[GatewayCluster]:
    """One process that tags and is a gateway, and one that is a gateway alone."""
    environment = {"TAGSTREAM_TAGGER": "onnx", "TAGSTREAM_THREADS": "1"}
    started = GatewayCluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        await started.start_as(WORKER, "tag,gateway")
        await started.start_as(GATEWAY, "gateway")
        await started.until_gateways([WORKER, GATEWAY], 90)
        yield started
    finally:
        await started.close()


async def ask(cluster: GatewayCluster, worker: int, **params: str) -> httpx.Response:
    async with httpx.AsyncClient(auth=(KEY, SECRET), trust_env=False, timeout=60) as client:
        files = {"image": ("koala.jpg", KOALA)}
        return await client.post(f"{cluster.url(worker)}/v2/tags", files=files, params=params)


async def test_a_question_leaves_no_trace_unless_it_says_so(cluster: GatewayCluster) -> None:
    """Both gateways give the same tags; topics and the object store stay empty until one says `keep=1`."""
    answers = [await ask(cluster, worker) for worker in (WORKER, GATEWAY)]
    tags = [answer.json()["result"]["tags"] for answer in answers]
    assert tags[0] == tags[1]
    assert tags[0][0]["tag"] == {"en": "koala"}
    assert await cluster.read(cluster.names.uploads) == []
    assert cluster.stored() == []

    kept = (await ask(cluster, GATEWAY, keep="1")).json()["result"]
    assert kept["tags"] == tags[0]
    await cluster.until_folded(1)
    ((_, key), row), *others = (await cluster.table("images")).items()
    assert not others
    assert key == f"{kept['public_id']}\x1f{CLOUD}"
    assert row["scores"]["imagga_tagging"][0][0] == "koala"
    assert len(cluster.stored()) == 1


async def test_it_can_be_switched_off(cluster: GatewayCluster) -> None:
    """A gateway without the API loads no model, and answers its paths with 404."""
    await cluster.stop(GATEWAY)
    cluster.environment |= {"TAGSTREAM_IMAGGA_API": "false", "TAGSTREAM_ADD_ONS": "mine=/nowhere"}
    cluster.environment["TAGSTREAM_CATEGORIZATION"] = "mine"
    await cluster.start_as(GATEWAY, "gateway")
    await cluster.until_gateways([GATEWAY], 60)
    async with asyncio.timeout(30):
        assert (await ask(cluster, GATEWAY)).status_code == 404
