"""Spans as a collector receives them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.resources import Resource
from support.telemetry.otlp_receiver import OtlpReceiver, ReceivedSpan, receiving

from schemas.uploads import Record
from streams.app.settings import Settings
from streams.app.tracing import open_tracing
from streams.fetch.errors import SourceGoneError
from streams.telemetry.otlp import PATIENCE, Consumer, OtlpTracing
from streams.telemetry.tracing import NO_SPAN, NO_TRACING

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-{SPAN}-{flags}".encode() for flags in ("01", "00"))
CONSUMER = Consumer("image.uploads", "tagstream", "worker-1")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        yield receiver


@asynccontextmanager
async def tracing_to(_collector: OtlpReceiver) -> AsyncIterator[OtlpTracing]:
    tracing = OtlpTracing(CONSUMER, Resource({"service.name": "tagstream"}))
    yield tracing
    await tracing.close()


def record(traceparent: bytes | None, offset: int = 5) -> Record:
    headers = [("baggage", b"a=1"), *([("traceparent", traceparent)] if traceparent else [])]
    return Record(
        topic="image.uploads",
        partition=3,
        offset=offset,
        timestamp=0,
        key=b"koala",
        value=b"{}",
        headers=headers,
    )


def only(spans: list[ReceivedSpan]) -> ReceivedSpan:
    (span,) = spans
    return span


async def test_an_upload_and_its_transaction(collector: OtlpReceiver) -> None:
    """The upload's span follows its publisher's, its stages are children; the transaction links to it."""
    async with tracing_to(collector) as tracing:
        traced, span = tracing.begin(record(SAMPLED))
        with span.stage("fetch", source="https://photos.example:8443/koala.jpg?token=secret"):
            pass
        now = time.perf_counter()
        span.note("decode", (now - 0.2, now - 0.1))
        with tracing.transaction([span, NO_SPAN]) as transaction, transaction.stage("commit"):
            pass
        span.end("tagged")
    process, commit = (
        only(collector.named("process image.uploads")),
        only(collector.named("commit image.uploads")),
    )
    assert (process.trace_id, process.parent_id, process.kind) == (TRACE, SPAN, 5)
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "image.uploads",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 5,
        "messaging.kafka.message.key": "koala",
        "messaging.message.body.size": 2,
        "messaging.consumer.group.name": "tagstream",
        "messaging.client.id": "worker-1",
        "tagstream.outcome": "tagged",
    }
    assert traced.trace_context.traceparent == f"00-{TRACE}-{process.span_id}-01".encode()
    assert traced.trace_context.baggage == b"a=1"
    stages = {child.name: child for child in collector.spans if child.parent_id == process.span_id}
    assert stages.keys() == {"fetch", "decode", "commit"}
    assert stages["fetch"].attributes == {"server.address": "photos.example"}
    assert 0.09e9 < stages["decode"].end - stages["decode"].start < 0.11e9
    assert commit.trace_id != TRACE
    assert commit.links == [(TRACE, process.span_id)]
    assert stages["commit"].links == [(commit.trace_id, commit.span_id)]
    assert commit.attributes["messaging.batch.message_count"] == 1
    assert commit.resource["service.name"] == "tagstream"


async def test_what_its_publisher_does_not_sample_is_not_recorded(collector: OtlpReceiver) -> None:
    """Its context is passed on as it came; a transaction that holds none that is recorded is none either."""
    async with tracing_to(collector) as tracing:
        traced, span = tracing.begin(record(UNSAMPLED))
        assert traced.trace_context.traceparent == UNSAMPLED
        with span.stage("fetch"), tracing.transaction([span]) as transaction, transaction.stage("commit"):
            pass
        span.end("tagged")
    assert collector.spans == []


@pytest.mark.parametrize(
    ("sampler", "sampled"), [("parentbased_always_on", True), ("parentbased_always_off", False)]
)
async def test_an_upload_without_a_trace_begins_one(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, *, sampler: str, sampled: bool
) -> None:
    """Sampled as OTEL_TRACES_SAMPLER says; whoever reads its outputs hears of that."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with tracing_to(collector) as tracing:
        traced, span = tracing.begin(record(None))
        span.end("tagged")
    context = traced.trace_context
    assert context.traceparent is not None
    assert bool(int(context.traceparent[-2:], 16) & 1) is sampled
    assert [span.trace_id for span in collector.spans] == ([context.trace_id] if sampled else [])


async def test_faults_are_named_by_their_kind(collector: OtlpReceiver) -> None:
    """A stage that fails and an upload that becomes a dead letter; no text of a stranger's is in a span."""
    async with tracing_to(collector) as tracing:
        _, span = tracing.begin(record(SAMPLED))
        with pytest.raises(SourceGoneError), span.stage("fetch"):
            raise SourceGoneError("http_404", "status 404 from http://h/?token=secret")
        span.end("rejected", "http_404")
        _, waiting = tracing.begin(record(SAMPLED))
        waiting.end("deferred", "timeout")
    fetch = only(collector.named("fetch"))
    failed, deferred = collector.named("process image.uploads")
    assert [(span.failed, span.attributes["error.type"]) for span in (fetch, failed, deferred)] == [
        (True, "http_404"),
        (True, "http_404"),
        (False, "timeout"),
    ]
    assert "secret" not in repr(collector.spans)


async def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on meanwhile, and the end comes after some seconds, whatever was not taken."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
        tracing = OtlpTracing(CONSUMER, Resource({}))
        tracing.begin(record(SAMPLED))[1].end("tagged")
        turns, started = 0, time.monotonic()
        closing = asyncio.create_task(tracing.close())
        while not closing.done():
            turns += 1
            await asyncio.sleep(0.01)
        assert time.monotonic() - started < PATIENCE + 2
        assert turns > 10


async def test_spans_are_recorded_where_a_collector_is_named(
    collector: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """By OpenTelemetry's variables; where they cannot be followed, a warning says why, and no span is."""
    settings = Settings(app_id="app", instance_id="me")
    named = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=9,a=b",
    }
    tracing = open_tracing(named, settings)
    assert isinstance(tracing, OtlpTracing)
    tracing.begin(record(SAMPLED))[1].end("tagged")
    await tracing.close()
    resource = only(collector.spans).resource
    assert (resource["service.name"], resource["service.instance.id"]) == ("tagstream", "me")
    off: list[dict[str, str]] = [
        {},
        {**named, "OTEL_SDK_DISABLED": "true"},
        {**named, "OTEL_TRACES_EXPORTER": "none"},
        {**named, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ]
    caplog.clear()
    assert [open_tracing(each, settings) for each in off] == [NO_TRACING] * 4
    assert [line.message for line in caplog.records] == [
        "no spans: OTEL_EXPORTER_OTLP_PROTOCOL='grpc'; http/protobuf alone is spoken, mostly on port 4318"
    ]
