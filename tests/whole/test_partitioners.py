"""An image is one image, whoever publishes it: with any client's partitioner, with any key, or with none."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from support.cluster import Cluster
from support.fault_cases import PHOTO, STUB

pytestmark = pytest.mark.kafka

IMAGES = [f"image-{number}" for number in range(12)]
Send = Callable[[Cluster, Iterable[tuple[bytes | None, dict[str, object]]]], None]


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


def by_crc32(cluster: Cluster, events: Iterable[tuple[bytes | None, dict[str, object]]]) -> None:
    """Publish as librdkafka does by default."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    for key, event in events:
        producer.produce(cluster.names.uploads, json.dumps(event).encode(), key=key)
    assert producer.flush(30) == 0


async def by_murmur2(cluster: Cluster, events: Iterable[tuple[bytes | None, dict[str, object]]]) -> None:
    """Publish as Kafka's client for Java does, and aiokafka."""
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap) as producer:
        for key, event in events:
            await producer.send_and_wait(cluster.names.uploads, json.dumps(event).encode(), key)


async def until_counted(cluster: Cluster, count: int) -> None:
    async with asyncio.timeout(60):
        while (await cluster.counts())["koala"] != count:
            await asyncio.sleep(0.2)


def uploads(client: str) -> list[dict[str, object]]:
    return [
        {"public_id": name, "event_id": f"{client}-{name}", "url": PHOTO, "auto_tagging": 0.4}
        for name in IMAGES
    ]


async def test_twelve_images_by_four_publishers_are_twelve_images(cluster: Cluster) -> None:
    """librdkafka's CRC32, murmur2, no key, and a key that is another's: uploads, edits and deletions meet."""
    await cluster.start(0)
    await cluster.until_ready([0])
    named = [(str(event["public_id"]).encode(), event) for event in uploads("crc")]
    await asyncio.to_thread(by_crc32, cluster, named)
    await until_counted(cluster, 12)
    await by_murmur2(cluster, [(str(event["public_id"]).encode(), event) for event in uploads("murmur")])
    await by_murmur2(cluster, [(None, event) for event in uploads("none")])
    await by_murmur2(cluster, [(b"the-user", event) for event in uploads("other")])
    edits = [
        {
            "type": "image.tags-edited",
            "public_id": name,
            "event_id": f"edit-{name}",
            "added": ["seen"],
            "by": "ada",
        }
        for name in IMAGES
    ]
    await asyncio.to_thread(by_crc32, cluster, [(None, edit) for edit in edits])
    async with asyncio.timeout(60):
        while (counts := await cluster.counts())["seen"] != 12:
            await asyncio.sleep(0.2)
    assert counts["koala"] == 12
    assert (await cluster.get(0, "/images?tag=koala"))["total"] == 12
    images = await cluster.table("images")
    assert len(images) == 12
    deletions = [{"type": "image.deleted", "public_id": name, "event_id": f"gone-{name}"} for name in IMAGES]
    await asyncio.to_thread(by_crc32, cluster, [(b"k", deletion) for deletion in deletions])
    await until_counted(cluster, 0)
    assert await cluster.read(cluster.names.dead_letters) == []
    assert len(await cluster.results()) == 4 * 12
    assert await cluster.stop(0) == 0


async def test_a_forwarded_event_is_the_one_that_was_published(cluster: Cluster) -> None:
    """An event without an id is known by the place where it was published, forwarded or not."""
    await cluster.start(0)
    await cluster.until_ready([0])
    event: dict[str, object] = {"public_id": "koala", "url": PHOTO, "auto_tagging": 0.4}
    await by_murmur2(cluster, [(b"a", event), (b"b", event), (b"c", event), (b"d", event)])
    async with asyncio.timeout(60):
        while len(await cluster.results()) < 4:
            await asyncio.sleep(0.2)
    results = await cluster.results()
    assert len({result["cause"]["id"] for result in results}) == 4
    published = [record for record in await cluster.read(cluster.names.uploads) if record.key != b"koala"]
    assert {result["cause"]["id"] for result in results} == {
        f"{record.topic}/{record.partition}/{record.offset}" for record in published
    }
    assert (await cluster.counts())["koala"] == 1


async def test_kills_neither_lose_nor_double_what_is_forwarded(cluster: Cluster) -> None:
    """Three kills among a thousand uploads without keys: each has one result, and each image counts once."""
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    images, rounds = 250, 4
    events: list[tuple[bytes | None, dict[str, object]]] = [
        (
            None,
            {"public_id": f"i{number % images}", "event_id": f"e{number}", "url": PHOTO, "auto_tagging": 0.4},
        )
        for number in range(rounds * images)
    ]
    publishing = asyncio.create_task(by_murmur2(cluster, events))
    for results, worker in ((50, 0), (300, 1), (600, 0)):
        async with asyncio.timeout(60):
            while len(await cluster.results()) < results:
                await asyncio.sleep(0.1)
        await cluster.kill(worker)
        await cluster.start(worker)
    await publishing
    async with asyncio.timeout(60):
        while len(found := await cluster.results()) < len(events):
            await asyncio.sleep(0.2)
    assert Counter(result["cause"]["id"] for result in found) == Counter(f"e{n}" for n in range(len(events)))
    assert await cluster.counts() == {"koala": images, "tree": images}
    assert await cluster.read(cluster.names.dead_letters) == []
    assert len(await cluster.table("images")) == images
