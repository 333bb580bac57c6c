"""Streams of what changed, under kills: an independent client's fold of them is what the API answers."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster
from support.judge.rises import expected_trends

from schemas.topics import OFFSET_KEY
from schemas.uploads import UploadData
from streams.fold.streams.filling import FILLED

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
HOURS = 5
STREAMS = "image.tags,tag.counts"


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_AUTO_TAGGING": "0.4",
        "TAGSTREAM_ROLES": "tag,query,trends",
        "TAGSTREAM_STREAMS": STREAMS,
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


Event = tuple[int, UploadData]  # its time, milliseconds since the epoch


def event(number: int, at: int, tags: dict[str, float], user: str | None, tenant: str | None = None) -> Event:
    said = "".join(f"%22{tag}%22:{confidence}," for tag, confidence in tags.items())
    data = UploadData(
        public_id=f"i{number}",
        event_id=f"e{number}",
        url=f"data:,%7B{said[:-1]}%7D",
        user_id=user,
        tenant=tenant,
        uploaded_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000)),
    )
    return at, data


def history(begin: int) -> Iterator[Event]:
    """Hours of uploads: some tags go on as always, three rise, one is a single person's."""
    chance, number = random.Random(7), 0
    for minute in range(HOURS * 60):
        tags = [("sea", f"u{chance.randrange(40)}", None)]
        tags += [("sea", "u0", "acme")] * (minute % 5 == 0)
        if 130 <= minute < 160:
            tags += [("koala", f"u{chance.randrange(12)}", None)] * 3
        if 200 <= minute < 210:
            tags += [("kite", "u1", None)] * 4
        if 220 <= minute < 240:
            tags += [("fog", f"u{chance.randrange(9)}", "acme")] * 2
        if minute >= 270:
            tags += [("late", f"u{chance.randrange(9)}", None)] * 2
        for tag, user, tenant in tags:
            at = begin + minute * 60_000 + chance.randrange(60_000)
            yield event(number, at, {tag: 0.9, "dim": 0.1}, user, tenant)
            number += 1


async def publish(cluster: Cluster, events: list[Event]) -> None:
    """Publish events as if it were their time."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, linger_ms=5, enable_idempotence=True)
    await producer.start()
    try:
        for at, data in events:
            key = (data.public_id or "").encode()
            await producer.send(cluster.names.uploads, msgspec.json.encode(data), key, timestamp_ms=at)
        await producer.flush()
    finally:
        await producer.stop()


async def folded(cluster: Cluster, topic: str) -> dict[bytes, dict[str, Any]]:
    """What a topic's newest records are, by partition and key."""
    rows: dict[bytes, dict[str, Any]] = {}
    for record in await cluster.read(topic):
        if record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = orjson.loads(record.value)
    return rows


async def judged(cluster: Cluster) -> list[dict[str, Any]]:
    """The transactions of judging."""
    records = await cluster.read(cluster.names.rises_changelog)
    return [orjson.loads(record.value) for record in records if record.key == OFFSET_KEY.encode()]


async def until_judged(cluster: Cluster, moment: int) -> None:
    async with asyncio.timeout(120):
        while not (done := await judged(cluster)) or done[-1]["judged"] < moment:
            await asyncio.sleep(0.5)


