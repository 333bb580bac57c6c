"""Events of other programs through a broker and a worker: tagged, withdrawn, each once, whoever is killed."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster
from support.examples import Programs
from support.fault_cases import STUB
from support.sources.bucket import Bucket
from support.sources.samples import SAMPLES, Sample

from schemas.dead_letters import read_fault
from schemas.replays import failed_place

pytestmark = pytest.mark.kafka

SAMPLE = {sample.name: sample for sample in SAMPLES}
FILE = """
[topics."{name}.s3"]
source = "s3"
tenant = "acme"
auto_tagging = 0.4
[topics."{name}.eventbridge"]
source = "eventbridge"
auto_tagging = 0.4
[topics."{name}.gcs"]
source = "gcs"
url = "{base}/{{bucket}}/{{key}}"
auto_tagging = 0.4
[topics."{name}.azure"]
source = "azure"
url = "{base}/{{container}}/{{key}}"
auto_tagging = 0.4
[topics."{name}.cloudinary"]
source = "cloudinary"
url = "{base}/{{public_id}}"
auto_tagging = 0.4
[topics."{name}.rows"]
source = "debezium"
public_id = "photo-{{id}}"
url = "{base}/{{id}}"
auto_tagging = 0.4
[topics."{name}.outbox"]
source = "debezium-outbox"
auto_tagging = 0.4
[topics."{name}.connect"]
source = "connect"
auto_tagging = 0.4
[topics."{name}.confluent"]
source = "confluent"
auto_tagging = 0.4
"""
PAIRS = {
    "s3": [("minio-put", "minio-delete"), ("aws-post", "aws-delete"), ("ceph-put", "ceph-delete")],
    "eventbridge": [("eventbridge-created", "eventbridge-deleted")],
    "gcs": [("gcs-finalized", "gcs-deleted")],
    "azure": [("azure-created", "azure-deleted")],
    "cloudinary": [("cloudinary-upload", "cloudinary-delete")],
    "rows": [("debezium-create", "debezium-delete")],
}
IMAGES = 8
MOMENT = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    async with Bucket() as bucket:
        yield bucket


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, bucket: Bucket) -> AsyncIterator[Cluster]:
    file = tmp_path / "sources.toml"
    file.write_text(FILE.format(name=unique, base=bucket.base), "utf-8")
    roots = f"s3://pictures={bucket.base}/pictures"
    environment = {
        **STUB,
        "TAGSTREAM_SOURCES": str(file),
        "TAGSTREAM_SOURCE_ROOTS": roots,
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{bucket.port}",
    }
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def fresh(value: bytes) -> bytes:
    """A sample's message as of an hour ago: what is withdrawn is remembered for a month."""
    for old in (b"2026-01-31T12", b"2026-01-23T07"):
        value = value.replace(old, MOMENT.strftime("%Y-%m-%dT%H").encode())
    return value.replace(b"1769860800000", str(int(MOMENT.timestamp() * 1000)).encode())


