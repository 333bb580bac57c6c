"""A user is forgotten in all partitions by one event, whoever is killed meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from support.cluster import Cluster
from support.examples import Programs
from support.fault_cases import PHOTO, STUB

from schemas.uploads import UploadData
from streams.fold.erasure.marks import MARK

pytestmark = pytest.mark.kafka
IMAGES = 120


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    environment = STUB | {"TAGSTREAM_STREAMS": "image.tags"}
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def uploads(user: str, begin: str = "") -> list[UploadData]:
    return [
        UploadData(
            public_id=f"{user}-{begin}{n}",
            event_id=f"{user}-{begin}{n}",
            url=PHOTO,
            auto_tagging=0.5,
            user_id=user,
        )
        for n in range(IMAGES)
    ]


async def until_counted(cluster: Cluster, count: int) -> None:
    async with asyncio.timeout(90):
        while (await cluster.counts())["koala"] != count:
            await asyncio.sleep(0.2)


async def assert_only(cluster: Cluster, user: str) -> None:
    """Check that rows are of one user alone."""
    images = await cluster.table("images")
    assert {row["user"] for row in images.values()} == {user}
    assert {key.partition(":")[2] for _, key in await cluster.table("interests")} == {user}
    assert await cluster.table("retries") == {}
    assert await cluster.counts() == {"koala": IMAGES, "tree": IMAGES}
    told: dict[bytes, bytes | None] = {}
    for record in await cluster.read(cluster.names.image_tags):
        told[record.key] = record.value
    left = [orjson.loads(value) for value in told.values() if value is not None]
    assert {row["user_id"] for row in left} == {user}
    assert len(left) == 2 * IMAGES


async def test_kills_leave_nothing_of_a_forgotten_user(cluster: Cluster) -> None:
    """Images, interests and uploads that wait are gone, and what others have is as it was."""
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    waiting = [
        UploadData(public_id=f"w{n}", event_id=f"w{n}", url="http://gone.invalid/x.jpg", user_id="ann")
        for n in range(4)
    ]
    await cluster.publish([*uploads("ann"), *uploads("bob"), *waiting])
    await until_counted(cluster, 2 * IMAGES)
    forgotten = UploadData(type="user.forgotten", user_id="ann", event_id="f1", by="officer")
    await cluster.publish([forgotten])
    for worker in (0, 1):
        await cluster.kill(worker)
        await cluster.start(worker)
    await until_counted(cluster, IMAGES)
    async with asyncio.timeout(90):
        while await cluster.table("retries") or len(await cluster.table("images")) > IMAGES:
            await asyncio.sleep(0.2)
    await assert_only(cluster, "bob")
    marks = [row for (_, key), row in (await cluster.table("meta")).items() if key.startswith(MARK)]
    assert [row["by"] for row in marks] == ["officer"] * cluster.partitions


async def test_the_command_forgets_a_user(cluster: Cluster) -> None:
    """It ends when all partitions have done so; what the user uploads then is new."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish([*uploads("ann"), *uploads("bob")])
    await until_counted(cluster, 2 * IMAGES)
    told = {
        **cluster.environment,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_TOPIC_PREFIX": f"{cluster.name}.",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
    }
    command = ("-m", "streams.cli", "users", "forget", "ann", "--by", "officer", "--yes")
    printed = await Programs(told).output(*command)
    assert "forgotten in all partitions" in printed
    await assert_only(cluster, "bob")
    await cluster.publish(uploads("ann", "again-"))
    await until_counted(cluster, 2 * IMAGES)
