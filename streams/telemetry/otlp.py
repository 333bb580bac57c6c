"""Spans by OpenTelemetry's conventions for messaging, sent to a collector by OTLP over HTTP.

Each upload is a span `process <topic>`, a child of what its `traceparent` names, with the children fetch,
decode, infer, fold and commit. Each transaction is a span `commit <topic>` in a trace of its own, with a link
to each of its uploads that is recorded. Whether an upload is recorded, its publisher says by the flags of
`traceparent`; without one OTEL_TRACES_SAMPLER decides. A transaction is recorded if one of its uploads is.

A thread of OpenTelemetry's sends batches. Where nobody takes them, the oldest are dropped.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

import msgspec
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from schemas.tracing import TraceContext
from schemas.uploads import Record
from streams.telemetry.tracing import NO_SPAN, NO_TRANSACTION, Interval, Tracing, TransactionSpan, UploadSpan

PATIENCE = 3.0  # seconds that the end of the process waits for the last spans to be taken
_MAX_KEY = 255  # characters of a record's key; a longer one is left out


@dataclass(frozen=True)
class Consumer:
    """Who works on uploads.

    Attributes:
        topic: Where they come from.
        group: Name of the consumer group.
        client: Name of this worker.
    """

    topic: str
    group: str
    client: str

    def attributes(self, kind: str, name: str) -> dict[str, AttributeValue]:
        """What spans of an operation say."""
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": kind,
            "messaging.operation.name": name,
            "messaging.destination.name": self.topic,
            "messaging.consumer.group.name": self.group,
            "messaging.client.id": self.client,
        }


class _RecordedUpload(UploadSpan):
    def __init__(self, span: Span, tracer: Tracer) -> None:
        self.context = span.get_span_context()
        self._span = span
        self._tracer = tracer
        self._inside = set_span_in_context(span, Context())

    @contextlib.contextmanager
    def stage(self, name: str, *, source: str = "") -> Iterator[None]:
        host = urlsplit(source).hostname if source.startswith("http") else None
        attributes = {"server.address": host} if host else {}
        started = time.perf_counter()
        try:
            yield
        except BaseException as error:
            self._add(name, (started, time.perf_counter()), attributes, error)
            raise
        self._add(name, (started, time.perf_counter()), attributes)

    def note(self, name: str, interval: Interval, error: BaseException | None = None) -> None:
        self._add(name, interval, {}, error)

    def note_shared(self, name: str, interval: Interval, transaction: SpanContext) -> None:
        """Take note of what was done for a transaction's uploads together."""
        self._add(name, interval, {}, links=[Link(transaction)])

    def end(self, outcome: str, error: str | None = None) -> None:
        self._span.set_attribute("tagstream.outcome", outcome)
        if error is not None:
            self._span.set_attribute("error.type", error)
            if outcome == "rejected":
                self._span.set_status(StatusCode.ERROR)
        self._span.end(_ns(time.perf_counter()))

    def _add(
        self,
        name: str,
        interval: Interval,
        attributes: Mapping[str, AttributeValue],
        error: BaseException | None = None,
        links: Sequence[Link] = (),
    ) -> None:
        span = self._tracer.start_span(
            name, self._inside, attributes=attributes, links=links, start_time=_ns(interval[0])
        )
        _note_error(span, error)
        span.end(_ns(interval[1]))


class _RecordedTransaction(TransactionSpan):
    def __init__(self, span: Span, uploads: Sequence[_RecordedUpload]) -> None:
        self._span = span
        self._uploads = uploads

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        interval = (started, time.perf_counter())
        for upload in self._uploads:
            upload.note_shared(name, interval, self._span.get_span_context())

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        _note_error(self._span, error)
        self._span.end(_ns(time.perf_counter()))


class OtlpTracing(Tracing):
    """Records spans and sends them to where OTEL_EXPORTER_OTLP_ENDPOINT and its like say.

    Raises at construction:
        ValueError: A variable of OpenTelemetry's has no sensible value.
    """

    def __init__(self, consumer: Consumer, resource: Resource) -> None:
        self._consumer = consumer
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        uploads = TracerProvider(resource=resource, shutdown_on_exit=False)
        transactions = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        for provider in (uploads, transactions):
            provider.add_span_processor(self._processor)
        self._uploads, self._transactions = (each.get_tracer("tagstream") for each in (uploads, transactions))

    def begin(self, record: Record) -> tuple[Record, UploadSpan]:
        """The record with our span as the parent of what comes of it, and that span."""
        own = record.trace_context
        span = self._uploads.start_span(
            f"process {self._consumer.topic}",
            _parent(own),
            kind=SpanKind.CONSUMER,
            attributes=self._consumer.attributes("process", "process") | _attributes(record),
            start_time=_ns(time.perf_counter()),
        )
        if not span.is_recording() and own.traceparent is not None:
            return msgspec.structs.replace(record, trace=own), NO_SPAN
        traced = msgspec.structs.replace(record, trace=_within(own, span.get_span_context()))
        return traced, _RecordedUpload(span, self._uploads) if span.is_recording() else NO_SPAN

    def transaction(self, uploads: Iterable[UploadSpan]) -> TransactionSpan:
        """A span with links to those of these uploads that are recorded."""
        recorded = [upload for upload in uploads if isinstance(upload, _RecordedUpload)]
        if not recorded:
            return NO_TRANSACTION
        count = {"messaging.batch.message_count": len(recorded)}
        span = self._transactions.start_span(
            f"commit {self._consumer.topic}",
            Context(),
            kind=SpanKind.CLIENT,
            attributes=self._consumer.attributes("settle", "commit") | count,
            links=[Link(upload.context) for upload in recorded],
            start_time=_ns(time.perf_counter()),
        )
        return _RecordedTransaction(span, recorded)

    async def close(self) -> None:
        """Send the last spans, for at most `PATIENCE` seconds."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=shut_down, name="last-spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await sent.wait()


def _ns(at: float) -> int:
    """A time of `time.perf_counter` in nanoseconds since the epoch."""
    return time.time_ns() - int((time.perf_counter() - at) * 1e9)


def _parent(own: TraceContext) -> Context:
    if own.traceparent is None:
        return Context()
    _, trace_id, span_id, flags = own.traceparent.decode().split("-")
    state = TraceState.from_header([own.tracestate.decode()]) if own.tracestate else None
    context = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _within(own: TraceContext, span: SpanContext) -> TraceContext:
    """The context of what comes of an upload: its own, with our span in place of the publisher's."""
    parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return msgspec.structs.replace(own, traceparent=parent.encode())


def _attributes(record: Record) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.body.size": len(record.value or b""),
    }
    with contextlib.suppress(UnicodeDecodeError):
        if record.key is not None and len(key := record.key.decode()) <= _MAX_KEY:
            attributes["messaging.kafka.message.key"] = key
    return attributes


def _note_error(span: Span, error: BaseException | None) -> None:
    """What it failed with, by its kind alone: texts may name a stranger's URL."""
    if error is not None:
        span.set_attribute("error.type", str(getattr(error, "code", None) or type(error).__name__))
        span.set_status(StatusCode.ERROR)
