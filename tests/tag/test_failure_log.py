"""A model that fails on every image does not fill the log."""

import pytest

from streams.tag.failure_log import QUIET, FailureLog


def test_failures_are_counted_between_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    """The first one has its traceback; those of the next minute become one line; each add-on has its own."""
    now = 100.0
    failures = FailureLog(lambda: now)
    for _ in range(5):
        failures.note("mine", RuntimeError("out of memory"))
    failures.note("other", ValueError("no"))
    assert [record.message for record in caplog.records] == [
        "add-on mine failed on an image",
        "add-on other failed on an image",
    ]
    assert all(record.exc_info for record in caplog.records)
    now += QUIET
    failures.note("mine", RuntimeError("out of memory"))
    assert caplog.records[-1].message == "add-on mine failed on 5 images: RuntimeError('out of memory')"
