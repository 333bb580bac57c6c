"""The changes of one transaction: rows and outputs, over the state that is committed."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from schemas.streams.records import ALL_ADD_ONS
from streams.fold.outcomes import Output
from streams.fold.uploaders import Uploaders


class CountRow(msgspec.Struct, omit_defaults=True):
    """How many images have a tag in a bucket; `streams.fold.rows` tells what the fields mean."""

    o: int
    n: int
    by: dict[str, int]
    u: Uploaders | None = None
    first: int | None = None
    last: int | None = None


def counts_of(row: CountRow | None) -> dict[str, int]:
    """The counts of a row by add-on, and of all together; nothing where it counts nothing."""
    return {} if row is None or row.n <= 0 else {ALL_ADD_ONS: row.n, **row.by}


def _encode(value: Any) -> str:  # noqa: ANN401 - whatever the encoder does not know
    if isinstance(value, Uploaders):
        return value.encoded()
    raise TypeError(f"{type(value).__name__} cannot be in a row")


def _decode(_: type, value: Any) -> Uploaders:  # noqa: ANN401 - the only type that the decoder does not know
    return Uploaders(value)


encode_count = msgspec.json.Encoder(enc_hook=_encode).encode
decode_count = msgspec.json.Decoder(CountRow, dec_hook=_decode).decode


class _Uses(msgspec.Struct):
    n: int


_decode_uses = msgspec.json.Decoder(_Uses).decode


class CountRowCache:
    """Decoded rows of late, for whoever changes them next.

    A row is good only for the very bytes that it was written as: whoever takes it names the committed
    bytes. It leaves with `take`, so that what becomes of it before it is written does no harm here.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._recent: dict[str, tuple[bytes, CountRow]] = {}
        self._older: dict[str, tuple[bytes, CountRow]] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def take(self, key: str, committed: bytes) -> CountRow:
        """Remove and return the row that `committed` encodes, decoded now if it is not here."""
        held = self._recent.pop(key, None) or self._older.pop(key, None)
        return held[1] if held is not None and held[0] is committed else decode_count(committed)

    def keep(self, key: str, encoded: bytes, row: CountRow) -> None:
        """Remember a row as it was written; at most two times the capacity are."""
        self._recent[key] = (encoded, row)
        if len(self._recent) >= self._capacity:
            self._older, self._recent = self._recent, {}


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
        self._rows: dict[tuple[str, str], Row | CountRow | None] = {}
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
        if isinstance(row, CountRow):
            raise TypeError("rows of trends are for count_row()")
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

    def uses(self, key: str) -> int:
        """How many images a row of `trends` counts, so far; it is not changed."""
        row = self._rows.get(("trends", key))
        if isinstance(row, CountRow):
            return row.n
        encoded = self._counts.get(key)
        return 0 if encoded is None else _decode_uses(encoded).n

    def count_row(self, key: str, offset: int) -> CountRow:
        """A row of `trends` to change in place: it is written at the end, removed if nothing is left."""
        place = ("trends", key)
        row = self._rows.get(place)
        if not isinstance(row, CountRow):
            encoded = self._counts.get(key)
            row = CountRow(offset, 0, {}) if encoded is None else self._cache.take(key, encoded)
            self._rows[place] = row
            self.written.add(place)
            self._counted.setdefault(key, counts_of(row))
        row.o = offset
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
            else:
                # A copy, because orjson's bytes hold on to a buffer of 4 KiB each, and rows are kept.
                yield table, key, bytes(memoryview(orjson.dumps(row)))

    def _encoded_count(self, key: str, row: CountRow) -> bytes | None:
        if row.n <= 0:
            return None
        encoded = encode_count(row)
        self._cache.keep(key, encoded, row)
        return encoded
