"""An image is one image, whoever publishes it: with any client's partitioner, with any key, or with none."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from support.clients.publishing import Event, by_aiokafka, by_confluent, by_kafka_python, kafkajs
from support.cluster import Cluster
from support.fault_cases import PHOTO, STUB

pytestmark = pytest.mark.kafka

IMAGES = [f"image-{number}" for number in range(12)]


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


async def until_counted(cluster: Cluster, count: int, *tags: str) -> None:
    async with asyncio.timeout(60):
        while {(await cluster.counts())[tag] for tag in tags} != {count}:
            await asyncio.sleep(0.2)


def uploads(client: str) -> list[dict[str, object]]:
    return [
        {"public_id": name, "event_id": f"{client}-{name}", "url": PHOTO, "auto_tagging": 0.4}
        for name in IMAGES
    ]


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kafkajs is installed, once."""
    return tmp_path_factory.mktemp("kafkajs")


def named(events: Iterable[dict[str, object]]) -> list[Event]:
    """Events under the public ids of their images."""
    return [(str(event["public_id"]), event) for event in events]


def nameless(events: Iterable[dict[str, object]]) -> list[Event]:
    """Events without a key."""
    return [(None, event) for event in events]


def about_all(kind: str, **told: object) -> list[dict[str, object]]:
    """An event of a kind about each image."""
    return [{"type": kind, "public_id": name, "event_id": f"{kind}-{name}", **told} for name in IMAGES]


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")  # in kafka-python
@pytest.mark.parametrize("partitions", [4, 3])
async def test_twelve_images_by_any_client_are_twelve_images(
    cluster: Cluster, node_folder: Path, partitions: int
) -> None:
    """confluent-kafka, kafka-python, kafkajs and aiokafka, with keys and without: all reach one image."""
    cluster.partitions = partitions
    clients = {
        "confluent": by_confluent,
        "kafka-python": by_kafka_python,
        "aiokafka": by_aiokafka,
        "kafkajs": await kafkajs(node_folder),
    }
    await cluster.start(0)
    await cluster.until_ready([0])
    for name, publish in clients.items():
        await publish(cluster, named(uploads(f"{name}-keyed")))
        await publish(cluster, nameless(uploads(f"{name}-none")))
    await by_aiokafka(cluster, [("the-user", event) for event in uploads("foreign key")])
    async with asyncio.timeout(60):
        while len(await cluster.results()) < 9 * 12:
            await asyncio.sleep(0.2)
    assert (await cluster.counts())["koala"] == 12
    for number, publish in enumerate(clients.values()):
        edits = about_all("image.tags-edited", added=[f"seen-{number}"], by="ada")
        for edit in edits:
            edit["event_id"] = f"{number}-{edit['event_id']}"
        await publish(cluster, nameless(edits))
    await until_counted(cluster, 12, "seen-0", "seen-1", "seen-2", "seen-3")
    assert (await cluster.counts())["koala"] == 12
    assert (await cluster.get(0, "/images?tag=koala"))["total"] == 12
    assert len(await cluster.table("images")) == 12
    await clients["kafkajs"](cluster, [("k", event) for event in about_all("image.deleted")])
    await until_counted(cluster, 0, "koala")
    assert await cluster.read(cluster.names.dead_letters) == []
    assert len(await cluster.results()) == 9 * 12
    assert await cluster.stop(0) == 0


async def test_a_forwarded_event_is_the_one_that_was_published(cluster: Cluster) -> None:
    """An event without an id is known by the place where it was published, forwarded or not."""
    await cluster.start(0)
    await cluster.until_ready([0])
    event: dict[str, object] = {"public_id": "koala", "url": PHOTO, "auto_tagging": 0.4}
    await by_aiokafka(cluster, [(key, event) for key in "abcd"])
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
    events: list[Event] = [
        (
            None,
            {"public_id": f"i{number % images}", "event_id": f"e{number}", "url": PHOTO, "auto_tagging": 0.4},
        )
        for number in range(rounds * images)
    ]
    publishing = asyncio.create_task(by_aiokafka(cluster, events))
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
