"""What an image adds to the counts, and what it takes away again when it changes or goes.

An image with eight tags has a part in 32 counts. So rows are changed in place, and keys are put together
here rather than by `TrendKey.encode`.
"""

from typing import NamedTuple

from schemas.topics import OFFSET_KEY
from streams.fold.changes import Changes, Row
from streams.fold.retention import Retention
from streams.fold.rows import ALL, DAY_MS, InterestKey, TrendKey, bucket_start
from streams.fold.settling import settle
from streams.fold.trend_rows.recent import BITS, MOST_USES, RecentRow, recent_key
from streams.fold.trend_rows.uploaders import coupon_of

_EVERY = sum(BITS.values())
MAX_TAGS_OF_A_DAY = 2000  # of one user in one partition: more than a tagger gives, less than a record holds


class _Place(NamedTuple):
    """Where and whose an image's tags are counted.

    Attributes:
        at: Event time in milliseconds.
        coupon: The uploader's, as sketches know them.
        windows: The bits of those whose bucket is still kept.
    """

    at: int
    coupon: bytes
    windows: int


_Counted = tuple[_Place, list[str] | None]  # and the tag's sources; None: it is not counted


def count(
    changes: Changes, old: Row | None, new: Row, offset: int, retention: Retention, *, gather: bool = False
) -> int:
    """Take an image's tags out of where they were counted, and count them where they are now.

    Args:
        changes: The transaction's.
        old: The image's row before; None: it had none.
        new: Its row now.
        offset: The event's.
        retention: What is still counted.
        gather: Whether that is kept as what came lately until there is enough for the tags' buckets.

    Returns:
        How many more tags its tenant has, of all time; fewer, if below zero.
    """
    stream_time = changes.stream_time
    now = _place(new, retention, stream_time)
    was = now if old is None or _is_placed_alike(old, new) else _place(old, retention, stream_time)
    taken: dict[str, list[str]] = dict(zip(old["tags"], old["by"], strict=True)) if old else {}
    stays, late = _EVERY if was is now else _shared_buckets(was, now), 0
    moves = _Moves(changes, new["tenant"], offset, retention, gather=gather)
    for tag, sources in zip(new["tags"], new["by"], strict=True):
        before = taken.pop(tag, None)
        if before == sources and was == now:
            continue
        missed = _EVERY & ~now.windows & ~(stays if before == sources else 0)
        late += missed.bit_count()
        moves.move(tag, (was, before), (now, sources))
    for tag, before in taken.items():
        moves.move(tag, (was, before), (now, None))
    if late:
        meta = changes.get("meta", OFFSET_KEY) or {}
        changes.put("meta", OFFSET_KEY, {**meta, "late": meta.get("late", 0) + late})
    return moves.tags


class _Moves:
    """What an image's tags are moved by.

    Attributes:
        tags: How many more tags have images.
    """

    def __init__(
        self, changes: Changes, tenant: str, offset: int, retention: Retention, *, gather: bool
    ) -> None:
        self.tags = 0
        self._changes = changes
        self._offset = offset
        self._retention = retention
        self._gather = gather
        self._head, self._tail = TrendKey(tenant, ALL, 0, "\x00").encode().split("\x00")
        self._recent_head = recent_key(self._head)

    def move(self, tag: str, was: _Counted, now: _Counted) -> None:
        """Take a tag out of where it was counted, and count it where it is now."""
        key = self._recent_head + tag + self._tail
        row = self._changes.recent_row(key)
        row.o = self._offset
        had = has = self._has_images(tag, row)
        full = False
        place, sources = was
        if sources is not None:
            row.add(place.at, place.windows, sources, -1)
            has = self._has_images(tag, row)
        place, sources = now
        if sources is not None:
            uses = row.add(place.at, place.windows, sources, 1)
            uses.see(place.at, place.coupon)
            has, full = True, uses.is_full
        self.tags += has - had
        if not self._gather or full or not has or len(row.uses) > MOST_USES:
            settle(self._changes, key, self._retention)

    def _has_images(self, tag: str, row: RecentRow) -> bool:
        return row.n > 0 or row.n + self._changes.settled_uses(self._head + tag + self._tail) > 0


def _is_placed_alike(old: Row, new: Row) -> bool:
    return bool(old["at"] == new["at"] and old["user"] == new["user"])


def _place(row: Row, retention: Retention, stream_time: int) -> _Place:
    at = row["at"]
    kept = (
        bit for window, bit in BITS.items() if retention.keeps(window, bucket_start(window, at), stream_time)
    )
    return _Place(at, b"" if row["user"] is None else coupon_of(row["user"]), sum(kept))


def _shared_buckets(was: _Place, place: _Place) -> int:
    """The bits of the windows in which both are the same uploader's in the same bucket."""
    if was.coupon != place.coupon:
        return 0
    return sum(
        bit for window, bit in BITS.items() if bucket_start(window, was.at) == bucket_start(window, place.at)
    )


def _take(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        left = counts.pop(name, 0) - 1
        if left > 0:
            counts[name] = left


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
    stream_time = changes.stream_time
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
