"""Trend counts of one tenant, in memory.

A bucket's counts lie in an array over the tags where many have any, so a window of many buckets is a sum of
few arrays.
Sketches of uploaders stay in their rows, and are merged when asked for.
"""

import contextlib
import functools
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain, islice, takewhile, zip_longest
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.fold.rows import TrendKey
from streams.fold.trend_rows.recent import Uses, buckets_of, decode_recent
from streams.state.spelling import Spellings
from streams.state.trends.buckets import (
    ALL_TIME,
    NO_ROW,
    Bucket,
    BucketCounts,
    Numbers,
    Tally,
    add_up,
    read_counts,
)
from streams.state.trends.sketches import UploaderSketches
from streams.state.trends.tag_numbers import TagNumbers

Counts = NDArray[np.int64]
_DAY = 86_400  # seconds
_RUN = 1000  # names
_first = itemgetter(0)


class Ranked(NamedTuple):
    """A tag in an order."""

    tag: str
    uses: int
    uploaders: int | None = None


class _Seen(msgspec.Struct):
    first: int | None = None
    last: int | None = None


_read_seen = msgspec.json.Decoder(_Seen).decode


@functools.lru_cache(maxsize=4096)
def _buckets_of(minute: int, windows: int) -> tuple[Bucket, ...]:
    return tuple(Bucket(*bucket) for bucket in buckets_of(minute, windows))


class _Names:
    """Different names in order, in runs: in one list of a million, whatever comes or goes moves megabytes."""

    def __init__(self) -> None:
        self._runs: list[list[str]] = []  # none of them empty

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._runs)

    def since(self, start: str) -> Iterator[str]:
        """Those that do not come before `start`."""
        place = self._place(start)
        for run in self._runs[place : place + 1]:
            yield from run[bisect_left(run, start) :]
        for later in range(place + 1, len(self._runs)):
            yield from self._runs[later]

    def add(self, name: str) -> None:
        """Add a name that is not there."""
        if not self._runs:
            self._runs.append([name])
            return
        place = self._place(name)
        run = self._runs[place]
        insort(run, name)
        if len(run) > 2 * _RUN:
            self._runs[place : place + 1] = run[:_RUN], run[_RUN:]

    def add_all(self, names: Iterable[str]) -> None:
        """Add many names that are not there."""
        whole = sorted(chain(self, names))
        self._runs = [whole[start : start + _RUN] for start in range(0, len(whole), _RUN)]

    def remove(self, name: str) -> None:
        """Remove a name that is there."""
        place = self._place(name)
        run = self._runs[place]
        del run[bisect_left(run, name)]
        if not run:
            del self._runs[place]

    def _place(self, name: str) -> int:
        """The run where a name is, or would be."""
        return max(bisect_right(self._runs, name, key=_first) - 1, 0)