async def send(cluster: Cluster, topic: str, *records: tuple[bytes | None, Sample | bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap)
    await producer.start()
    try:
        for key, what in records:
            value, headers = (what, []) if isinstance(what, bytes) else (what.value, what.record().headers)
            await producer.send_and_wait(
                f"{cluster.name}.{topic}", fresh(value or b""), key=key, headers=list(headers)
            )
    finally:
        await producer.stop()


async def send_all(cluster: Cluster, which: int) -> None:
    for topic, pairs in PAIRS.items():
        samples = [SAMPLE[pair[which]] for pair in pairs]
        await send(cluster, topic, *((sample.record().key, sample) for sample in samples))


async def counted(cluster: Cluster, tag: str) -> int:
    """How many images have a tag, of all tenants together."""
    counts = await cluster.counts()
    return sum(count for name, count in counts.items() if name.partition("\x1f")[0] == tag)


async def until_counted(cluster: Cluster, tag: str, count: int) -> None:
    async with asyncio.timeout(90):
        while await counted(cluster, tag) != count:
            await asyncio.sleep(0.2)


async def until_results(cluster: Cluster, count: int) -> None:
    async with asyncio.timeout(90):
        while len(await cluster.results()) < count:
            await asyncio.sleep(0.2)


async def letters(cluster: Cluster, count: int) -> list[Any]:
    async with asyncio.timeout(60):
        while len(found := await cluster.read(cluster.names.dead_letters)) < count:
            await asyncio.sleep(0.2)
    return found


def created(key: str, sequencer: str) -> dict[str, Any]:
    """A record of a notification that an object was created."""
    value = SAMPLE["aws-put"].content["Records"][0]
    thing = value["s3"]["object"] | {"key": key, "sequencer": sequencer}
    return dict(value | {"s3": value["s3"] | {"object": thing}})


def notification(*records: dict[str, Any]) -> bytes:
    return orjson.dumps({"Records": records})


async def test_each_vendors_events_tag_and_withdraw_once(cluster: Cluster, bucket: Bucket) -> None:
    """An upload is tagged, a removal withdraws it; a second delivery and a late one change nothing."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await send_all(cluster, 0)
    await until_counted(cluster, "koala", IMAGES)
    assert bucket.asked["/pictures/photos/red%20flower.jpg"] == 1
    await send_all(cluster, 0)
    event = orjson.dumps({"public_id": "koala", "url": f"{bucket.base}/k"})
    await send(cluster, "outbox", (b"koala", orjson.dumps(event.decode())))
    await send(
        cluster, "connect", (None, b'{"schema":{},"payload":' + event.replace(b"koala", b"bear") + b"}")
    )
    await send(cluster, "confluent", (None, b"\0\0\0\0\7" + event.replace(b"koala", b"possum")))
    await until_counted(cluster, "koala", IMAGES + 3)
    assert len(await cluster.results()) == IMAGES + 3
    await send_all(cluster, 1)
    await until_counted(cluster, "koala", 3)
    late = created("a.jpg", "0055AED6DCD90281E0")
    await send(cluster, "s3", (None, notification(late, created("b.jpg", "1"))), (b"gone", b"\0"))
    await send_all(cluster, 0)
    await send(cluster, "rows", (b'{"id":7}', b""))
    found = await letters(cluster, 2)
    await until_counted(cluster, "koala", 4)
    assert await counted(cluster, "tree") == 4
    assert {read_fault(letter.headers).reason for letter in found} == {"invalid_json", "empty_value"}
    place = failed_place(found[0].headers)
    assert place is not None
    assert place.topic in {f"{cluster.name}.s3", f"{cluster.name}.rows"}
    rows = {key: row for (_, key), row in (await cluster.table("images")).items()}
    assert {row["tenant"] for key, row in rows.items() if "red flower" in key} >= {"acme"}
    told = re.findall(r'source_outcomes_total{outcome="(\w+)"} (\S+)', await cluster.metrics(0))
    outcomes = {name: float(number) for name, number in told}
    copied = await cluster.read(cluster.names.upload_log)
    assert outcomes["event"] + outcomes["refused"] == len(copied)
    assert outcomes["refused"] == len(found)
    assert outcomes["skipped"] == 1  # a video among what Cloudinary tells of as deleted
    assert await cluster.stop(0) == 0


async def test_kills_neither_lose_nor_double_what_is_translated(cluster: Cluster) -> None:
    """Notifications of three records each, and kills among them: each object has one result."""
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    total = 300
    records = [created(f"{number}.jpg", f"{number:016x}") for number in range(total)]
    messages = [(None, notification(*records[n : n + 3])) for n in range(0, total, 3)]
    publishing = asyncio.create_task(send(cluster, "s3", *messages))
    for results, worker in ((20, 0), (120, 1), (220, 0)):
        await until_results(cluster, results)
        await cluster.kill(worker)
        await cluster.start(worker)
    await publishing
    await until_results(cluster, total)
    await until_counted(cluster, "koala", total)
    ids = [result["public_id"] for result in await cluster.results()]
    assert sorted(ids) == sorted(f"pictures/{number}.jpg" for number in range(total))
    assert await cluster.read(cluster.names.dead_letters) == []


async def test_dead_letters_of_sources_are_published_again(cluster: Cluster, bucket: Bucket) -> None:
    """What could not be read goes to its topic, an event that was made of a message to the upload topic."""
    await cluster.start(0)
    await cluster.until_ready([0])
    bucket.missing.add("/pictures/late.jpg")
    await send(cluster, "s3", (None, notification(created("late.jpg", "1"))), (None, b"<html>"))
    found = await letters(cluster, 2)
    assert {read_fault(letter.headers).reason for letter in found} == {"http_404", "invalid_json"}
    bucket.missing.clear()
    told = {
        **cluster.environment,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_TOPIC_PREFIX": f"{cluster.name}.",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
    }
    printed = await Programs(told).output("-m", "streams.cli", "dead-letters", "replay", "--yes")
    assert "2 of 2 events were published" in printed
    await until_counted(cluster, "koala", 1)
    assert [read_fault(each.headers).reason for each in await letters(cluster, 3)].count("invalid_json") == 2