async def test_streams_under_kills(cluster: Cluster) -> None:
    """Each rise is told once, as computed offline; tags and counts, folded, are the API's answers."""
    now = int(time.time())
    begin = (now - HOURS * 3600) // 3600 * 3600 * 1000
    events = list(history(begin))
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    chance = random.Random(3)
    for start in range(0, len(events), 60):
        await publish(cluster, events[start : start + 60])
        if start == 0:
            await cluster.until_folded(60)
        if start == 60:
            await until_judged(cluster, 0)  # it begins with what it finds
        if start % 180 == 0:
            worker = chance.randrange(2)
            await asyncio.sleep(chance.random())
            await cluster.kill(worker)
            await cluster.start(worker)
    gone = [
        (
            now * 1000,
            UploadData(
                type="image.deleted", public_id=f"i{number}", event_id=f"d{number}", tenant=data.tenant
            ),
        )
        for number, (_, data) in enumerate(events)
        if number % 9 == 0
    ]
    await publish(cluster, gone)
    await cluster.until_folded(len(events) + len(gone))
    await until_judged(cluster, now // 60 * 60)
    await cluster.until_ready([0, 1])

    told = [orjson.loads(each.value) for each in await cluster.read(cluster.names.image_trends)]
    counts = await cluster.read(cluster.names.tag_counts)
    must = expected_trends(counts, await judged(cluster))
    assert [{name: each[name] for name in must[0]} for each in told] == must
    phases = Counter((each["rise"], each["phase"]) for each in told)
    assert set(phases.values()) == {1}
    assert {each["tag"] for each in told} == {"koala", "fog", "late"}
    assert {each["tenant"] for each in told if each["tag"] == "fog"} == {"acme"}
    by_tag = [each["phase"] for each in told if each["tag"] == "koala"]
    assert by_tag == ["trend.began", "trend.peaked", "trend.ended"]
    begun = Counter(each["phase"] for each in told)
    going_on = begun["trend.began"] - begun["trend.ended"]
    told_by = [re.findall(r"\ntagstream_rises (\S+)", await cluster.metrics(worker)) for worker in (0, 1)]
    assert sorted(told_by, key=len) == [[], [f"{going_on:.1f}"]]
    await assert_answered(cluster, "", "acme")


async def assert_answered(cluster: Cluster, *tenants: str) -> None:
    """Check that tags and counts, folded, are what worker 0 answers."""
    rows = await folded(cluster, cluster.names.image_tags)
    counts = await folded(cluster, cluster.names.tag_counts)
    for tenant in tenants:
        mine = [row for row in rows.values() if row["tenant"] == tenant]
        assert await images(cluster, tenant) == {
            (row["public_id"], row["tag"], row["confidence"]) for row in mine
        }
        for add_on in ("*", "imagga_tagging"):
            totals = Counter[str]()
            for row in counts.values():
                if (row["tenant"], row["window"], row["add_on"]) == (tenant, "all", add_on):
                    totals[row["tag"]] += row["count"]
            asked = "" if add_on == "*" else f"&add_on={add_on}"
            top = await cluster.get(0, f"/trends/top?window=all&limit=100&tenant={tenant}{asked}")
            assert {each["tag"]: each["count"] for each in top["tags"]} == totals
            assert totals


async def test_a_stream_that_is_turned_on_is_filled(cluster: Cluster) -> None:
    """With images and counts of before; what went while it was off is not left in a topic that is new."""
    cluster.environment |= {"TAGSTREAM_ROLES": "tag,query", "TAGSTREAM_STREAMS": ""}
    await cluster.start(0)
    await cluster.until_ready([0])
    events = [event(n, 1_700_000_000_000 + n, {"koala": 0.9, f"t{n % 7}": 0.8}, "ann") for n in range(900)]
    await publish(cluster, events)
    await cluster.until_folded(len(events))
    await cluster.stop(0)
    cluster.environment["TAGSTREAM_STREAMS"] = STREAMS
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.kill(0)  # in the middle of it, or behind it
    await cluster.start(0)
    await cluster.until_ready([0])
    gone = UploadData(type="image.deleted", public_id="i5", event_id="d5")
    await publish(cluster, [(1_700_000_900_000, gone)])
    async with asyncio.timeout(60):
        while sum(FILLED in key for _, key in await cluster.table("meta")) < 2 * cluster.partitions:
            await asyncio.sleep(0.2)
    await cluster.until_folded(len(events) + 1)
    await assert_answered(cluster, "")


async def images(cluster: Cluster, tenant: str) -> set[tuple[str, str, float]]:
    """Image, tag and confidence of all images, by the API."""
    found, after = set[tuple[str, str, float]](), ""
    while True:
        answer = await cluster.get(0, f"/images?limit=100&tenant={tenant}{after}")
        for each in answer["images"]:
            found |= {(each["public_id"], tag["tag"], tag["confidence"]) for tag in each["tags"]}
        if not (cursor := answer["cursor"]):
            return found
        after = f"&cursor={cursor}"
