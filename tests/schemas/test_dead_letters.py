"""Dead letters: the original as it was, and an explanation that can be read back."""

from pathlib import Path

import msgspec
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.cloudevents import Headers
from schemas.dead_letters import (
    FAULT_HEADERS,
    LEFT_OUT,
    MAX_MESSAGE,
    MAX_WHOLE_BYTES,
    Fault,
    dead_letter,
    dead_letter_headers,
    read_fault,
)
from schemas.errors import PARSE_CODES
from schemas.uploads import Record

FAULT = Fault(
    "invalid_event", "parse", retryable=False, error="BadEventError", message="field `url` is missing"
)
README = (Path(schemas.__file__).parent / "README.md").read_text(encoding="utf-8")


def record(headers: Headers = ()) -> Record:
    return Record(
        topic="image.uploads", partition=2, offset=7, timestamp=0, key=None, value=b"?", headers=headers
    )


def replaced(text: str) -> str:
    return text.encode(errors="replace").decode()


def test_original_headers_come_first_and_untouched() -> None:
    """Repeated headers stay, and so does the difference between no value and an empty one."""
    original: Headers = [("a", b"\xff"), ("b", None), ("a", b""), ("ce_id", b"e1")]
    headers = dead_letter_headers(record(original), FAULT)
    assert headers[:4] == original
    assert dict(headers[4:]) == {
        "__connect.errors.topic": b"image.uploads",
        "__connect.errors.partition": b"2",
        "__connect.errors.offset": b"7",
        "__connect.errors.stage": b"parse",
        "__connect.errors.class.name": b"tagstream",
        "__connect.errors.exception.class.name": b"BadEventError",
        "__connect.errors.exception.message": b"field `url` is missing",
        "kafka_dlt-original-topic": b"image.uploads",
        "kafka_dlt-original-partition": b"\0\0\0\2",
        "kafka_dlt-original-offset": b"\0\0\0\0\0\0\0\7",
        "kafka_dlt-original-timestamp": bytes(8),
        "tagstream.reason": b"invalid_event",
        "tagstream.timestamp": b"0",
        "tagstream.retryable": b"false",
    }


def test_a_second_failure_replaces_the_explanation_of_the_first() -> None:
    """However often a dead letter is published again, its headers do not grow."""
    first = dead_letter_headers(record([("a", b"1")]), FAULT)
    again = Fault("source_busy", "fetch", retryable=True, error="SourceBusyError", message="503")
    second = dead_letter_headers(record(first), again)
    assert len(second) == len(first)
    assert read_fault(second) == again


@given(
    st.builds(Fault, *[st.text(st.characters())] * 2, st.booleans(), *[st.text(st.characters())] * 2),
    st.lists(st.tuples(st.text() | st.sampled_from(list(FAULT_HEADERS)), st.none() | st.binary())),
)
def test_round_trip(fault: Fault, original: Headers) -> None:
    """A fault is read back as it was, whatever the other headers; a lone surrogate becomes `?`."""
    assert read_fault(dead_letter_headers(record(original), fault)) == Fault(
        reason=replaced(fault.reason),
        stage=replaced(fault.stage),
        retryable=fault.retryable,
        error=replaced(fault.error),
        message=replaced(fault.message[:MAX_MESSAGE]),
    )


@pytest.mark.parametrize("character", ["x", "\ud800", "\U0001f428"])
def test_long_messages_are_cut(character: str) -> None:
    """A message of a million characters keeps its beginning, so that the dead letter stays small."""
    fault = Fault("r", "s", retryable=False, error="e", message=character * 1_000_000)
    headers = dead_letter_headers(record(), fault)
    assert read_fault(headers).message == replaced(character) * MAX_MESSAGE
    assert sum(len(content) for _, content in headers) < 5 * MAX_MESSAGE


@given(st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_headers_of_others(headers: Headers) -> None:
    """What is no dead letter of ours reads as unknown, without an exception."""
    assert read_fault(headers) == Fault("unknown", "unknown", retryable=False, error="unknown", message="")


def test_kafka_takes_the_headers() -> None:
    """A header without a value survives aiokafka's encoder."""
    headers = dead_letter_headers(record([("a", None), ("b", b"")]), FAULT)
    assert DefaultRecordBatchBuilder.estimate_size_in_bytes(None, b"?", headers) > 0
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=1,
        producer_id=1,
        producer_epoch=1,
        base_sequence=0,
        batch_size=65_536,
    )
    builder.append(0, 0, None, b"?", headers)
    assert [sent.headers for sent in DefaultRecordBatch(bytes(builder.build()))] == [headers]


def test_what_has_no_room_is_left_out() -> None:
    """The letter then says how much that was; the key's beginning stays, so that people find the event."""
    large = Record(
        topic="t", partition=2, offset=7, timestamp=0, key=b"k" * 2000, value=b"v", headers=[("h", b"x" * 9)]
    )
    room = MAX_WHOLE_BYTES - large.bytes_besides
    whole = msgspec.structs.replace(large, value=b"v" * room)
    key, value, headers = dead_letter(whole, FAULT)
    assert (key, value, headers[0]) == (whole.key, whole.value, ("h", b"x" * 9))
    assert LEFT_OUT not in dict(headers)
    key, value, headers = dead_letter(msgspec.structs.replace(large, value=b"v" * (room + 1)), FAULT)
    assert (key, value) == (b"k" * 1024, None)
    assert dict(headers) == dict(dead_letter_headers(record(), FAULT)) | {
        "__connect.errors.topic": b"t",
        "kafka_dlt-original-topic": b"t",
        LEFT_OUT: str(MAX_WHOLE_BYTES + 1).encode(),
    }


def test_nobody_else_says_that_something_is_left_out() -> None:
    """A publisher's header of that name would keep the event from being replayed."""
    assert LEFT_OUT not in dict(dead_letter_headers(record([(LEFT_OUT, b"1")]), FAULT))


def table(texts: dict[str, str]) -> str:
    return "".join(f"| `{name}` | {meaning} |\n" for name, meaning in texts.items())


def test_documentation() -> None:
    """The README lists every header and every reason of the parser, in the same words."""
    headers = dead_letter_headers(record(), FAULT)
    assert [*(name for name, _ in headers), LEFT_OUT] == list(FAULT_HEADERS)
    assert table(FAULT_HEADERS) in README
    assert table(PARSE_CODES) in README
