"""The pipeline as its users run it: real broker, real HTTP server, real JPEGs, real model, real processes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import msgspec
import orjson
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from support.cluster import FAUST_WORKER, TAGSTREAM_WORKER, Cluster, free_port
from support.small_source import source

from model import CombinedTagger
from schemas.dead_letters import read_fault
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer

pytestmark = pytest.mark.kafka

FOLDER = Path(__file__).parents[2] / "streams" / "photos"
PHOTOS = sorted(FOLDER.glob("*.jpg"))
THRESHOLD = 0.4


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, photos: FileServer) -> AsyncIterator[Cluster]:
    allowed = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_SOURCE_ROOTS": f"{FOLDER.as_uri()},s3://photos=http://127.0.0.1:{photos.port}",
    }
    cluster = Cluster(kafka, unique, tmp_path, environment=allowed)
    try:
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture(scope="session")
def expected_tags() -> dict[str, list[str]]:
    """The tags that each photo must get, from the tagger alone."""
    found = CombinedTagger.load().tag([path.read_bytes() for path in PHOTOS])
    return {
        path.stem: [tag.name for tag in tags if round(tag.confidence, 4) > THRESHOLD]
        for path, tags in zip(PHOTOS, found, strict=True)
    }


def thousand(photos: FileServer) -> list[UploadData]:
    return [
        UploadData(
            public_id=f"{PHOTOS[index % len(PHOTOS)].stem}-{index}",
            url=photos.url(index % len(PHOTOS)),
            event_id=f"event-{index}",
            auto_tagging=THRESHOLD,
        )
        for index in range(1000)
    ]


async def assert_exact(
    cluster: Cluster, events: list[UploadData], expected_tags: dict[str, list[str]]
) -> None:
    """Check results, tag-updates, dead letters and counts against the uploads and the tagger alone."""
    results = await cluster.results()
    assert Counter(result["cause"]["id"] for result in results) == Counter(event.event_id for event in events)
    for result in results:
        assert result["tags"] == expected_tags[result["public_id"].partition("-")[0]]
    updates = await cluster.read(cluster.names.tag_updates)
    assert len(updates) == len(events)
    assert await cluster.read(cluster.names.dead_letters) == []
    counts = Counter(
        tag for event in events for tag in expected_tags[(event.public_id or "").partition("-")[0]]
    )
    assert await cluster.counts() == counts


async def test_a_thousand_uploads_give_a_thousand_results(
    cluster: Cluster, photos: FileServer, expected_tags: dict[str, list[str]]
) -> None:
    """A clean run: each upload's result once, the assigned tags right, the counts right, also over HTTP."""
    events = thousand(photos)
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(events)
    await cluster.until_folded(1000)
    await assert_exact(cluster, events, expected_tags)
    top = await cluster.get(0, "/trends/top?limit=1000")
    assert top["complete"]
    assert {row["tag"]: row["count"] for row in top["tags"]} == await cluster.counts()
    assert await cluster.stop(0) == 0


@pytest.mark.parametrize("command", [TAGSTREAM_WORKER, FAUST_WORKER], ids=["tagstream", "faust"])
async def test_three_kills_lose_nothing_and_double_nothing(
    cluster: Cluster, photos: FileServer, expected_tags: dict[str, list[str]], command: Sequence[str]
) -> None:
    """kill -9 of a worker in the middle, three times: each result still comes exactly once.

    Whether workers are started by our command or by Faust's; SIGTERM ends the last one with 0.
    """
    events = thousand(photos)
    cluster.command = command
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    await cluster.publish(events)
    for folded, worker in ((150, 0), (350, 1), (600, 0)):
        await cluster.until_folded(folded)
        await cluster.kill(worker)
        await cluster.start(worker)
    await cluster.until_folded(1000)
    await assert_exact(cluster, events, expected_tags)
    await cluster.until_ready([0, 1])
    assert [await cluster.stop(worker) for worker in (0, 1)] == [0, 0]


