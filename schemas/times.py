"""Times: datetimes as answers have them, and a clock that nobody sets back."""

import time
from datetime import UTC, datetime, timedelta

_OFFSET = time.time() - time.monotonic()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_DATETIME_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
MAX_DATETIME_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def utc_datetime(at: int) -> datetime:
    """A time in milliseconds as a datetime; times beyond the calendar become its first or last moment.

    A Kafka timestamp may be any number: whoever publishes the record sets it.
    """
    return _EPOCH + timedelta(milliseconds=min(max(at, MIN_DATETIME_MS), MAX_DATETIME_MS))


def utc_text(at: int) -> str:
    """A time in milliseconds in RFC 3339."""
    return utc_datetime(at).isoformat().replace("+00:00", "Z")


def steady_time() -> float:
    """Seconds since the epoch that no step of the machine's clock moves.

    That is the clock's time at the start of the process, and what has passed since.
    """
    return _OFFSET + time.monotonic()
