"""What an image adds to the counts, and what it takes away again when it changes or goes."""

from collections import Counter
from typing import NamedTuple

from streams.changes import Changes, Row
from streams.retention import Retention
from streams.rows import ALL, DAY_MS, OFFSET_KEY, WINDOW_SECONDS, InterestKey, TrendKey, bucket_start
from streams.uploaders import add_uploader

WINDOWS = (ALL, *WINDOW_SECONDS)


class _Share(NamedTuple):
    """An image's part in one count."""

    window: str
    start: int
    sources: tuple[str, ...]
    user: str | None


def count(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> None:
    """Move an image's tags from the buckets where they were to those where they are now."""
    before = _shares(old) if old else {}
    after = _shares(new)
    mark = _mark(changes)
    late = 0
    for key in before.keys() | after.keys():
        taken, given = before.get(key), after.get(key)
        share = given or taken
        if taken == given or share is None:
            continue
        if retention.keeps(share.window, share.start, mark):
            _shift(changes, key, taken, given, new["at"], offset)
        elif given is not None:
            late += 1
    if late:
        meta = changes.get("meta", OFFSET_KEY) or {}
        changes.put("meta", OFFSET_KEY, {**meta, "late": meta.get("late", 0) + late})


def _shares(row: Row) -> dict[str, _Share]:
    shares = {}
    for window in WINDOWS:
        start = bucket_start(window, int(row["at"]))
        for tag, sources in zip(row["tags"], row["by"], strict=True):
            key = TrendKey(row["tenant"], window, start, tag).encode()
            shares[key] = _Share(window, start, tuple(sources), row["user"])
    return shares


def _shift(  # noqa: PLR0917 - one caller
    changes: Changes, key: str, taken: _Share | None, given: _Share | None, at: int, offset: int
) -> None:
    row = changes.get("trends", key) or {"n": 0, "by": {}}
    number = row["n"] + (given is not None) - (taken is not None)
    if number <= 0:  # below zero only where a retention was lengthened meanwhile
        changes.put("trends", key, None)
        return
    by: Counter[str] = Counter(row["by"])
    by.update(given.sources if given else ())
    by.subtract(taken.sources if taken else ())
    new: Row = {"o": offset, "n": number, "by": {name: n for name, n in by.items() if n}}
    for name in ("u", "first", "last"):
        if name in row:
            new[name] = row[name]
    if given is not None:
        _note(new, given, at)
    changes.put("trends", key, new)


def _note(row: Row, given: _Share, at: int) -> None:
    if given.user is not None:
        row["u"] = add_uploader(row.get("u"), given.user)
    if given.window == ALL:
        row["first"] = min(row.get("first", at), at)
        row["last"] = max(row.get("last", at), at)


def count_interests(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> None:
    """Move an image's tags in its user's interests from the old day to the new one."""
    before, after = _interest(old) if old else None, _interest(new)
    if old is not None and before == after and old["tags"] == new["tags"]:
        return
    mark = _mark(changes)
    for place, tags, step in ((before, old["tags"] if old else [], -1), (after, new["tags"], 1)):
        if place is None or not tags or not retention.keeps_interests(place.day, mark):
            continue
        counts: Counter[str] = Counter((changes.get("interests", place.encode()) or {"t": {}})["t"])
        for tag in tags:
            counts[tag] += step
        kept = {tag: number for tag, number in counts.items() if number}
        changes.put("interests", place.encode(), {"o": offset, "t": kept} if kept else None)


def _interest(row: Row) -> InterestKey | None:
    if row["user"] is None:
        return None
    return InterestKey(row["tenant"], row["user"], int(row["at"]) // DAY_MS)


def _mark(changes: Changes) -> int:
    return int((changes.get("meta", OFFSET_KEY) or {}).get("mark", 0))
