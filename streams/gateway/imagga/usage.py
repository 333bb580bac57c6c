"""How much each cloud asked, as this gateway counted it since it started."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

_DAYS = 38  # a month, and the days before it of its first week


@dataclass
class _Counts:
    """One cloud's calls, and those that led to tags, by day."""

    calls: Counter[date] = field(default_factory=Counter)
    processed: Counter[date] = field(default_factory=Counter)
    total: int = 0
    now: int = 0
    last: int = 0


class Usage:
    """Counts calls by cloud and day; what is older than a month is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._clouds: dict[str, _Counts] = {}

    @contextlib.contextmanager
    def call(self, cloud: str) -> Iterator[Callable[[], None]]:
        """Count a call while it is under way; gives what is called when it led to tags."""
        counts, today = self._clouds.setdefault(cloud, _Counts()), self._now.date()
        _count(counts.calls, today)
        counts.last = int(self._clock())
        counts.now += 1

        def processed() -> None:
            _count(counts.processed, today)
            counts.total += 1

        try:
            yield processed
        finally:
            counts.now -= 1

    def of(self, cloud: str, most_at_once: int) -> dict[str, Any]:
        """What a cloud is told; counts by day, week and month lie under the date of their first day."""
        counts, today = self._clouds.get(cloud, _Counts()), self._now.date()
        month, week = today.replace(day=1), today - timedelta(days=today.weekday())
        next_month = (month + timedelta(days=32)).replace(day=1)
        calls, processed = counts.calls, counts.processed
        return {
            "billing_period_start": _at(month),
            "billing_period_end": _at(next_month),
            "concurrency": {"max": most_at_once, "now": counts.now},
            "daily": {day.isoformat(): count for day, count in calls.items() if day >= month},
            "daily_for": today.isoformat(),
            "daily_requests": calls[today],
            "daily_processed": processed[today],
            "weekly": {week.isoformat(): _since(calls, week)},
            "weekly_requests": _since(calls, week),
            "weekly_processed": _since(processed, week),
            "monthly": {month.isoformat(): _since(calls, month)},
            "monthly_requests": _since(calls, month),
            "monthly_processed": _since(processed, month),
            "monthly_limit": 0,
            "total_processed": counts.total,
            "last_usage": counts.last,
        }

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _count(days: Counter[date], day: date) -> None:
    days[day] += 1
    if len(days) > _DAYS:
        del days[min(days)]


def _since(days: Counter[date], first: date) -> int:
    return sum(count for day, count in days.items() if day >= first)


def _at(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()
