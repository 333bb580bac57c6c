"""A publisher's trace, from the upload's headers to all that comes of it: real broker, real worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka import ConsumerRecord
from support.cluster import Cluster
from support.fault_cases import PHOTO, STUB, log_of
from support.small_source import source
from support.telemetry.otlp_receiver import OtlpReceiver, receiving

from schemas.dead_letters import read_fault

pytestmark = pytest.mark.kafka

SPAN = "00f067aa0ba902b7"
STATE, BAGGAGE = b"congo=t61rcWkgMzE", b"userId=alice,serverNode=DF%2028"
TAGS = b'{"koala": 0.9, "tree": 0.6}'


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    quiet = {"TAGSTREAM_LOG_FORMAT": "json", "TAGSTREAM_RETRY_FIRST": "0.2"}
    cluster = Cluster(kafka, unique, tmp_path, partitions=1, environment={**STUB, **quiet})
    try:
        yield cluster
    finally:
        await cluster.close()


def trace_of(number: int) -> str:
    return f"{number:032x}"


def headers_of(number: int) -> list[tuple[str, bytes]]:
    parent = f"00-{trace_of(number)}-{SPAN}-01".encode()
    return [("traceparent", parent), ("tracestate", STATE), ("baggage", BAGGAGE)]


def event(name: str, url: str, **rest: object) -> bytes:
    return json.dumps({"public_id": name, "url": url, "auto_tagging": 0.5, **rest}).encode()


def carried(message: ConsumerRecord) -> list[tuple[str, bytes]]:
    return [header for header in message.headers if header[0] in {"traceparent", "tracestate", "baggage"}]


async def by_name(cluster: Cluster, topic: str) -> dict[str, ConsumerRecord]:
    """The records of a topic by their keys."""
    return {message.key.decode(): message for message in await cluster.read(topic)}


def lines_of(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_of(cluster, 0).splitlines() if line.startswith("{")]


async def test_a_trace_travels_to_every_output(cluster: Cluster) -> None:
    """Categorization, tag-update and dead letter have their upload's headers, also after a retry.

    No span of ours is there: the parent stays the publisher's. The log's line of the dead letter names it.
    """
    answers = [503, 503]

    async def flapping(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=answers.pop()) if answers else web.Response(body=TAGS)

    async with source(flapping) as port:
        cluster.environment["TAGSTREAM_ALLOW_SOURCES"] = f"127.0.0.1:{port}"
        await cluster.start(0)
        await cluster.until_ready([0])
        structured = {
            "specversion": "1.0",
            "id": "1",
            "source": "/app",
            "type": "image.uploaded",
            "traceparent": f"00-{trace_of(5)}-{SPAN}-00",
            "data": json.loads(event("structured", PHOTO)),
        }
        sent = {
            "plain": (event("plain", PHOTO), headers_of(1)),
            "busy": (event("busy", f"http://127.0.0.1:{port}/busy.jpg"), headers_of(2)),
            "bad": (b"{not json", headers_of(3)),
            "broken": (event("broken", PHOTO), [("traceparent", b"00-" + b"0" * 52), ("baggage", b"a b")]),
            "structured": (
                json.dumps(structured).encode(),
                [("content-type", b"application/cloudevents+json")],
            ),
        }
        await cluster.publish_raw([(key.encode(), *record) for key, record in sent.items()])
        async with asyncio.timeout(30):
            while len(updates := await by_name(cluster, cluster.names.tag_updates)) < 4:
                await asyncio.sleep(0.1)
    results, letters = [
        await by_name(cluster, topic) for topic in (cluster.names.categorizations, cluster.names.dead_letters)
    ]
    expected = {
        "plain": headers_of(1),
        "busy": headers_of(2),
        "broken": [],
        "structured": [("traceparent", structured["traceparent"].encode())],  # type: ignore[attr-defined]
    }
    assert {name: carried(message) for name, message in results.items()} == expected
    assert {name: carried(message) for name, message in updates.items()} == expected
    assert {name: carried(message) for name, message in letters.items()} == {"bad": headers_of(3)}
    assert read_fault(letters["bad"].headers).reason == "invalid_json"
    (told,) = [line for line in lines_of(cluster) if line.get("reason") == "invalid_json"]
    place = {"topic": cluster.names.uploads, "partition": 0, "offset": 2, "trace_id": trace_of(3)}
    assert told["message"].startswith("dead letter invalid_json: ")
    assert place.items() <= told.items()


async def test_a_collector_receives_one_trace_from_the_upload_to_its_tag_update(cluster: Cluster) -> None:
    """`process image.uploads` follows the publisher's span, and its stages are its children.

    What comes of the upload names it as the parent; transactions link to each upload that they hold.
    """
    with receiving() as collector:
        cluster.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
        cluster.environment |= {"NO_PROXY": "127.0.0.1", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish_raw(
            [
                (name, event(name.decode(), PHOTO), headers_of(number))
                for number, name in ((1, b"a"), (2, b"b"))
            ]
            + [(b"bad", b"{not json", headers_of(3))]
        )
        await cluster.until_folded(3)
        await until_received(collector, cluster, 3)
        assert await cluster.stop(0) == 0
    uploads = {span.trace_id: span for span in collector.named(f"process {cluster.names.uploads}")}
    updates = await by_name(cluster, cluster.names.tag_updates)
    for number, name in ((1, "a"), (2, "b")):
        process = uploads[trace_of(number)]
        assert process.parent_id == SPAN
        assert dict(carried(updates[name])) == dict(headers_of(number)) | {
            "traceparent": f"00-{trace_of(number)}-{process.span_id}-01".encode()
        }
        children = [span for span in collector.spans if span.parent_id == process.span_id]
        assert sorted(span.name for span in children) == ["commit", "fetch", "fold"]
        assert all(process.start <= span.start <= span.end <= process.end for span in children)
    assert (uploads[trace_of(3)].failed, uploads[trace_of(3)].attributes["error.type"]) == (
        True,
        "invalid_json",
    )
    commits = collector.named(f"commit {cluster.names.uploads}")
    links = [link for span in commits for link in span.links]
    assert sorted(links) == sorted((span.trace_id, span.span_id) for span in uploads.values())


async def until_received(collector: OtlpReceiver, cluster: Cluster, count: int) -> None:
    """Wait until so many uploads' spans have come."""
    async with asyncio.timeout(30):
        while len(collector.named(f"process {cluster.names.uploads}")) < count:
            await asyncio.sleep(0.1)
