"""Dead letters in the log: one line each, few of a kind."""

import json
import logging

import pytest

from schemas.dead_letters import Fault, dead_letter_headers
from schemas.uploads import Record
from streams.app.logs import JsonLines
from streams.units.letter_log import MOST_LINES, PERIOD, DeadLetterLog

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def letter(reason: str, offset: int = 7, message: str = "gone") -> list[tuple[str, bytes | None]]:
    record = Record(
        topic="image.uploads",
        partition=2,
        offset=offset,
        timestamp=0,
        key=None,
        value=b"{}",
        headers=[("traceparent", PARENT)],
    )
    return dead_letter_headers(record, Fault(reason, "fetch", retryable=False, error="E", message=message))


def test_a_line_names_reason_place_and_trace(caplog: pytest.LogCaptureFixture) -> None:
    """As fields of its JSON; what a stranger wrote breaks no line and moves no cursor."""
    DeadLetterLog().note([letter("http_404", message="from http://h/\x1b[2J\nx")])
    (line,) = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert line["level"] == "WARNING"
    assert line["message"] == "dead letter http_404: from http://h/�[2J�x"
    assert (line["topic"], line["partition"], line["offset"]) == ("image.uploads", 2, 7)
    assert (line["reason"], line["trace_id"]) == ("http_404", "4bf92f3577b34da6a3ce929d0e0e4736")


def test_many_of_one_reason_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The others have lines of their own; the number left out is told when the period is over, once."""
    now = 100.0
    letters = DeadLetterLog(lambda: now)
    letters.note([letter("http_404", offset) for offset in range(MOST_LINES + 5)])
    letters.note([letter("corrupt")])
    letters.tell_left_out()
    assert len(caplog.records) == MOST_LINES + 1
    now += PERIOD
    caplog.clear()
    for _ in range(2):
        letters.tell_left_out()
    assert [record.message for record in caplog.records] == ["dead letters http_404: 5 more in the last 60 s"]
    letters.note([letter("http_404")])
    assert len(caplog.records) == 2
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
