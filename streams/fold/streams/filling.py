"""Filling a stream that was turned on, or whose topic is new: rows of before are told again. Pure.

A row of `meta` per stream says which topic has everything, by Kafka's id. Without it all rows are told, some
in each transaction, and in the last one it is written. So a stream that was off for a while is filled anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from schemas.streams.records import IMAGE_TAGS, STREAMS, TAG_COUNTS
from streams.fold.changes import Changes, PartitionRows, Row
from streams.fold.retention import Retention
from streams.fold.settling import settle
from streams.fold.trend_rows.recent import is_recent

FILLED = "@stream:"  # and the stream's name
_TABLES = {IMAGE_TAGS: "images", TAG_COUNTS: "trends"}
_AT_ONCE = 200  # rows of a transaction


@dataclass(frozen=True)
class Portion:
    """What one transaction tells again.

    Attributes:
        rows: Table and key of each.
        marks: By key of `meta` the row that says what is filled; None: it is not.
    """

    rows: list[tuple[str, str]] = field(default_factory=list)
    marks: dict[str, Row | None] = field(default_factory=dict)

    def apply(self, changes: Changes, retention: Retention) -> None:
        """Have it told; what came lately of a tag goes to its buckets, and is told with them."""
        for table, key in self.rows:
            if table == "trends" and is_recent(key):
                settle(changes, key, retention)
            else:
                changes.tell(table, key)
        for key, row in self.marks.items():
            changes.put("meta", key, row)


class Filling:
    """What is still to be told of a partition."""

    def __init__(self) -> None:
        self._portions: Iterator[Portion] = iter(())
        self._next: Portion | None = None

    def begin(self, rows: PartitionRows, topics: Mapping[str, str]) -> None:
        """Find what is to be told.

        Args:
            rows: What is committed.
            topics: The streams that are on, with what names their topics.
        """
        self._portions = _portions(rows, topics)
        self._next = next(self._portions, None)

    @property
    def is_due(self) -> bool:
        """Whether anything is left."""
        return self._next is not None

    def take(self) -> Portion:
        """What the next transaction tells."""
        portion, self._next = self._next, next(self._portions, None)
        return portion or Portion()


def forget_filled(changes: Changes) -> None:
    """Have all streams filled again."""
    for stream in STREAMS:
        if changes.get("meta", FILLED + stream) is not None:
            changes.put("meta", FILLED + stream, None)


def _portions(rows: PartitionRows, topics: Mapping[str, str]) -> Iterator[Portion]:
    for stream in STREAMS:
        mark, topic = FILLED + stream, topics.get(stream)
        known = rows["meta"].get(mark)
        if topic is None and known is not None:
            yield Portion(marks={mark: None})
        elif topic is not None and (known is None or orjson.loads(known)["topic"] != topic):
            yield from _filling(rows, _TABLES[stream], Portion(marks={mark: {"topic": topic}}))


def _filling(rows: PartitionRows, table: str, end: Portion) -> Iterator[Portion]:
    keys = list(rows[table])
    for start in range(0, len(keys), _AT_ONCE):
        yield Portion([(table, key) for key in keys[start : start + _AT_ONCE]])
    yield end
