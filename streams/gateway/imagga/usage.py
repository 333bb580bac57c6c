"""How much each cloud asked, as this gateway counted it since it started."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

_DAYS = 31


class Usage:
    """Counts calls by cloud and day; what is older than a month is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._calls: dict[str, Counter[str]] = {}
        self._processed: dict[str, Counter[str]] = {}
        self._now: Counter[str] = Counter()

    @contextlib.contextmanager
    def call(self, cloud: str) -> Iterator[Callable[[], None]]:
        """Count a call while it is under way; gives what is called when it led to tags."""
        day = self._today.date().isoformat()
        _count(self._calls, cloud, day)
        self._now[cloud] += 1
        try:
            yield lambda: _count(self._processed, cloud, day)
        finally:
            self._now[cloud] -= 1
            if not self._now[cloud]:
                del self._now[cloud]

    def of(self, cloud: str, most_at_once: int) -> dict[str, Any]:
        """What a cloud is told."""
        today = self._today
        month = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        calls = self._calls.get(cloud, Counter())
        return {
            "billing_period_start": month.isoformat(),
            "concurrency": {"max": most_at_once, "now": self._now[cloud]},
            "daily": calls[today.date().isoformat()],
            "weekly": _since(calls, today - timedelta(days=6)),
            "monthly_requests": _since(calls, month),
            "monthly_processed": _since(self._processed.get(cloud, Counter()), month),
            "monthly_limit": 0,
        }

    @property
    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _count(counters: dict[str, Counter[str]], cloud: str, day: str) -> None:
    days = counters.setdefault(cloud, Counter())
    days[day] += 1
    if len(days) > _DAYS:
        del days[min(days)]


def _since(days: Counter[str], moment: datetime) -> int:
    first = moment.date().isoformat()
    return sum(count for day, count in days.items() if day >= first)