class TenantTrends:
    """Counts of one tenant, for the event loop's thread.

    Only `best`, `top_by_uploaders` and `uploaders` may run in another one, within `reading`: they take counts
    that were summed before, and look single rows up.
    """

    def __init__(self, tenant: str, sketches: UploaderSketches) -> None:
        self._tenant = tenant
        self._sketches = sketches
        self._buckets: dict[Bucket, BucketCounts] = {}
        self._starts: dict[str, list[int]] = {}  # of the buckets by window, ascending
        self._numbers = TagNumbers()
        self._rows = Tally()  # of all time, by tag: as many as partitions where images have it
        self._spellings = Spellings()
        self._sorted = _Names()  # the tags that have such a row: those of long ago cost a search nothing

    @property
    def tags(self) -> list[str]:
        """The tags by number; empty where a number is free."""
        return self._numbers.names

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Keep what numbers mean, while another thread has counts in hand."""
        return self._numbers.reading()

    @property
    def is_empty(self) -> bool:
        """Whether no row is left."""
        return not self._buckets

    def move(self, bucket: Bucket, tag: str, old: bytes | None, new: bytes | None) -> None:
        """Take a row's old counts out of a bucket and put its new ones in."""
        counts, number = self.held_bucket(bucket), self._numbers.number(tag)
        counts.move(
            number,
            read_counts(old) if old is not None else NO_ROW,
            read_counts(new) if new is not None else NO_ROW,
        )
        more = (new is not None) - (old is not None)
        if more:
            counts.rows += more
            self._note_rows(bucket, counts, tag, number, more)
            self._numbers.note(number, more)

    def move_recent(self, tag: str, old: bytes | None, new: bytes | None) -> None:
        """Do so for what came lately, which is in several buckets; in each of them it is as good as a row."""
        before = [] if old is None else decode_recent(old).uses
        after = [] if new is None else decode_recent(new).uses
        gone = []
        for was, now in zip_longest(before, after):
            if was is None:
                self._add_uses(tag, now, now.n, 1)
            elif now is not None and (was.minute, was.windows, was.by) == (now.minute, now.windows, now.by):
                self._add_uses(tag, now, now.n - was.n, 0)
            else:
                gone.append(was)
                if now is not None:
                    self._add_uses(tag, now, now.n, 1)
        for was in gone:  # at last, so that the tag keeps its number meanwhile
            self._add_uses(tag, was, -was.n, -1)

    def _add_uses(self, tag: str, uses: Uses, number: int, rows: int) -> None:
        """Count so many more uses, in so many more rows, in the buckets of some uses."""
        if not number and not rows:
            return
        place, buckets = self._numbers.number(tag), _buckets_of(uses.minute, uses.windows)
        for bucket in buckets:
            counts = self._buckets.get(bucket) or self.held_bucket(bucket)
            if number:
                counts.add(place, number, uses.by)
            if rows:
                counts.rows += rows
                self._note_rows(bucket, counts, tag, place, rows)
        if rows:
            self._numbers.note(place, rows * len(buckets))

    def _note_rows(self, bucket: Bucket, counts: BucketCounts, tag: str, number: int, more: int) -> None:
        """Note that a tag has so many more rows in a bucket."""
        if bucket == ALL_TIME:
            self._list(tag, number, more)
        if counts.rows == 0:
            del self._buckets[bucket]
            self._starts[bucket.window].remove(bucket.start)

    def held_bucket(self, bucket: Bucket) -> BucketCounts:
        """A bucket, from now on kept if it was not."""
        counts = self._buckets.get(bucket)
        if counts is None:
            counts = self._buckets[bucket] = BucketCounts()
            insort(self._starts.setdefault(bucket.window, []), bucket.start)
        return counts

    def numbers(self, tags: Sequence[str], rows: NDArray[np.integer[Any]]) -> Numbers:
        """The places of all tags of a partition that is loaded in arrays, new ones if need be.

        Each is taken to have its rows there, one of them of all time, before they are counted: so nobody
        takes it off the list meanwhile.
        """
        numbers = self._numbers.numbers(tags)
        self._numbers.note_many(numbers, rows)
        self._rows.add_many(numbers, np.ones_like(numbers))
        first = np.flatnonzero(self._rows.get_many(numbers) == 1)
        fresh = [tags[place] for place in first.tolist()]
        self._sorted.add_all(fresh)
        for tag in fresh:
            self._spellings.add(tag)
        return numbers

    def _list(self, tag: str, number: int, more: int) -> None:
        """Count rows of all time that a tag has got or lost; list it with its first, and until its last."""
        self._rows.add(number, more)
        rows = self._rows.get(number)
        if rows == 0:
            self._sorted.remove(tag)
            self._spellings.remove(tag)
        elif rows == more:
            self._sorted.add(tag)
            self._spellings.add(tag)

    def counts(self, buckets: Iterable[Bucket], add_on: str | None = None) -> Counts:
        """Sum buckets: uses by tag, in the order of `tags`.

        Args:
            buckets: What to sum.
            add_on: Count only the images whose tag is from it; None: all.
        """
        found = (counts.tally(add_on) for counts in map(self._buckets.get, buckets) if counts)
        return add_up(filter(None, found), len(self.tags)).astype(np.int64)

    def count(self, tag: str, buckets: Iterable[Bucket]) -> int:
        """Count a tag's uses in buckets."""
        number = self._numbers.ids.get(tag)
        found = (self._buckets.get(bucket) for bucket in buckets)
        return 0 if number is None else sum(counts.uses.get(number) for counts in found if counts)

    def by_add_on(self, tag: str, buckets: Iterable[Bucket]) -> dict[str, int]:
        """Count a tag's uses in buckets by add-on, leaving out those that have none."""
        number, total = self._numbers.ids.get(tag), dict[str, int]()
        if number is not None:
            for counts in filter(None, map(self._buckets.get, buckets)):
                for add_on, tally in counts.by.items():
                    total[add_on] = total.get(add_on, 0) + tally.get(number)
        return {add_on: uses for add_on, uses in sorted(total.items()) if uses}

    def knows(self, tag: str) -> bool:
        """Whether any image has the tag."""
        return self.count(tag, [ALL_TIME]) > 0

    def as_spelled(self, name: str) -> str:
        """A tag as most images have it, where none has it as it is asked for; else the name as it is."""
        if self.knows(name):
            return name
        uses = {each: self.count(each, [ALL_TIME]) for each in self._spellings.of(name)}
        best = max(uses, key=lambda each: uses[each])
        return best if uses[best] else name

    def seen(self, tag: str) -> tuple[int | None, int | None]:
        """The earliest and the latest event time that was counted for a tag, in milliseconds."""
        key = TrendKey(self._tenant, *ALL_TIME, tag).encode()
        found = [_read_seen(row) for row in self._sketches.rows_of(key) if row is not None]
        seen = [moment for row in found for moment in (row.first, row.last) if moment is not None]
        seen += [moment for uses in self._sketches.recent_of(key) for moment in uses.seen() or ()]
        return min(seen, default=None), max(seen, default=None)

    def begin(self) -> int | None:
        """Start of the oldest bucket, as precisely as hours tell, in seconds; None without any."""
        days, hours = self._starts.get("day", []), self._starts.get("hour", [])
        if not days:
            return hours[0] if hours else None
        place = bisect_left(hours, days[0])
        return hours[place] if place < len(hours) and hours[place] < days[0] + _DAY else days[0]

    def bounds(self, tag: str, window: str) -> tuple[int, int] | None:
        """Starts in seconds of a tag's oldest and newest bucket of a window; None without any."""
        number = self._numbers.ids.get(tag, len(self.tags))
        starts = self._starts.get(window, [])

        def used(start: int) -> bool:
            return self._buckets[Bucket(window, start)].uses.get(number) > 0

        oldest = next(filter(used, starts), None)
        return None if oldest is None else (oldest, next(filter(used, reversed(starts))))

    def top(self, counts: Counts, limit: int) -> list[Ranked]:
        """The most used tags, equal ones by name."""
        return [Ranked(self.tags[tag], int(counts[tag])) for tag in self.best(counts, limit)]

    def best(self, values: NDArray[np.int64] | NDArray[np.float64], limit: int) -> list[int]:
        """The places of the greatest values above zero, greatest first, equal ones by tag."""
        places = np.flatnonzero(values > 0)
        if len(places) > limit:
            bar = np.partition(values[places], len(places) - limit)[len(places) - limit]
            equal = [(self.tags[place], place) for place in np.flatnonzero(values == bar).tolist()]
            places = np.flatnonzero(values > bar)
        else:
            equal = []
        sure = sorted(places.tolist(), key=lambda place: (-values[place], self.tags[place]))
        return sure + [place for _, place in nsmallest(limit - len(sure), equal)]

    def top_by_uploaders(self, counts: Counts, buckets: Sequence[Bucket], limit: int) -> list[Ranked]:
        """The tags with the most distinct uploaders, equal ones by name. For any thread.

        Tags are walked by descending uses. A tag has no more uploaders than uses, so once `limit` tags are
        found and the next one's uses are below the least of them, the rest cannot be better (Fagin's
        threshold algorithm, with one list). A tag's uploaders of all time, quick to have, bound it as well;
        where a bound only ties with the last one found, the name decides.
        """
        found: list[tuple[int, str, int]] = []

        def may_enter(bound: int, tag: str) -> bool:
            return bound > 0 and (len(found) < limit or (-bound, tag) < found[-1][:2])

        for place in np.argsort(-counts, kind="stable").tolist():
            tag, uses = self.tags[place], int(counts[place])
            if not may_enter(uses, ""):
                break
            if may_enter(uses, tag) and may_enter(min(uses, self.uploaders(tag, [ALL_TIME])), tag):
                estimate = min(self.uploaders(tag, buckets), uses)
                if estimate > 0:
                    insort(found, (-estimate, tag, uses))
                    del found[limit:]
        return [Ranked(tag, uses, -negative) for negative, tag, uses in found]

    def uploaders(self, tag: str, buckets: Iterable[Bucket]) -> int:
        """Estimate a tag's distinct uploaders in buckets; 0: none is known. For any thread."""
        number = self._numbers.ids.get(tag)
        if number is None:
            return 0
        held = ((bucket, counts) for bucket in buckets if (counts := self._buckets.get(bucket)) is not None)
        asked = {bucket: counts.version for bucket, counts in held if counts.uses.get(number)}
        return self._sketches.count(self._tenant, tag, asked)

    def names(self, prefix: str, after: str | None, limit: int) -> list[Ranked]:
        """List tags that images have, by name, with all-time uses.

        Args:
            prefix: How they begin.
            after: The name that they come after; None: from the first.
            limit: At most so many.
        """
        start = prefix if after is None else max(prefix, after + "\x00")  # no name lies between those two
        beginning = takewhile(lambda tag: tag.startswith(prefix), self._sorted.since(start))
        return self.counted(beginning, limit)

    def counted(self, tags: Iterable[str], limit: int) -> list[Ranked]:
        """Those of some tags that images have, in their order, with all-time uses; at most so many."""
        used = (Ranked(tag, uses) for tag in tags if (uses := self.count(tag, [ALL_TIME])) > 0)
        return list(islice(used, limit))
