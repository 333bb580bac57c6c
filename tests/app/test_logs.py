"""Log lines as JSON: their time, and the record that they are about."""

import json
import logging
from datetime import UTC, datetime

import pytest

from schemas.uploads import Record
from streams.app.logs import JsonLines, _Lowered, _Seldom
from streams.telemetry.log_context import IN_WORK, place_of

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def line_of(**extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "streams.x", "levelname": "INFO", "msg": "said", **extra})
    record.created = 1_795_521_600.5
    return dict(json.loads(JsonLines().format(record)))


def upload(headers: list[tuple[str, bytes | None]]) -> Record:
    return Record(topic="t", partition=1, offset=2, timestamp=0, key=None, value=b"{}", headers=headers)


def test_times_are_rfc_3339() -> None:
    """In UTC, with milliseconds."""
    line = line_of()
    assert line == {
        "time": "2026-11-24T12:00:00.500Z",
        "level": "INFO",
        "logger": "streams.x",
        "message": "said",
    }
    assert datetime.fromisoformat(str(line["time"])) == datetime(2026, 11, 24, 12, 0, 0, 500_000, UTC)


@pytest.mark.parametrize("headers", [[], [("traceparent", PARENT)]])
def test_a_line_names_the_record_in_work(headers: list[tuple[str, bytes | None]]) -> None:
    """Its trace where it has one; what the line itself says of a record counts first."""
    token = IN_WORK.set(place_of(upload(headers)))
    try:
        line, other = line_of(), line_of(topic="other", offset=9)
    finally:
        IN_WORK.reset(token)
    assert (line["topic"], line["partition"], line["offset"]) == ("t", 1, 2)
    assert line.get("trace_id") == ("4bf92f3577b34da6a3ce929d0e0e4736" if headers else None)
    assert (other["topic"], other["offset"]) == ("other", 9)
    assert "topic" not in line_of()


def test_clients_that_repeat_themselves_are_heard_once_a_minute() -> None:
    """aiokafka's and OpenTelemetry's messages, each by its own text; ours always."""
    now = 100.0
    seldom = _Seldom(lambda: now)

    def passes(name: str, text: str) -> bool:
        return seldom.filter(logging.makeLogRecord({"name": name, "msg": text}))

    assert [passes("aiokafka.conn", "away %s") for _ in range(3)] == [True, False, False]
    assert [passes("opentelemetry.exporter", "away") for _ in range(2)] == [True, False]
    assert [passes("streams.kafka.watch", "away") for _ in range(2)] == [True, True]
    assert passes("aiokafka.conn", "other")
    now += 60
    assert passes("aiokafka.conn", "away %s")


def test_what_we_say_ourselves_is_lowered() -> None:
    """aiokafka's words for a broker that is away are no errors; its other ones are."""

    def shown(text: str, least: int = logging.INFO) -> str | None:
        line = {"name": "aiokafka", "msg": text, "levelno": logging.ERROR, "levelname": "ERROR"}
        record = logging.makeLogRecord(line)
        return record.levelname if _Lowered(least).filter(record) else None

    assert shown("Unable connect to node with id %s: %s") == "INFO"
    assert shown("Unable connect to node with id %s: %s", logging.WARNING) is None
    assert shown("Unexpected error from SyncGroup: %s") == "ERROR"
