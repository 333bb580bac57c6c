"""Distinct uploaders of a tag in many buckets: the rows' sketches, merged and remembered.

Most buckets of a window are over and change no more, so what their partitions' sketches make together is
kept. It is good only for the very rows that it was made from: which are looked up where their bucket changed.
Those who came lately are few, and are added each time.
"""

import binascii
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

import datasketches
import msgspec

from streams.fold.rows import State, TrendKey
from streams.fold.trend_rows.recent import Uses, decode_recent, recent_key
from streams.fold.trend_rows.uploaders import LG_REGISTERS, add_coupons
from streams.state.trends.buckets import ALL_TIME, Bucket

TABLE = "trends"
MAX_REMEMBERED = 30_000  # buckets of tags; a sketch takes 1 KiB at most


Rows = tuple[bytes | None, ...]  # of one key, by partition


class _Row(msgspec.Struct):
    u: str | None = None


class _Merged:
    """What a key's rows made together; good for a version of its bucket, or for just these rows."""

    __slots__ = ("rows", "sketch", "version")

    def __init__(self, version: int, rows: Rows) -> None:
        self.version = version
        self.rows = rows
        self.sketch = _merge(rows)


_read = msgspec.json.Decoder(_Row).decode


class UploaderSketches:
    """The sketches in rows of `trends`, for any thread."""

    def __init__(self, states: Mapping[int, State]) -> None:
        self._states = states
        self._remembered: OrderedDict[TrendKey, _Merged] = OrderedDict()
        self._lock = Lock()

    def count(self, tenant: str, tag: str, buckets: Mapping[Bucket, int]) -> int:
        """Estimate the distinct uploaders of a tag in buckets; 0: none is known.

        Args:
            tenant: Whose tag it is.
            tag: The tag.
            buckets: Each with a version: as long as that is the same, its rows are.
        """
        union = datasketches.hll_union(LG_REGISTERS)
        with self._lock:
            for bucket, version in buckets.items():
                sketch = self._merged(TrendKey(tenant, *bucket, tag), version)
                if sketch is not None:
                    union.update(sketch)
        for uses in self.recent_of(TrendKey(tenant, *ALL_TIME, tag).encode()) if buckets else ():
            if not buckets.keys().isdisjoint(uses.buckets()):
                add_coupons(union, uses.users)
        estimate: float = union.get_estimate()
        return round(estimate)

    def rows_of(self, key: str) -> Rows:
        """The rows of a key, one per partition; None where a partition has none."""
        return tuple([state.rows[TABLE].get(key) for state in self._states.values()])

    def recent_of(self, all_time: str) -> list[Uses]:
        """What came lately of a tag, by the key of its count of all time."""
        rows = self.rows_of(recent_key(all_time))
        return [uses for row in rows if row is not None for uses in decode_recent(row).uses]

    def _merged(self, key: TrendKey, version: int) -> datasketches.hll_sketch | None:
        merged = self._remembered.get(key)
        if merged is None or merged.version != version:
            rows = self.rows_of(key.encode())
            if merged is None or merged.rows != rows:  # quick where they are the very same
                merged = self._remembered[key] = _Merged(version, rows)
            merged.version = version
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(key)
        return merged.sketch


def _merge(rows: Rows) -> datasketches.hll_sketch | None:
    encoded = [sketch for row in rows if row is not None and (sketch := _read(row).u) is not None]
    if not encoded:
        return None
    if len(encoded) == 1:
        return _decode(encoded[0])
    union = datasketches.hll_union(LG_REGISTERS)
    for sketch in encoded:
        union.update(_decode(sketch))
    return union.get_result()


def _decode(encoded: str) -> datasketches.hll_sketch:
    return datasketches.hll_sketch.deserialize(binascii.a2b_base64(encoded))
