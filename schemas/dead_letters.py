"""Dead letters: the original record as it was, if it fits, and headers that say what was wrong.

The `__connect.errors.*` headers are Kafka Connect's and the `kafka_dlt-*` headers those of Spring for Apache
Kafka, so that tools written for either work.
"""

from typing import Any

import msgspec

from schemas.cloudevents import Headers
from schemas.uploads import Record

_CONNECT = "__connect.errors."
_SPRING = "kafka_dlt-original-"
MAX_MESSAGE = 1000
MAX_WHOLE_BYTES = 4_000_000  # of key, value and headers; a record may have 4 MiB, with the explanation
_KEY_LEFT = 1024  # bytes of the key of a record that is larger
LEFT_OUT = "tagstream.left-out"

FAULT_HEADERS = {
    f"{_CONNECT}topic": "Topic of the original record.",
    f"{_CONNECT}partition": "Its partition, a decimal number.",
    f"{_CONNECT}offset": "Its offset, a decimal number.",
    f"{_CONNECT}stage": "Where the fault came out: `parse`, `fetch` or `decode`.",
    f"{_CONNECT}class.name": "Always `tagstream`.",
    f"{_CONNECT}exception.class.name": "Name of the error's class.",
    f"{_CONNECT}exception.message": f"The error in words, at most {MAX_MESSAGE} characters.",
    f"{_SPRING}topic": "The original record's topic once more.",
    f"{_SPRING}partition": "Its partition, as Spring has it: 4 bytes, the greatest first.",
    f"{_SPRING}offset": "Its offset: 8 bytes.",
    f"{_SPRING}timestamp": "Its timestamp, milliseconds since the epoch: 8 bytes.",
    "tagstream.reason": "The fault as a short code, for machines.",
    "tagstream.timestamp": "Kafka's timestamp of the original record, milliseconds since the epoch.",
    "tagstream.retryable": "`true` where publishing the event again may help, otherwise `false`.",
    LEFT_OUT: "Only where value and headers are left out, since no dead letter has room for them: how many "
    "bytes they and the key had, a decimal number. The key is cut to 1,024 bytes.",
}


class Fault(msgspec.Struct, frozen=True):
    """What was wrong with an event.

    Attributes:
        reason: A short machine code.
        stage: Where it came out: parse, fetch or decode.
        retryable: Whether publishing the event again may help.
        error: The name of the error's class.
        message: The error in words, for people.
    """

    reason: str
    stage: str
    retryable: bool
    error: str
    message: str


def dead_letter(record: Record, fault: Fault) -> tuple[bytes | None, bytes | None, list[tuple[str, Any]]]:
    """Key, value and headers of a dead letter: the record's own, if a record has room for them."""
    size = record.bytes_besides + len(record.value or b"")
    if size <= MAX_WHOLE_BYTES:
        return record.key, record.value, dead_letter_headers(record, fault)
    explained = dead_letter_headers(_without_headers(record), fault)
    key = None if record.key is None else record.key[:_KEY_LEFT]
    return key, None, [*explained, (LEFT_OUT, str(size).encode())]


def dead_letter_headers(record: Record, fault: Fault) -> list[tuple[str, Any]]:
    """The original headers, those of the trace that are not among them, and those that explain the fault.

    A record that was a dead letter before and was published again sheds its old explanation.
    A header without a value keeps None, which Kafka tells apart from an empty one.
    """
    place = record.place
    explained = {
        f"{_CONNECT}topic": place.topic,
        f"{_CONNECT}partition": str(place.partition),
        f"{_CONNECT}offset": str(place.offset),
        f"{_CONNECT}stage": fault.stage,
        f"{_CONNECT}class.name": "tagstream",
        f"{_CONNECT}exception.class.name": fault.error,
        f"{_CONNECT}exception.message": fault.message[:MAX_MESSAGE],
    }
    ours = {
        "tagstream.reason": fault.reason,
        "tagstream.timestamp": str(record.timestamp),
        "tagstream.retryable": "true" if fault.retryable else "false",
    }
    original = [(name, content) for name, content in record.headers if name not in FAULT_HEADERS]
    return [
        *original,
        *_trace_headers(record),
        *((name, text.encode(errors="replace")) for name, text in explained.items()),
        *_spring_headers(record),
        *((name, text.encode(errors="replace")) for name, text in ours.items()),
    ]


def _spring_headers(record: Record) -> Headers:
    place = record.place
    return [
        (f"{_SPRING}topic", place.topic.encode()),
        (f"{_SPRING}partition", place.partition.to_bytes(4)),
        (f"{_SPRING}offset", place.offset.to_bytes(8)),
        (f"{_SPRING}timestamp", record.timestamp.to_bytes(8, signed=True)),
    ]


def _without_headers(record: Record) -> Record:
    return msgspec.structs.replace(record, headers=(), trace=record.trace_context)


def _trace_headers(record: Record) -> Headers:
    there = {name.lower() for name, _ in record.headers}
    return [(name, content) for name, content in record.trace_context.headers() if name not in there]


def read_fault(headers: Headers) -> Fault:
    """Read back what `dead_letter_headers` wrote."""
    texts = {name: content.decode(errors="replace") for name, content in headers if content is not None}
    return Fault(
        reason=texts.get("tagstream.reason", "unknown"),
        stage=texts.get(f"{_CONNECT}stage", "unknown"),
        retryable=texts.get("tagstream.retryable") == "true",
        error=texts.get(f"{_CONNECT}exception.class.name", "unknown"),
        message=texts.get(f"{_CONNECT}exception.message", ""),
    )
