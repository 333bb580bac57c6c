"""Upload topics of any number, with any partitions: their events reach each image once, whoever is killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic
from support.clients.publishing import Event, by_aiokafka, by_confluent
from support.cluster import Cluster
from support.examples import Programs
from support.fault_cases import PHOTO, STUB

from schemas.dead_letters import read_fault
from schemas.replays import failed_place
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection

pytestmark = pytest.mark.kafka


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


async def create(cluster: Cluster, topics: dict[str, int]) -> None:
    """Make upload topics with so many partitions, and have the workers read them."""
    cluster.environment["TAGSTREAM_UPLOADS_TOPICS"] = ",".join(topics)
    async with open_admin(KafkaConnection(cluster.bootstrap)) as admin:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()])


def upload(image: str, event: str) -> dict[str, object]:
    return {"public_id": image, "event_id": event, "url": PHOTO, "auto_tagging": 0.4}


async def until_counted(cluster: Cluster, tag: str, count: int) -> None:
    async with asyncio.timeout(60):
        while (await cluster.counts())[tag] != count:
            await asyncio.sleep(0.2)


async def until_results(cluster: Cluster, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await cluster.results()) < count:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(("uploads", "partitions"), [(3, 12), (12, 4), (4, 4)])
async def test_upload_topics_have_any_number_of_partitions(
    cluster: Cluster, uploads: int, partitions: int
) -> None:
    """Two partitioners and no key: each image lies in one partition of the state, and counts once."""
    cluster.partitions = partitions
    await create(cluster, {f"{cluster.name}.uploads": uploads})
    await cluster.start(0)
    await cluster.until_ready([0])
    images = [f"image-{number}" for number in range(12)]
    await by_confluent(cluster, [(name, upload(name, f"c-{name}")) for name in images])
    await by_aiokafka(cluster, [(name, upload(name, f"a-{name}")) for name in images])
    await by_aiokafka(cluster, [(None, upload(name, f"n-{name}")) for name in images])
    await until_results(cluster, 36)
    edits: list[Event] = [
        (None, {"type": "image.tags-edited", "public_id": name, "event_id": f"e-{name}", "added": ["seen"]})
        for name in images
    ]
    await by_confluent(cluster, edits)
    await until_counted(cluster, "seen", 12)
    assert await cluster.counts() == {"koala": 12, "tree": 12, "seen": 12}
    assert len(await cluster.table("images")) == 12
    gone: list[Event] = [
        (None, {"type": "image.deleted", "public_id": name, "event_id": f"d-{name}"}) for name in images
    ]
    await by_aiokafka(cluster, gone)
    await until_counted(cluster, "koala", 0)
    assert await cluster.read(cluster.names.dead_letters) == []
    assert await cluster.stop(0) == 0


async def test_two_upload_topics_are_one_stream(cluster: Cluster) -> None:
    """An image that both tell of is one image; what is no event tells the place where it was published."""
    first, second = f"{cluster.name}.web", f"{cluster.name}.mobile"
    await create(cluster, {first: 2, second: 3})
    await cluster.start(0)
    await cluster.until_ready([0])
    await by_aiokafka(cluster, [("koala", {"url": PHOTO, "auto_tagging": 0.4})], first)
    await by_aiokafka(cluster, [("koala", {"url": PHOTO, "auto_tagging": 0.4})], second)
    await by_aiokafka(cluster, [("b", {"url": 7})], second)
    await until_results(cluster, 2)
    causes = [result["cause"] for result in await cluster.results()]
    assert {cause["source"] for cause in causes} == {f"kafka:{first}", f"kafka:{second}"}
    assert {cause["id"].partition("/")[0] for cause in causes} == {first, second}
    assert (await cluster.counts())["koala"] == 1
    async with asyncio.timeout(30):
        while not (letters := await cluster.read(cluster.names.dead_letters)):
            await asyncio.sleep(0.2)
    place = failed_place(letters[0].headers)
    assert read_fault(letters[0].headers).reason == "invalid_event"
    assert place is not None
    published = {(each.partition, each.offset): each.value for each in await cluster.read(second)}
    assert place.topic == second
    assert published[place.partition, place.offset] == b'{"url": 7}'


async def test_kills_neither_lose_nor_double_what_is_repartitioned(cluster: Cluster) -> None:
    """Four kills among a thousand uploads: each has one result, and each image counts once."""
    await create(cluster, {f"{cluster.name}.a": 3, f"{cluster.name}.b": 5})
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    images, total = 250, 1000
    events: list[Event] = [(None, upload(f"i{n % images}", f"e{n}")) for n in range(total)]
    inputs = cluster.names.inputs
    publishing = asyncio.gather(*(by_aiokafka(cluster, events[n::2], inputs[n]) for n in (0, 1)))
    for results, worker in ((50, 0), (250, 1), (500, 0), (750, 1)):
        await until_results(cluster, results)
        await cluster.kill(worker)
        await cluster.start(worker)
    await publishing
    await until_results(cluster, total)
    found = Counter(result["cause"]["id"] for result in await cluster.results())
    assert found == Counter(f"e{n}" for n in range(total))
    assert await cluster.counts() == {"koala": images, "tree": images}
    assert len(await cluster.table("images")) == images
    assert await cluster.read(cluster.names.dead_letters) == []


async def test_an_upload_topic_that_was_recreated_is_noticed(cluster: Cluster) -> None:
    """It ends with 78 and says which topic, also where the new one is longer than what was read."""
    topic = f"{cluster.name}.uploads"
    await create(cluster, {topic: 1})
    await cluster.start(0)
    await cluster.until_ready([0])
    await by_aiokafka(cluster, [(None, upload(f"i{n}", f"e{n}")) for n in range(5)])
    await until_results(cluster, 5)
    assert await cluster.stop(0) == 0
    async with open_admin(KafkaConnection(cluster.bootstrap)) as admin:
        await admin.delete_topics([topic])
        async with asyncio.timeout(30):
            while topic in await admin.list_topics():
                await asyncio.sleep(0.1)
    await create(cluster, {topic: 1})
    await by_aiokafka(cluster, [(None, upload(f"j{n}", f"f{n}")) for n in range(12)])
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    log = cluster.log_path(0).read_text("utf-8")
    assert f"topic {topic} was recreated" in log
    assert "choose a new app_id" in log
    assert len(await cluster.results()) == 5


async def test_another_number_of_partitions_is_refused_with_the_cure(cluster: Cluster) -> None:
    """Who does not say that uploads are to be repartitioned is told how to."""
    name = cluster.names.uploads
    async with open_admin(KafkaConnection(cluster.bootstrap)) as admin:
        await admin.create_topics([NewTopic(name, 3, 1)])
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    assert f"set TAGSTREAM_UPLOADS_TOPICS={name}" in cluster.log_path(0).read_text("utf-8")


async def test_commands_reach_images_by_way_of_the_first_topic(cluster: Cluster) -> None:
    """An edit and a re-tag wait until they are folded in; what is folded in is deleted from the log, then."""
    first, second = f"{cluster.name}.web", f"{cluster.name}.mobile"
    await create(cluster, {first: 3, second: 2})
    await cluster.start(0)
    await cluster.until_ready([0])
    images = [f"image-{number}" for number in range(8)]
    await by_aiokafka(cluster, [(None, upload(name, f"e-{name}")) for name in images], second)
    await until_counted(cluster, "koala", 8)
    told = {
        **cluster.environment,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_TOPIC_PREFIX": f"{cluster.name}.",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
    }
    tagstream = Programs(told)
    await tagstream.output("-m", "streams.cli", "images", "edit", "image-3", "--add", "seen")
    assert (await cluster.counts())["seen"] == 1
    printed = await tagstream.output("-m", "streams.cli", "retag", "--rules-only", "--json")
    assert orjson.loads(printed.splitlines()[-1])["done"] == 8
    assert len(await cluster.read(first)) == 1 + 8
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap)
    await consumer.start()
    try:
        places = [TopicPartition(cluster.names.upload_log, number) for number in range(4)]
        async with asyncio.timeout(90):
            while await consumer.beginning_offsets(places) != await consumer.end_offsets(places):
                await asyncio.sleep(0.5)
    finally:
        await consumer.stop()
    assert await cluster.stop(0) == 0
