"""What was told of rises, counted once it is committed."""

from collections.abc import Iterable

from schemas.streams.records import Trend
from streams.telemetry.recorder import Recorder


class RiseMeter:
    """Told by whoever judges."""

    def __init__(self, recorder: Recorder) -> None:
        self._told = recorder.counter("tagstream_trends_total")

    def note(self, told: Iterable[Trend]) -> None:
        """Take note of trend records."""
        for trend in told:
            self._told.add(1, trend.phase.value)
