"""How earlier lives ended: a killed worker has written nothing, and that is the word."""

import logging
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from schemas.errors import InvariantError
from streams.app.exit import reason_of_exit
from streams.app.exit_journal import ExitJournal
from streams.kafka.producers import CommitTimeoutError
from streams.units.faults import ClockError


def restarted(folder: Path, name: str = "w") -> ExitJournal:
    journal = ExitJournal(folder, name)
    journal.begin()
    return journal


def test_lives_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    """The first start is no restart; one that left no word was killed; the first word holds."""
    first = restarted(tmp_path)
    assert first.restarts == {}
    assert restarted(tmp_path).restarts == {"killed": 1}
    third = restarted(tmp_path)
    third.end("fenced")
    third.end("stopped")
    assert restarted(tmp_path).restarts == {"killed": 2, "fenced": 1}


def test_workers_of_one_directory_have_journals_of_their_own(tmp_path: Path) -> None:
    """By their names, whatever these are."""
    restarted(tmp_path, "a/../b")
    assert restarted(tmp_path, "é" * 300).restarts == {}
    assert restarted(tmp_path, "a/../b").restarts == {"killed": 1}


def test_a_life_that_has_not_begun_leaves_no_word(tmp_path: Path) -> None:
    """A second worker that finds its port taken says nothing about the first."""
    restarted(tmp_path)
    ExitJournal(tmp_path, "w").end("unusable")
    assert restarted(tmp_path).restarts == {"killed": 1}


def test_a_damaged_journal_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning, and unknown words are `other`."""
    restarted(tmp_path)
    (path,) = tmp_path.glob("exits-*.json")
    path.write_text('{"restarts": {"koala": 2}, "ended": "panda"}')
    assert restarted(tmp_path).restarts == {"other": 3}
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert restarted(tmp_path).restarts == {}
    assert "counted anew" in caplog.text


def test_a_full_disk_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written is a warning."""
    journal = ExitJournal(tmp_path / "gone", "w")
    with caplog.at_level(logging.WARNING):
        journal.begin()
        journal.end("stopped")
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ProducerFenced(), "fenced"),
        (CommitTimeoutError(), "commit_unknown"),
        (ClockError(), "clock"),
        (InvariantError(), "invariant"),
        (KafkaConnectionError(), "kafka"),
        (MemoryError(), "other"),
    ],
)
def test_reasons_of_exits(error: BaseException, expected: str) -> None:
    """Each end with 70 has its word."""
    assert reason_of_exit(error) == expected
