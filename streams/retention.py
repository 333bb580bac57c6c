"""How long buckets are kept, measured by the partition's own clock: the latest Kafka timestamp it has seen.

That clock is part of the state and never goes back, so whether an event is too late for a bucket is the same
on every replay.
"""

from dataclasses import dataclass

from streams.rows import ALL, DAY_MS, WINDOW_SECONDS, InterestKey, TrendKey
from streams.state import PartitionState


@dataclass(frozen=True)
class Retention:
    """Days that buckets are kept after their end; all-time totals stay."""

    minute: float
    hour: float
    day: float
    interests: float

    def keeps(self, window: str, start: int, mark: int) -> bool:
        """Tell whether a bucket that begins at `start` (seconds) still counts at `mark` (milliseconds)."""
        if window == ALL:
            return True
        days: float = getattr(self, window)
        return (start + WINDOW_SECONDS[window]) * 1000 + days * DAY_MS > mark

    def keeps_interests(self, day: int, mark: int) -> bool:
        """Tell whether the interests of a day (since the epoch) still count."""
        return (day + 1 + self.interests) * DAY_MS > mark


def expired_rows(retention: Retention, state: PartitionState) -> list[tuple[str, str]]:
    """Give table and key of rows of buckets that are past their retention."""
    mark = state.mark
    trends = [("trends", key) for key in list(state.rows["trends"]) if not _keeps_trend(retention, key, mark)]
    interests = [
        ("interests", key)
        for key in list(state.rows["interests"])
        if not retention.keeps_interests(InterestKey.decode(key).day, mark)
    ]
    return trends + interests


def _keeps_trend(retention: Retention, key: str, mark: int) -> bool:
    found = TrendKey.decode(key)
    return retention.keeps(found.window, found.start, mark)