async def test_the_koala_of_the_add_on(cluster: Cluster, photos: FileServer) -> None:
    """`koala` comes first and `mammal` below it; 0.4 assigns exactly the tags above 0.4, in both outputs.

    The calibrated probability stands beside a discounted confidence; names come in the languages asked for.
    """
    koala = next(index for index, path in enumerate(PHOTOS) if path.stem == "koala")
    await cluster.start(0)
    event = UploadData(
        public_id="k",
        url=photos.url(koala),
        categorization="imagga_tagging",
        auto_tagging="0.4",
        language="de, en, tlh",
    )
    await cluster.until_ready([0])
    await cluster.publish([event])
    await cluster.until_folded(1)
    (result,) = await cluster.results()
    scores = result["info"]["categorization"]["imagga_tagging"]
    assert scores["status"] == "complete"
    confidences = {score["tag"]: score["confidence"] for score in scores["data"]}
    assert scores["data"][0]["tag"] == "koala"
    assert confidences["koala"] > confidences["mammal"] > 0.1
    probabilities = {score["tag"]: score.get("probability") for score in scores["data"]}
    assert probabilities["koala"] is None
    assert probabilities["mammal"] > 0.9 > confidences["mammal"]
    assert scores["data"][0]["names"] == {"de": "Koala", "en": "koala"}
    mammal = next(score for score in scores["data"] if score["tag"] == "mammal")
    assert mammal["names"] == {"de": "Säugetier", "en": "mammal"}
    assert "untranslated" not in mammal
    assert result["unknown_languages"] == ["tlh"]
    above = [score["tag"] for score in scores["data"] if score["confidence"] > 0.4]
    assert result["tags"] == above
    (update,) = await cluster.read(cluster.names.tag_updates)
    assert b'"added":["koala"' in update.value
    assert result["format"] == "jpg"
    assert result["bytes"] == PHOTOS[koala].stat().st_size


def hostile(photos: FileServer) -> dict[str, tuple[bytes, list[tuple[str, bytes]]]]:
    """One bad event per kind, by the reason that its dead letter must give."""
    good = photos.url(0)
    return {
        "invalid_json": (b"{not json", []),
        "invalid_event": (b'{"public_id": "x"}', []),
        "unknown_add_on": (b'{"public_id":"x","url":"%s","categorization":"no_such"}' % good.encode(), []),
        "invalid_auto_tagging": (b'{"public_id":"x","url":"%s","auto_tagging":1.5}' % good.encode(), []),
        "http_404": (b'{"public_id":"x","url":"http://127.0.0.1:%d/none"}' % photos.port, []),
        "refused_address": (b'{"public_id":"x","url":"http://127.0.0.1:1/none"}', []),
        "not_an_image": (b'{"public_id":"x","url":"data:text/plain,hello"}', []),
        "invalid_cloudevent": (b"{}", [("ce_specversion", b"0.3"), ("ce_id", b"1")]),
        "unknown_image": (b'{"public_id":"never-seen","type":"image.update"}', []),
    }


async def test_each_kind_of_bad_event_is_one_dead_letter(
    cluster: Cluster, photos: FileServer, tmp_path: Path
) -> None:
    """One dead letter per bad event, with its reason in Kafka Connect's headers; good events behind pass."""
    cluster.partitions = 1
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(PHOTOS[0].read_bytes()[:5000])
    async with FileServer([truncated], "127.0.0.1", 0) as broken:
        cluster.environment["TAGSTREAM_ALLOW_SOURCES"] += f",127.0.0.1:{broken.port}"
        cluster.environment["TAGSTREAM_FETCH_MISSING_FOR"] = "0"
        await cluster.start(0)
        bad = hostile(photos)
        bad["truncated"] = (b'{"public_id":"x","url":"%s"}' % broken.url(0).encode(), [])
        key = b"some-key"
        good = b'{"public_id":"good","url":"%s"}' % photos.url(0).encode()
        await cluster.until_ready([0])
        await cluster.publish_raw([(key, value, headers) for value, headers in bad.values()])
        await cluster.publish_raw([(key, good, [])])
        await cluster.until_folded(len(bad) + 1)
    letters = await cluster.read(cluster.names.dead_letters)
    assert sorted(read_fault(letter.headers).reason for letter in letters) == sorted(bad)
    for letter in letters:  # those that need no fetch came first
        value, headers = bad[read_fault(letter.headers).reason]
        assert letter.key == key
        assert letter.value == value
        assert list(letter.headers[: len(headers)]) == headers
        named = dict(letter.headers)
        assert named["__connect.errors.topic"] == cluster.names.uploads.encode()
        assert named["__connect.errors.exception.message"]
        assert named["tagstream.retryable"] == b"false"
    assert [result["public_id"] for result in await cluster.results()] == ["good"]


