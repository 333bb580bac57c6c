"""How long buckets are kept, measured by the partition's own clock: the latest Kafka timestamp it has seen.

That clock is part of the state and never goes back, so whether an event is too late for a bucket is the same
on every replay.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import orjson

from streams.fold.rows import ALL, AWAITED, DAY_MS, WINDOW_SECONDS, InterestKey
from streams.fold.trend_rows.recent import RECENT, decode_recent

_DELETED = b'"deleted":true'


class KeepingSettings(Protocol):
    """How long an operator keeps what, in days: see `streams.app.settings.Settings`."""

    @property
    def keep_minutes(self) -> float:
        """Counts by minute."""

    @property
    def keep_hours(self) -> float:
        """Counts by hour."""

    @property
    def keep_days(self) -> float:
        """Counts by day."""

    @property
    def keep_interests(self) -> float:
        """Users' interests."""

    @property
    def keep_deleted(self) -> float:
        """Deleted images."""


class ClockedState(Protocol):
    """Rows, and the partition's clock: see `streams.state.partition.PartitionState`."""

    @property
    def rows(self) -> Mapping[str, dict[str, bytes]]:
        """The encoded rows by table and key."""

    @property
    def stream_time(self) -> int:
        """The latest Kafka timestamp that was folded in, in milliseconds."""


class Expired(NamedTuple):
    """A row that no longer counts, or is to be settled, as it was when that was found."""

    table: str
    key: str
    row: bytes


@dataclass(frozen=True)
class Retention:
    """Days that buckets are kept after their end; all-time totals stay.

    Attributes:
        deleted: Days that a deleted image is remembered after the event time of its deletion.
    """

    minute: float
    hour: float
    day: float
    interests: float
    deleted: float

    @classmethod
    def of(cls, settings: KeepingSettings) -> Self:
        """The retention that the settings say."""
        return cls(
            settings.keep_minutes,
            settings.keep_hours,
            settings.keep_days,
            settings.keep_interests,
            settings.keep_deleted,
        )

    def keeps(self, window: str, start: int, stream_time: int) -> bool:
        """Whether a bucket that begins at `start` (seconds) still counts at `stream_time` (milliseconds)."""
        if window == ALL:
            return True
        days: float = getattr(self, window)
        return (start + WINDOW_SECONDS[window]) * 1000 + days * DAY_MS > stream_time

    def keeps_interests(self, day: int, stream_time: int) -> bool:
        """Whether the interests of a day (since the epoch) still count at `stream_time` (milliseconds)."""
        return (day + 1 + self.interests) * DAY_MS > stream_time

    def remembers(self, row: Mapping[str, Any], stream_time: int) -> bool:
        """Whether an image's row still counts: that of a deleted one does for a while."""
        return not row.get("deleted") or int(row["at"]) + self.deleted * DAY_MS > stream_time


KEEPS_ALL = Retention(*[math.inf] * 5)


def expired_rows(retention: Retention, state: ClockedState) -> list[Expired]:
    """The rows that are past their retention, and those of late that have been for too long."""
    found = (_expired_trends, _expired_interests, _expired_images)
    return [expired for find in found for expired in find(retention, state)]


def _expired_trends(retention: Retention, state: ClockedState) -> Iterator[Expired]:
    rows, stream_time, kept = state.rows["trends"], state.stream_time, dict[tuple[str, str], bool]()
    for key in list(rows):
        window, start, _ = key.split(":", 2)
        if window == RECENT:
            if (row := rows.get(key)) is not None and _is_overdue(retention, row, stream_time):
                yield Expired("trends", key, row)
            continue
        keeps = kept.get((window, start))
        if keeps is None:
            keeps = kept[window, start] = retention.keeps(window, int(start), stream_time)
        if not keeps and (row := rows.get(key)) is not None:
            yield Expired("trends", key, row)


def _is_overdue(retention: Retention, row: bytes, stream_time: int) -> bool:
    """Whether what came lately of a tag is so long ago that a bucket of it is no longer kept."""
    return any(
        window != ALL and not retention.keeps(window, start, stream_time)
        for uses in decode_recent(row).uses
        for window, start in uses.buckets()
    )


def _expired_interests(retention: Retention, state: ClockedState) -> Iterator[Expired]:
    rows, stream_time = state.rows["interests"], state.stream_time
    for key in list(rows):
        gone = not retention.keeps_interests(InterestKey.decode(key).day, stream_time)
        if gone and (row := rows.get(key)) is not None:
            yield Expired("interests", key, row)


def _expired_images(retention: Retention, state: ClockedState) -> Iterator[Expired]:
    rows = state.rows["images"]
    for key in list(rows):
        row = rows.get(key)
        # Few are deleted: the others are told by their bytes.
        if row is None or _DELETED not in row or AWAITED + key in state.rows["meta"]:
            continue
        if not retention.remembers(orjson.loads(row), state.stream_time):
            yield Expired("images", key, row)
