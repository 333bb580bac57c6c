"""What moves with an image: its row, and its part in the counts of tags and in its user's interests. Pure.

Sums over the partitions stay what they are, whatever the rows hold: nothing is put in that was not taken out.
Sketches of uploaders and first and last times only grow, so those of the one are merged into the other.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.topics import OFFSET_KEY
from streams.fold.changes import Changes, Row
from streams.fold.counts import MAX_TAGS_OF_A_DAY
from streams.fold.rows import DAY_MS, WINDOWS, ImageKey, InterestKey, TrendKey, bucket_start
from streams.fold.trend_rows.count_rows import CountRow, CountRowCache
from streams.fold.trend_rows.uploaders import Uploaders
from streams.kafka.partitioning import partition_for
from streams.state.partition import PartitionState

_CACHED = 100_000  # rows of a partition; twice as many at most


def owner_of(image: str, partitions: int) -> int:
    """The partition that an image belongs to, by the key of its row."""
    return partition_for(ImageKey.decode(image).public_id, partitions)


def misplaced(state: PartitionState, partitions: int) -> list[str]:
    """The keys of a partition's images that belong to others."""
    return [image for image in state.rows["images"] if owner_of(image, partitions) != state.partition]


class Memory:
    """What one transaction leaves for the next ones: decoded rows, and whose uploaders are merged already.

    Attributes:
        merged: Source, target and key of each count whose sketch and times the target has.
    """

    def __init__(self) -> None:
        self.merged: set[tuple[int, int, str]] = set()
        self._rows: dict[int, CountRowCache] = {}

    def rows(self, partition: int) -> CountRowCache:
        """Decoded rows of a partition."""
        return self._rows.setdefault(partition, CountRowCache(_CACHED))


class Move:
    """One transaction: images that leave a partition.

    Attributes:
        changes: By partition.
    """

    def __init__(self, states: Mapping[int, PartitionState], source: int, memory: Memory) -> None:
        """Begin with nothing.

        Args:
            states: All partitions', by partition.
            source: The partition that they leave.
            memory: What the transactions before this one left, all of which are committed.
        """
        self.changes: dict[int, Changes] = {}
        self._states = states
        self._source = source
        self._memory = memory

    def move(self, images: Iterable[str]) -> None:
        """Move images to where they belong."""
        for image in images:
            row = self._of(self._source).get("images", image)
            if row is None:
                continue
            target = owner_of(image, len(self._states))
            self._of(self._source).put("images", image, None)
            # As if it came before all that its new partition has not read.
            self._of(target).put(
                "images", image, row | {"o": self._last(target), "placed": self._last(target)}
            )
            self._move_counts(row, target)
            self._move_interests(row, target)

    def _of(self, partition: int) -> Changes:
        if partition not in self.changes:
            self.changes[partition] = Changes(self._states[partition].rows, self._memory.rows(partition))
            if partition != self._source:
                self._move_clock(partition)
        return self.changes[partition]

    def _last(self, partition: int) -> int:
        return self._states[partition].next_offset - 1

    def _move_clock(self, target: int) -> None:
        """Let a partition's clock be as far as that of the one whose images it gets."""
        changes = self.changes[target]
        theirs: Row = self._of(self._source).get("meta", OFFSET_KEY) or {}
        mine: Row = {"next": self._states[target].next_offset} | (changes.get("meta", OFFSET_KEY) or {})
        later = {name: max(theirs[name], mine.get(name, 0)) for name in ("mark", "at") if name in theirs}
        if mine != mine | later:
            changes.put("meta", OFFSET_KEY, mine | later)

    def _move_counts(self, row: Row, target: int) -> None:
        for window in WINDOWS:
            start = bucket_start(window, row["at"])
            for tag, sources in zip(row["tags"], row["by"], strict=True):
                self._move_count(TrendKey(row["tenant"], window, start, tag).encode(), sources, target)

    def _move_count(self, key: str, sources: list[str], target: int) -> None:
        if key not in self._states[self._source].rows["trends"]:
            return  # it came too late for that bucket, or the bucket is past its time
        mine = self._of(self._source).count_row(key, self._last(self._source))
        if mine.n <= 0:
            return
        theirs = self._of(target).count_row(key, self._last(target))
        mine.n, theirs.n = mine.n - 1, theirs.n + 1
        _shift(mine.by, theirs.by, sources)
        if (self._source, target, key) not in self._memory.merged:
            self._memory.merged.add((self._source, target, key))
            _merge(theirs, mine)

    def _move_interests(self, row: Row, target: int) -> None:
        if row["user"] is None or not row["tags"]:
            return
        key = InterestKey(row["tenant"], row["user"], int(row["at"]) // DAY_MS).encode()
        mine = self._of(self._source).get("interests", key)
        if mine is None:
            return
        theirs = self._of(target).get("interests", key) or {"o": self._last(target), "t": {}}
        _shift(mine["t"], theirs["t"], row["tags"], MAX_TAGS_OF_A_DAY)
        self._of(self._source).put("interests", key, mine if mine["t"] else None)
        self._of(target).put("interests", key, theirs if theirs["t"] else None)


def _shift(
    mine: dict[str, int], theirs: dict[str, int], names: Iterable[str], most: int | None = None
) -> None:
    """Take one of each name out of some counts and put it into others, as far as there are any.

    Args:
        mine: Where they are.
        theirs: Where they go.
        names: Which.
        most: Names that the others have at most, since a row must fit a record: such a day is approximate.
    """
    for name in names:
        left = mine.pop(name, 0)
        if left > 0 and (most is None or name in theirs or len(theirs) < most):
            theirs[name] = theirs.get(name, 0) + 1
        if left > 1:
            mine[name] = left - 1


def _merge(theirs: CountRow, mine: CountRow) -> None:
    if mine.u is not None:
        theirs.u = theirs.u or Uploaders()
        theirs.u.merge(mine.u)
    theirs.first = _known(min, theirs.first, mine.first)
    theirs.last = _known(max, theirs.last, mine.last)


def _known(choose: Any, *moments: int | None) -> int | None:  # noqa: ANN401 - min or max
    known = [moment for moment in moments if moment is not None]
    return choose(known) if known else None
