"""What an image adds to the counts, and what it takes away again when it changes or goes.

An image with eight tags has a part in 32 counts. So rows are changed in place, and keys are put together
here rather than by `TrendKey.encode`.
"""

from typing import NamedTuple

from schemas.topics import OFFSET_KEY
from streams.fold.changes import Changes, CountRow, Row
from streams.fold.retention import Retention
from streams.fold.rows import ALL, DAY_MS, WINDOW_SECONDS, InterestKey, TrendKey, bucket_start
from streams.fold.uploaders import Uploaders

WINDOWS = (ALL, *WINDOW_SECONDS)
MAX_TAGS_OF_A_DAY = 2000  # of one user in one partition: more than a tagger gives, less than a record holds


class _Part(NamedTuple):
    """An image's part in one count."""

    sources: list[str]
    user: str | None
    seen: int | None  # event time, where the count remembers the first and the last one


class _Moved(NamedTuple):
    """What moving an image's tags in one window came to.

    Attributes:
        late: Tags that came too late for it.
        tags: How many more tags have images there.
    """

    late: int
    tags: int


def count(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> int:
    """Move an image's tags from the buckets where they were to those where they are now.

    Returns:
        How many more tags its tenant has, of all time; fewer, if below zero.
    """
    stream_time = _stream_time(changes)
    moved = {
        window: _count_window(changes, window, old, new, offset, retention, stream_time) for window in WINDOWS
    }
    if late := sum(one.late for one in moved.values()):
        meta = changes.get("meta", OFFSET_KEY) or {}
        changes.put("meta", OFFSET_KEY, {**meta, "late": meta.get("late", 0) + late})
    return moved[ALL].tags


def _count_window(  # noqa: PLR0917 - one caller
    changes: Changes,
    window: str,
    old: Row | None,
    new: Row,
    offset: int,
    retention: Retention,
    stream_time: int,
) -> _Moved:
    """Do so for one window."""
    gone = _parts(old, window) if old else {}
    kept = retention.keeps(window, bucket_start(window, new["at"]), stream_time)
    late = tags = 0
    for key, part in _parts(new, window).items():
        taken = gone.pop(key, None)
        if taken == part:
            continue
        if not kept:
            late += 1
            continue
        row = changes.count_row(key, offset)
        had = row.n > 0
        if taken is not None:
            _take_out(row, taken)
        _put_in(row, part)
        tags += (row.n > 0) - had
    if old and gone and retention.keeps(window, bucket_start(window, old["at"]), stream_time):
        for key, part in gone.items():
            row = changes.count_row(key, offset)
            had = row.n > 0
            _take_out(row, part)
            tags += (row.n > 0) - had
    return _Moved(late, tags)


def _parts(row: Row, window: str) -> dict[str, _Part]:
    user, at = row["user"], row["at"]
    seen = at if window == ALL else None
    head, tail = TrendKey(row["tenant"], window, bucket_start(window, at), "\x00").encode().split("\x00")
    return {
        head + tag + tail: _Part(sources, user, seen)
        for tag, sources in zip(row["tags"], row["by"], strict=True)
    }


def _take_out(row: CountRow, part: _Part) -> None:
    row.n -= 1  # below zero only where a retention was lengthened meanwhile
    _take(row.by, part.sources)


def _put_in(row: CountRow, part: _Part) -> None:
    row.n += 1
    _give(row.by, part.sources)
    if part.user is not None:
        if row.u is None:
            row.u = Uploaders()
        row.u.add(part.user)
    if part.seen is not None:
        row.first = part.seen if row.first is None else min(row.first, part.seen)
        row.last = part.seen if row.last is None else max(row.last, part.seen)


def _take(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        left = counts.pop(name, 0) - 1
        if left > 0:
            counts[name] = left


def _give(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1


def _give_some(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        if name in counts or len(counts) < MAX_TAGS_OF_A_DAY:
            counts[name] = counts.get(name, 0) + 1


def count_interests(changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention) -> None:
    """Move an image's tags in its user's interests from the old day to the new one.

    A day that has `MAX_TAGS_OF_A_DAY` different tags takes no others: the row must fit a record, whatever
    tags an application gives its users' images. Such a day is approximate, also later: which image's tag was
    left out is not remembered.
    """
    before, after = _interest(old) if old else None, _interest(new)
    if old is not None and before == after and old["tags"] == new["tags"]:
        return
    stream_time = _stream_time(changes)
    for place, tags, move in ((before, old["tags"] if old else [], _take), (after, new["tags"], _give_some)):
        if place is None or not tags or not retention.keeps_interests(place.day, stream_time):
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


def _stream_time(changes: Changes) -> int:
    return int((changes.get("meta", OFFSET_KEY) or {}).get("mark", 0))
