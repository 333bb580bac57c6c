"""The changes of one transaction: rows and outputs, over the state that is committed."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from schemas.topics import OFFSET_KEY
from streams.fold.outcomes import Output
from streams.fold.trend_rows.count_rows import (
    CountRow,
    CountRowCache,
    counts_of,
    decode_count,
    encode_count,
    uses_in,
)
from streams.fold.trend_rows.recent import RecentRow, decode_recent, encode_recent, recent_key

Row = dict[str, Any]
PartitionRows = Mapping[str, Mapping[str, bytes]]  # table, key: the row as its changelog has it


class Changes:
    """Rows that change and records that go out together.

    Reads see the changes made so far. Each row is decoded and encoded at most once, however
    often the transaction touches it.

    Args:
        committed: The rows before this transaction.
        cache: Rows that earlier transactions decoded.
    """

    def __init__(self, committed: PartitionRows, cache: CountRowCache | None = None) -> None:
        self._committed = committed
        self._cache = CountRowCache() if cache is None else cache
        self._counts = committed["trends"]
        self._rows: dict[tuple[str, str], Row | CountRow | RecentRow | None] = {}
        self._images: dict[str, Row | None] = {}  # of those that change, as they were
        self._counted: dict[str, dict[str, int] | bytes | None] = {}  # likewise, counts or their rows
        self._told: set[tuple[str, str]] = set()
        self.written: set[tuple[str, str]] = set()
        self.outputs: list[Output] = []

    def get(self, table: str, key: str) -> Row | None:
        """A row of any table but `trends`, or None. Whoever changes it must `put` it."""
        place = (table, key)
        if place not in self._rows:
            encoded = self._committed[table].get(key)
            self._rows[place] = None if encoded is None else orjson.loads(encoded)
        row = self._rows[place]
        if isinstance(row, CountRow | RecentRow):
            raise TypeError("rows of trends are for count_row() and recent_row()")
        return row

    def size(self, table: str, key: str) -> int:
        """Bytes of a row that is committed; 0: there is none."""
        return len(self._committed[table].get(key, b""))

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Set a row; None removes it."""
        if table == "images" and key not in self._images:
            self._images[key] = self.get(table, key)
        elif table == "trends" and key not in self._counted:
            self._counted[key] = self._counts.get(key)
        self._rows[table, key] = row
        self.written.add((table, key))

    def remove_unchanged(self, table: str, key: str, row: bytes) -> bool:
        """Remove a row, unless what is committed is another one by now; return whether it was removed."""
        unchanged = self._committed[table].get(key) == row
        if unchanged:
            self.put(table, key, None)
        return unchanged

    @property
    def stream_time(self) -> int:
        """The partition's clock in milliseconds, so far."""
        return int((self.get("meta", OFFSET_KEY) or {}).get("mark", 0))

    def uses(self, key: str) -> int:
        """How many images have a tag, by the key of its row of all time, so far."""
        return self._recent(recent_key(key)).n + self.settled_uses(key)

    def has_images(self, key: str) -> bool:
        """Whether any has; mostly that is quicker to tell."""
        return self._recent(recent_key(key)).n > 0 or self.uses(key) > 0

    def settled_uses(self, key: str) -> int:
        """The same without those of late."""
        row = self._rows.get(("trends", key))
        return row.n if isinstance(row, CountRow) else uses_in(self._counts.get(key))

    def count_row(self, key: str, offset: int) -> CountRow:
        """A row of `trends` to change in place: it is written at the end, removed if nothing is left."""
        place = ("trends", key)
        row = self._rows.get(place)
        if not isinstance(row, CountRow):
            encoded = self._counts.get(key)
            row = CountRow(offset, 0, {}) if encoded is None else self._cache.take(key, encoded, decode_count)
            self._rows[place] = row
            self.written.add(place)
            self._counted.setdefault(key, counts_of(row))
        row.o = offset
        return row

    def recent_row(self, key: str) -> RecentRow:
        """A tag's row of what came lately, to change in place: likewise."""
        self.written.add(("trends", key))
        return self._recent(key)

    def _recent(self, key: str) -> RecentRow:
        place = ("trends", key)
        row = self._rows.get(place)
        if not isinstance(row, RecentRow):
            encoded = self._counts.get(key)
            row = RecentRow(0, 0, []) if encoded is None else self._cache.take(key, encoded, decode_recent)
            self._rows[place] = row
        return row

    def tell(self, table: str, key: str) -> None:
        """Have a row of `images` or `trends` told as if all of it had changed."""
        self._told.add((table, key))

    def images(self) -> Iterator[tuple[str, Row | None, Row | None, bool]]:
        """Key, row before and row now of each image that changes or is told; whether all of it is."""
        told = {key for table, key in self._told if table == "images"}
        for key in self._images.keys() | told:
            now = self.get("images", key)
            yield key, self._images.get(key, now), now, key in told

    def counts(self) -> Iterator[tuple[str, dict[str, int], CountRow | None, bool]]:
        """Key, counts before and row now of each count that changes or is told; whether all of it is."""
        told = {key for table, key in self._told if table == "trends"}
        for key in self._counted.keys() | told:
            now, before = self._count_of(key), self._counted.get(key)
            if isinstance(before, bytes):
                before = counts_of(decode_count(before))
            yield key, before or {}, now, key in told

    def _count_of(self, key: str) -> CountRow | None:
        """A row of `trends` as it is now; it is not changed."""
        place = ("trends", key)
        if place in self._rows:
            row = self._rows[place]
            return row if isinstance(row, CountRow) else None
        encoded = self._counts.get(key)
        return None if encoded is None else decode_count(encoded)

    def emit(self, output: Output) -> None:
        """Send a record with this transaction."""
        self.outputs.append(output)

    def encoded(self) -> Iterator[tuple[str, str, bytes | None]]:
        """Table, key and encoded row of all that changed; None for a row that is removed."""
        for table, key in self.written:
            row = self._rows[table, key]
            if row is None:
                yield table, key, None
            elif isinstance(row, CountRow):
                yield table, key, self._encoded_count(key, row)
            elif isinstance(row, RecentRow):
                if row.uses or key in self._counts:  # else all of it came and went in this transaction
                    yield table, key, self._encoded_count(key, row)
            else:
                # A copy, because orjson's bytes hold on to a buffer of 4 KiB each, and rows are kept.
                yield table, key, bytes(memoryview(orjson.dumps(row)))

    def _encoded_count(self, key: str, row: CountRow | RecentRow) -> bytes | None:
        if isinstance(row, RecentRow):
            encoded = encode_recent(row) if row.uses else None
        else:
            encoded = encode_count(row) if row.n > 0 else None
        if encoded is not None:
            self._cache.keep(key, encoded, row)
        return encoded
