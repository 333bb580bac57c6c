"""Loading trend counts: all rows of a partition at once.

Names become numbers as rows come. Then the counts are put in order by bucket and add-on, and each tally takes
all of its own in one go. What came lately of a tag is added afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from streams.fold.rows import TrendKey, split_tenants
from streams.fold.trend_rows.recent import is_recent
from streams.state.columns import Column
from streams.state.numbering import Names, Numbering, order_of
from streams.state.trends.buckets import Bucket, CountRow, Numbers, read_counts
from streams.state.trends.counts import TenantTrends

_CELLS_PER_STEP = 10_000
_RECENT_PER_STEP = 100
_CELLS_PER_TALLY = 100  # that take as long as what each tally costs by itself


class TrendLoading:
    """Rows of one partition on their way into the counts of all tenants: a `state.loading.Loading`."""

    def __init__(self, into: Callable[[str], TenantTrends]) -> None:
        """Begin.

        Args:
            into: Gives a tenant's counts, which are added to.
        """
        self._into = into
        self._tenants: dict[str, _Cells] = {}
        self._recent: list[tuple[str, bytes]] = []

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        """Take some of the rows."""
        recent = [row for row in zip(keys, rows, strict=True) if is_recent(row[0])]
        if recent:
            self._recent += recent
            settled = [row for row in zip(keys, rows, strict=True) if not is_recent(row[0])]
            keys, rows = [key for key, _ in settled], [row for _, row in settled]
        if not keys:
            return
        counts = [*map(read_counts, rows)]
        for tenant, places, names in split_tenants(keys):
            self._tenants.setdefault(tenant, _Cells()).take(names, [counts[place] for place in places])

    def sort(self) -> None:
        """Put the counts in order."""
        for cells in self._tenants.values():
            cells.sort()

    def finish(self) -> Iterator[None]:
        """Let each array take its counts."""
        for tenant, cells in self._tenants.items():
            yield from cells.give(self._into(tenant))
        for number, (key, row) in enumerate(self._recent):
            place = TrendKey.decode(key)
            self._into(place.tenant).move_recent(place.tag, None, row)
            if number % _RECENT_PER_STEP == 0:
                yield


class _Cells:
    """Numbers by bucket, add-on and tag; the add-on None has all images, whichever their tag is from."""

    def __init__(self) -> None:
        self._buckets = Numbering[tuple[str, str]]()
        self._add_ons = Numbering[str | None]([None])
        self._tags = Names()
        self._columns = [Column.empty(np.int32) for _ in range(4)]
        self._rows = self._rows_of_tags = self._arrays = self._begins = np.empty(0, np.int64)

    def take(self, names: Sequence[str], counts: Sequence[CountRow]) -> None:
        windows, starts, tags = zip(*(name.split(":", 2) for name in names), strict=True)
        buckets = self._buckets.numbers([*zip(windows, starts, strict=True)])
        numbers = self._tags.numbers(tags)
        uses = np.fromiter((row.n for row in counts), np.int32, len(counts))
        self._append(buckets, np.zeros_like(buckets), numbers, uses)
        split = [row.by for row in counts]
        lengths = [*map(len, split)]
        add_ons = self._add_ons.numbers([*chain.from_iterable(split)])
        uses = np.fromiter(chain.from_iterable(map(dict.values, split)), np.int32, len(add_ons))
        self._append(np.repeat(buckets, lengths), add_ons, np.repeat(numbers, lengths), uses)

    def _append(self, *values: Numbers) -> None:
        for column, more in zip(self._columns, values, strict=True):
            column.extend(more)

    def sort(self) -> None:
        buckets, add_ons, tags, uses = (column.view() for column in self._columns)
        alone = add_ons == 0
        self._rows = np.bincount(buckets[alone], minlength=len(self._buckets.names))
        self._rows_of_tags = np.bincount(tags[alone], minlength=len(self._tags.names))
        width = len(self._add_ons.names)
        arrays = buckets * width + add_ons
        order = order_of(arrays, len(self._rows) * width)
        self._begins = np.flatnonzero(np.diff(arrays[order], prepend=-1))
        self._arrays = arrays[order][self._begins]
        self._columns = [Column(tags[order]), Column(uses[order])]

    def give(self, trends: TenantTrends) -> Iterator[None]:
        # The first step leaves a bucket with rows: a tenant that has one is not let go of between the steps.
        tags, uses = (column.view() for column in self._columns)
        numbers = trends.numbers(self._tags.names, self._rows_of_tags)
        done = 0
        for bucket, add_on, run in self._runs():
            window, start = self._buckets.names[bucket]
            counts = trends.held_bucket(Bucket(window, int(start)))
            counts.rows += int(self._rows[bucket]) if add_on == 0 else 0
            counts.version += 1
            counts.held_tally(self._add_ons.names[add_on]).add_many(numbers[tags[run]], uses[run])
            done += run.stop - run.start + _CELLS_PER_TALLY
            if done > _CELLS_PER_STEP:
                yield
                done = 0

    def _runs(self) -> Iterator[tuple[int, int, slice]]:
        """Bucket, add-on and place of each array's counts."""
        begins = [*self._begins.tolist(), self._columns[0].size]
        for array, begin, end in zip(self._arrays.tolist(), begins, begins[1:], strict=False):
            yield *divmod(array, len(self._add_ons.names)), slice(begin, end)
