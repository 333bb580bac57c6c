"""More partitions of state: a real worker before and after, its answers compared, kills in between."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from support.cluster import Cluster
from support.fault_cases import STUB
from support.small_source import source

from schemas.uploads import UploadData
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.connection import KafkaConnection
from streams.kafka.partitioning import partition_for
from streams.rescale.topics import mark

pytestmark = pytest.mark.kafka

IMAGES, TAGS, USERS = 1500, 40, 25
QUESTIONS = (
    "/trends/top?window=all&limit=100&uploaders=true",
    "/trends/top?window=24h&limit=100",
    "/trends/tags/tag-1?window=all",
    "/trends/tags/tag-2?window=30d",
    "/trends/tags/tag-1/related?min_both=2&limit=20",
    "/images?tag=tag-3&limit=100",
    "/images?tag=edited&limit=100",
    "/images/image-7",
    "/users/user-3/interests?limit=50",
    "/users/user-3/similar",
    "/tags?prefix=tag&limit=100",
)
_PASSING = (
    "as_of",
    "complete",
    "behind",
    "window",
    "cursor",
    "partition",
    "profiles_as_of",
    "profiles_age_seconds",
)


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    environment = STUB | {"TAGSTREAM_STREAMS": "image.tags,tag.counts"}
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def photo(number: int) -> str:
    """An image of two tags, as the stub reads it."""
    tags = {f"tag-{number % TAGS}": 0.9, f"tag-{number % 7}": 0.8}
    return f"data:application/json,{quote(json.dumps(tags))}"


def uploads() -> list[UploadData]:
    return [
        UploadData(
            public_id=f"image-{n}",
            event_id=f"event-{n}",
            url=photo(n),
            auto_tagging=0.5,
            user_id=f"user-{n % USERS}",
        )
        for n in range(IMAGES)
    ]


async def answers(cluster: Cluster, worker: int) -> dict[str, Any]:
    found = {}
    for question in QUESTIONS:
        answer = await cluster.get(worker, question)
        found[question] = {name: value for name, value in answer.items() if name not in _PASSING}
    return found


async def until_complete(cluster: Cluster, worker: int) -> None:
    await cluster.until_ready([worker])
    async with asyncio.timeout(60):
        while not (await cluster.get(worker, "/trends/top?window=all")).get("complete"):
            await asyncio.sleep(0.1)


COMMAND = (
    "import sys; from streams.cli.main import main; from streams.rescale import job; {0}sys.exit(main())"
)
IN_SMALL_STEPS = COMMAND.format("job._IMAGES = 20; ")  # so that there is time to kill it in the middle


async def rescale(
    cluster: Cluster, partitions: int, *options: str, code: str = COMMAND.format("")
) -> asyncio.subprocess.Process:
    """Start the command."""
    environment = {
        **os.environ,
        **cluster.environment,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_TOPIC_PREFIX": f"{cluster.name}.",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
    }
    command = (sys.executable, "-c", code, "rescale", "--partitions", str(partitions), *options)
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


async def printed(process: asyncio.subprocess.Process, code: int = 0) -> str:
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == code, out.decode()
    return out.decode()


@asynccontextmanager
async def filled(cluster: Cluster) -> AsyncIterator[dict[str, Any]]:
    """A state with edits, deletions and repeats, whose worker has stopped; what it answered."""
    await cluster.start(0)
    await cluster.until_ready([0])
    more = [UploadData(type="image.deleted", public_id=f"image-{n}", event_id=f"gone-{n}") for n in (3, 30)]
    more += [
        UploadData(
            type="image.tags-edited", public_id=f"image-{n}", event_id=f"edit-{n}", added=["edited"], by="ada"
        )
        for n in range(10, 20)
    ]
    await cluster.publish(uploads())
    await cluster.publish(more)
    await cluster.until_folded(IMAGES + len(more))
    await until_complete(cluster, 0)
    before = await answers(cluster, 0)
    assert await cluster.stop(0) == 0
    yield before


@pytest.mark.parametrize("streams", ["image.tags,tag.counts", ""], ids=["streams", "no streams"])
async def test_answers_are_the_same_after_a_rescale_that_was_killed(cluster: Cluster, streams: str) -> None:
    """Killed in the middle and started again: each image is where it belongs, and answers are as before.

    Without streams, what came lately of tags waits to be counted in their buckets.
    """
    cluster.environment["TAGSTREAM_STREAMS"] = streams
    async with filled(cluster) as before:
        cluster.partitions = 5
        first = await rescale(cluster, 5, code=IN_SMALL_STEPS)
        await until_moving(cluster)
        first.kill()
        await first.wait()
        assert await topic_exists(cluster, cluster.names.rescale)
        assert "done" in await printed(await rescale(cluster, 5))
        assert not await topic_exists(cluster, cluster.names.rescale)
    images = await cluster.table("images")
    assert len(images) == IMAGES
    assert all(partition == partition_for(key, 5) for partition, key in images)
    await cluster.start(0)
    await until_complete(cluster, 0)
    after = await answers(cluster, 0)
    for question in QUESTIONS:
        assert after[question] == before[question]
    counts = await cluster.counts()
    if streams:
        await assert_streams_are_the_rows(cluster)
    else:
        assert await has_waited(cluster)
    gone = [
        UploadData(type="image.deleted", public_id=f"image-{n}", event_id=f"d-{n}") for n in range(IMAGES)
    ]
    await cluster.publish(gone)
    async with asyncio.timeout(120):
        while +(await cluster.counts()):
            await asyncio.sleep(0.3)
    assert sum(counts.values()) > IMAGES
    assert await cluster.read(cluster.names.dead_letters) == []
    assert await cluster.stop(0) == 0


async def has_waited(cluster: Cluster) -> bool:
    counts = await cluster.read(cluster.names.changelog("trends"))
    return any(record.key.startswith(b"recent:") for record in counts)


async def assert_streams_are_the_rows(cluster: Cluster) -> None:
    """Check that each partition of the streams, folded by its keys, is what its rows say."""
    images = await cluster.table("images")
    tags = {(partition, key, tag) for (partition, key), row in images.items() for tag in row["tags"]}
    assert tags == {
        (partition, row["public_id"], row["tag"])
        for partition, row in await folded(cluster, cluster.names.image_tags)
    }
    counts = {
        (partition, key.rpartition(":")[2]): row["n"]
        for (partition, key), row in (await cluster.table("trends")).items()
        if key.startswith("all:")
    }
    assert counts == {
        (partition, row["tag"]): row["count"]
        for partition, row in await folded(cluster, cluster.names.tag_counts)
        if (row["window"], row["add_on"]) == ("all", "*") and row["partition"] == partition
    }


async def folded(cluster: Cluster, topic: str) -> list[tuple[int, dict[str, Any]]]:
    """Partition and value of the newest record of each key."""
    found: dict[tuple[int, bytes], bytes] = {}
    for record in await cluster.read(topic):
        found.pop((record.partition, record.key), None)
        if record.value is not None:
            found[record.partition, record.key] = record.value
    return [(partition, json.loads(value)) for (partition, _), value in found.items()]


async def until_moving(cluster: Cluster) -> None:
    """Wait until images lie in the partitions that are new."""
    async with asyncio.timeout(60):
        while True:
            if await topic_partitions(cluster, cluster.names.changelog("images")) == 5:
                new = [
                    record async for record in cluster.records(cluster.names.changelog("images"), [2, 3, 4])
                ]
                if new:
                    return
            await asyncio.sleep(0.02)


async def topic_partitions(cluster: Cluster, topic: str) -> int:
    async with open_admin(KafkaConnection(cluster.bootstrap)) as admin:
        return (await partition_counts(admin)).get(topic, 0)


async def topic_exists(cluster: Cluster, topic: str) -> bool:
    return await topic_partitions(cluster, topic) > 0


async def test_nothing_is_moved_while_workers_run_or_beside_an_unfinished_one(cluster: Cluster) -> None:
    """A rescale is refused while a worker works; a worker, and another one, while one is unfinished."""
    await cluster.start(0)
    await cluster.until_ready([0])
    out = await printed(await rescale(cluster, 3), 78)
    assert f"group {cluster.name} has 1 members" in out
    assert "stop the workers" in out
    assert await cluster.stop(0) == 0
    assert "0 of 0 images" in await printed(await rescale(cluster, 3, "--dry-run"))
    assert await topic_partitions(cluster, cluster.names.changelog("images")) == 2
    assert "nothing to do" in await printed(await rescale(cluster, 2), 78)
    async with open_admin(KafkaConnection(cluster.bootstrap)) as admin:
        await mark(admin, cluster.names, 3)
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    assert "run it again" in cluster.log_path(0).read_text("utf-8")
    assert "--partitions 3" in await printed(await rescale(cluster, 4), 78)
    assert "done" in await printed(await rescale(cluster, 3))
    cluster.partitions = 3
    await cluster.start(0)
    await cluster.until_ready([0])
    assert await cluster.stop(0) == 0


async def test_uploads_that_wait_for_their_sources_move_as_well(cluster: Cluster) -> None:
    """They begin to wait anew in the partition of their image, and are tagged once there."""
    busy = True

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503) if busy else web.json_response({"koala": 0.9})

    async with source(answer) as port:
        cluster.environment |= {"TAGSTREAM_ALLOW_SOURCES": "127.0.0.1", "TAGSTREAM_RETRY_FIRST": "0.5"}
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish(
            [
                UploadData(
                    public_id=f"w{n}", event_id=f"w{n}", url=f"http://127.0.0.1:{port}/{n}", auto_tagging=0.5
                )
                for n in range(12)
            ]
        )
        async with asyncio.timeout(60):
            while len(await cluster.table("retries")) < 12:
                await asyncio.sleep(0.2)
        assert await cluster.stop(0) == 0
        assert "12 uploads wait" in await printed(await rescale(cluster, 5))
        cluster.partitions, busy = 5, False
        await cluster.start(0)
        await cluster.until_ready([0])
        async with asyncio.timeout(90):
            while (await cluster.counts())["koala"] < 12:
                await asyncio.sleep(0.2)
        results = await cluster.results()
        assert sorted(result["cause"]["id"] for result in results) == sorted(f"w{n}" for n in range(12))
        images = await cluster.table("images")
        assert {(partition_for(key, 5), key) for _, key in images} == images.keys()
        assert await cluster.table("retries") == {}
        assert await cluster.stop(0) == 0
