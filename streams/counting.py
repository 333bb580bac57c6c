"""What an image adds to the counts, and what it takes away again when it changes or goes.

An image with eight tags has a part in 32 counts. So rows are changed in place, and keys are put together
here rather than by `TrendKey.encode`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.changes import Changes, Row
from streams.retention import Retention
from streams.rows import ALL, DAY_MS, OFFSET_KEY, WINDOW_SECONDS, InterestKey, TrendKey, bucket_start
from streams.uploaders import Uploaders

WINDOWS = (ALL, *WINDOW_SECONDS)


class _Bucket(NamedTuple):
    window: str
    start: int


class _Share(NamedTuple):
    """An image's part in one count."""

    bucket: _Bucket
    sources: list[str]
    user: str | None
    seen: int  # event time, where the count remembers the first and the last one; else 0


_NOTHING: Mapping[str, _Share] = {}


def count(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> None:
    """Move an image's tags from the buckets where they were to those where they are now."""
    before = _shares(old) if old else _NOTHING
    after = _shares(new)
    mark = _mark(changes)
    late = 0
    for key, given in after.items():
        taken = before.get(key)
        if taken == given:
            continue
        if retention.keeps(*given.bucket, mark):
            _shift(changes, key, taken, given, new["at"], offset)
        else:
            late += 1
    for key, taken in before.items():
        if key not in after and retention.keeps(*taken.bucket, mark):
            _shift(changes, key, taken, None, new["at"], offset)
    if late:
        meta = changes.get("meta", OFFSET_KEY) or {}
        changes.put("meta", OFFSET_KEY, {**meta, "late": meta.get("late", 0) + late})


def _shares(row: Row) -> dict[str, _Share]:
    shares = {}
    user = row["user"]
    for window in WINDOWS:
        bucket = _Bucket(window, bucket_start(window, int(row["at"])))
        seen = int(row["at"]) if window == ALL else 0
        before, after = TrendKey(row["tenant"], *bucket, "\x00").encode().split("\x00")
        for tag, sources in zip(row["tags"], row["by"], strict=True):
            shares[before + tag + after] = _Share(bucket, sources, user, seen)
    return shares


def _shift(  # noqa: PLR0917 - one caller
    changes: Changes, key: str, taken: _Share | None, given: _Share | None, at: int, offset: int
) -> None:
    row = changes.get("trends", key) or {"o": offset, "n": 0, "by": {}}
    row["o"] = offset
    if taken is not None:
        row["n"] -= 1
        _take(row["by"], taken.sources)
    if given is not None:
        row["n"] += 1
        _give(row["by"], given.sources)
        _note(row, given, at)
    # Below zero only where a retention was lengthened meanwhile.
    changes.put("trends", key, row if row["n"] > 0 else None)


def _take(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        left = counts.pop(name, 0) - 1
        if left > 0:
            counts[name] = left


def _give(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1


def _note(row: Row, given: _Share, at: int) -> None:
    if given.user is not None:
        uploaders = row.get("u")
        if not isinstance(uploaders, Uploaders):
            uploaders = row["u"] = Uploaders(uploaders)
        uploaders.add(given.user)
    if given.bucket.window == ALL:
        row["first"] = min(row.get("first", at), at)
        row["last"] = max(row.get("last", at), at)


def count_interests(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> None:
    """Move an image's tags in its user's interests from the old day to the new one."""
    before, after = _interest(old) if old else None, _interest(new)
    if old is not None and before == after and old["tags"] == new["tags"]:
        return
    mark = _mark(changes)
    for place, tags, move in ((before, old["tags"] if old else [], _take), (after, new["tags"], _give)):
        if place is None or not tags or not retention.keeps_interests(place.day, mark):
            continue
        key = place.encode()
        row = changes.get("interests", key) or {"o": offset, "t": {}}
        row["o"] = offset
        move(row["t"], tags)
        changes.put("interests", key, row if row["t"] else None)


def _interest(row: Row) -> InterestKey | None:
    if row["user"] is None:
        return None
    return InterestKey(row["tenant"], row["user"], int(row["at"]) // DAY_MS)


def _mark(changes: Changes) -> int:
    return int((changes.get("meta", OFFSET_KEY) or {}).get("mark", 0))
