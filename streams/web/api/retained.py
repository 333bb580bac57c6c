"""Which buckets every partition still keeps: where one is gone, a count would be too low; none is given."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from streams.fold.retention import Retention
from streams.state.trends.buckets import Bucket
from streams.web.access.errors import UnknownError
from streams.web.api.windows import DAY, Span

_SETTINGS = {
    "minute": "TAGSTREAM_KEEP_MINUTES",
    "hour": "TAGSTREAM_KEEP_HOURS",
    "day": "TAGSTREAM_KEEP_DAYS",
}


class Clocked(Protocol):
    """A partition's state; see `streams.state.partition.PartitionState`."""

    @property
    def stream_time(self) -> int:
        """Give the partition's clock in milliseconds."""


class RetainedBuckets:
    """Tells by the partition whose clock is the most advanced: it has let go of the most."""

    def __init__(self, retention: Retention, states: Mapping[int, Clocked]) -> None:
        self._retention = retention
        self._states = states

    def has(self, bucket: Bucket) -> bool:
        """Tell whether every partition keeps a bucket."""
        return self._retention.keeps(*bucket, self._stream_time)

    def require(self, name: str, span: Span, buckets: Iterable[Bucket]) -> None:
        """Refuse to count what is not kept.

        Args:
            name: The parameter that asks for the span.
            span: What is counted.
            buckets: Those that it takes.

        Raises:
            UnknownError: A bucket is gone. The message names the setting, and what can be asked instead.
        """
        stream_time = self._stream_time
        gone = next((bucket for bucket in buckets if not self._retention.keeps(*bucket, stream_time)), None)
        if gone is not None:
            days, when = getattr(self._retention, gone.window), _told(gone.start, "%Y-%m-%dT%H:%M")
            raise UnknownError(
                "not_kept",
                f"{name}={span.name!r} takes counts by {gone.window} of {when}, "
                f"which are kept for {days:g} days ({_SETTINGS[gone.window]}); {self._cure(span)}",
            )

    def _cure(self, span: Span) -> str:
        day = span.start // DAY * DAY
        if span.seconds < DAY and span.end <= day + DAY and self.has(Bucket("day", day)):
            return f"ask for the whole day {_told(day, '%Y-%m-%d')}"
        return "ask for a later one"

    @property
    def _stream_time(self) -> int:
        return max((state.stream_time for state in self._states.values()), default=0)


def _told(seconds: int, form: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)