async def test_a_cloudevent_counts_once_however_often_it_comes(cluster: Cluster, photos: FileServer) -> None:
    """Structured and binary mode carry the same source and id: the second delivery changes nothing."""
    url = photos.url(0).encode()
    data = b'{"public_id":"c","url":"%s","auto_tagging":0.4}' % url
    binary = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"7"),
        ("ce_source", b"/app"),
        ("ce_type", b"image.uploaded"),
    ]
    structured = b'{"specversion":"1.0","id":"7","source":"/app","type":"image.uploaded","data":%s}' % data
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish_raw(
        [(b"c", data, binary), (b"c", structured, [("Content-Type", b"Application/CloudEvents+json")])]
    )
    await cluster.until_folded(2)
    (result,) = await cluster.results()
    assert result["cause"] == {"source": "/app", "id": "7", "type": "image.uploaded"}
    assert max((await cluster.counts()).values()) == 1


async def test_an_update_uses_the_last_known_url(cluster: Cluster, photos: FileServer) -> None:
    """`image.update` without a URL re-categorizes the image from where it was fetched last."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(
        [
            UploadData(public_id="u", url=photos.url(0), auto_tagging=0.4),
            UploadData(public_id="u", type="image.update", auto_tagging=0.9),
        ]
    )
    await cluster.until_folded(2)
    first, second = await cluster.results()
    assert first["url"] == second["url"]
    assert set(second["tags"]) < set(first["tags"])


async def test_a_graceful_stop_under_load_leaves_no_trace(
    cluster: Cluster, photos: FileServer, expected_tags: dict[str, list[str]]
) -> None:
    """SIGTERM in the middle: exit code 0, and the next start goes on where it stopped."""
    events = thousand(photos)[:300]
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(events)
    await cluster.until_folded(50)
    assert await cluster.stop(0) == 0
    await cluster.start(0)
    await cluster.until_folded(300)
    await assert_exact(cluster, events, expected_tags)


async def test_folders_and_buckets_that_the_operator_named(
    cluster: Cluster, photos: FileServer, expected_tags: dict[str, list[str]]
) -> None:
    """Their images are tagged like others; nothing beside them is read."""
    await cluster.start(0)
    await cluster.until_ready([0])
    urls = {
        "folder": f"{FOLDER.as_uri()}/koala.jpg",
        "bucket": "s3://photos" + httpx.URL(photos.url(PHOTOS.index(FOLDER / "koala.jpg"))).path,
        "outside": f"{FOLDER.as_uri()}/../settings.py",
        "missing": f"{FOLDER.as_uri()}/nothing.jpg",
        "unknown": "s3://secrets/koala.jpg",
    }
    events = [UploadData(public_id=name, url=url, auto_tagging=THRESHOLD) for name, url in urls.items()]
    await cluster.publish(events)
    await cluster.until_folded(len(events))
    tags = {result["public_id"]: result["tags"] for result in await cluster.results()}
    assert tags == dict.fromkeys(["folder", "bucket"], expected_tags["koala"])
    letters = await cluster.read(cluster.names.dead_letters)
    reasons = {(letter.key or b"").decode(): read_fault(letter.headers).reason for letter in letters}
    assert reasons == {"outside": "invalid_url", "missing": "unreadable_file", "unknown": "invalid_url"}


async def test_a_publisher_with_transactions_leaves_no_lag(cluster: Cluster, photos: FileServer) -> None:
    """What it aborts is never seen, and neither that nor its markers wait for anybody."""
    await cluster.start(0)
    await cluster.until_ready([0])
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=cluster.names.app_id)
    await producer.start()
    try:
        for name, commits in (("koala", True), ("ghost", False)):
            event = msgspec.json.encode(UploadData(public_id=name, url=photos.url(0)))
            await producer.begin_transaction()
            await producer.send_and_wait(cluster.names.uploads, event, partition=0)
            await (producer.commit_transaction() if commits else producer.abort_transaction())
    finally:
        await producer.stop()
    async with asyncio.timeout(30):
        while True:
            place = (await cluster.get(0, "/readyz"))["partitions"][0]
            if (place["next_offset"], place["lag"]) == (4, 0):
                break
            await asyncio.sleep(0.2)
    assert [result["public_id"] for result in await cluster.results()] == ["koala"]


async def test_a_busy_source_delays_nobody_else(cluster: Cluster, photos: FileServer) -> None:
    """A source that answers 503 for a while: its upload waits aside, those behind it do not, none is lost."""
    cluster.partitions = 1
    answers = [503, 503, 503]

    async def flapping(_request: web.Request) -> web.StreamResponse:
        if answers:
            return web.Response(status=answers.pop())
        return web.FileResponse(PHOTOS[0])

    async with source(flapping) as port:
        cluster.environment["TAGSTREAM_ALLOW_SOURCES"] += f",127.0.0.1:{port}"
        cluster.environment["TAGSTREAM_RETRY_FIRST"] = "0.5"
        await cluster.start(0)
        await cluster.until_ready([0])
        key = b"some-key"
        busy = b'{"public_id":"busy","url":"http://127.0.0.1:%d/busy.jpg"}' % port
        good = b'{"public_id":"good","url":"%s"}' % photos.url(1).encode()
        await cluster.publish_raw([(key, busy, []), (key, good, [])])
        await cluster.until_folded(2)
        async with asyncio.timeout(20):
            while len(results := await cluster.results()) < 2:
                await asyncio.sleep(0.1)
    assert [result["public_id"] for result in results] == ["good", "busy"]
    assert await cluster.read(cluster.names.dead_letters) == []
    assert await cluster.table("retries") == {}


async def test_a_source_that_stays_away_costs_others_nothing(cluster: Cluster, photos: FileServer) -> None:
    """More of its uploads than may wait become dead letters, to be published again; the others are tagged."""
    cluster.partitions = 1
    cluster.environment |= {"TAGSTREAM_MAX_RETRIES": "40", "TAGSTREAM_MAX_IN_FLIGHT": "16"}
    away = free_port()
    cluster.environment["TAGSTREAM_ALLOW_SOURCES"] += f",127.0.0.1:{away}"
    await cluster.start(0)
    await cluster.until_ready([0])
    urls = [photos.url(0), f"http://127.0.0.1:{away}/gone.jpg"] * 150
    events = [
        (b"some-key", b'{"public_id":"%d","url":"%s"}' % (number, url.encode()), [])
        for number, url in enumerate(urls)
    ]
    await cluster.publish_raw(events)
    await cluster.until_folded(len(events))
    assert {int(result["public_id"]) for result in await cluster.results()} == set(range(0, 300, 2))
    waiting = {row["o"] for row in (await cluster.table("retries")).values()}
    letters = await cluster.read(cluster.names.dead_letters)
    given_up = {orjson.loads(letter.value or b"")["public_id"] for letter in letters}
    assert len(letters) + len(waiting) == len(given_up) + len(waiting) == 150
    assert (
        32 <= len(waiting) <= 80
    )  # what was in work when the room became full waits as well: twice as many at most
    assert all(read_fault(letter.headers).retryable for letter in letters)


async def test_a_silent_source_delays_nobody_else(cluster: Cluster, photos: FileServer) -> None:
    """While a source does not answer, its upload is in work aside; only what needs that upload waits."""
    cluster.partitions = 1
    let_go = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await let_go.wait()
        return web.FileResponse(PHOTOS[0])

    async with source(silent) as port:
        cluster.environment["TAGSTREAM_ALLOW_SOURCES"] += f",127.0.0.1:{port}"
        cluster.environment["TAGSTREAM_FETCH_TIMEOUT"] = "300"
        cluster.environment["TAGSTREAM_FETCH_ANSWER_TIMEOUT"] = "300"
        cluster.environment["TAGSTREAM_RETRY_LONGEST"] = "1"
        await cluster.start(0)
        await cluster.until_ready([0])
        key = b"some-key"
        slow = b'{"public_id":"slow","url":"http://127.0.0.1:%d/silent.jpg"}' % port
        update = b'{"public_id":"slow","type":"image.update"}'
        good = b'{"public_id":"good","url":"%s"}' % photos.url(1).encode()
        await cluster.publish_raw([(key, value, []) for value in (slow, update, good)])
        await cluster.until_folded(3)
        assert [result["public_id"] for result in await cluster.results()] == ["good"]
        let_go.set()
        async with asyncio.timeout(30):
            while len(results := await cluster.results()) < 3:
                await asyncio.sleep(0.1)
    assert [result["public_id"] for result in results] == ["good", "slow", "slow"]
    assert await cluster.read(cluster.names.dead_letters) == []
    assert await cluster.table("retries") == {}
