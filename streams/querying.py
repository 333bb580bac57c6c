"""Questions about the state that this worker has: pure functions over rows."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson

from schemas.answers import PartitionState, TagCount
from schemas.errors import BadEventError
from streams.rows import ALL as ALL_TIME
from streams.unit import Unit


def partition_states(units: Mapping[int, Unit]) -> list[PartitionState]:
    """Tell how far each partition is."""
    return [_state(unit) for _, unit in sorted(units.items())]


def _state(unit: Unit) -> PartitionState:
    end = unit.source.end_offset if unit.source else None
    lag = None if end is None else max(end - unit.books.state.next_offset, 0)
    return PartitionState(unit.partition, unit.ready.is_set(), unit.books.state.next_offset, lag)


def window_prefix(window: str) -> str:
    """Give the prefix of the count rows of a window: `all`, or an hour such as 2026-11-24T10.

    Raises:
        BadEventError: The window is neither.
    """
    if window == ALL_TIME:
        return f"{ALL_TIME}:0:"
    try:
        hour = datetime.strptime(window, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        message = f"window {window[:64]!r}: say `all`, or an hour in UTC such as 2026-11-24T10"
        raise BadEventError("invalid_window", message) from None
    return f"hour:{int(hour.timestamp())}:"


def top_tags(partitions: Iterable[Mapping[str, bytes]], prefix: str, limit: int) -> list[TagCount]:
    """Sum the partitions' counts; the most used tags first, equal ones by name."""
    counts: Counter[str] = Counter()
    for rows in partitions:
        for key, row in rows.items():
            if key.startswith(prefix):
                counts[key.removeprefix(prefix)] += orjson.loads(row)["n"]
    best = heapq.nsmallest(limit, counts.items(), key=lambda item: (-item[1], item[0]))
    return [TagCount(tag, count) for tag, count in best]
