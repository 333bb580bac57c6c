"""Rows of counts are decoded once, and never used for other bytes than those they were written as."""

import orjson

from schemas.topics import TABLES
from streams.fold.changes import Changes
from streams.fold.trend_rows.count_rows import CountRowCache, decode_count, encode_count

KEY = "all:0:koala"


def committed() -> dict[str, dict[str, bytes]]:
    return {table: {} for table in TABLES}


def count_once(rows: dict[str, dict[str, bytes]], cache: CountRowCache, *, commit: bool = True) -> int:
    """Count one more; return what the row would then say."""
    changes = Changes(rows, cache)
    row = changes.count_row(KEY, 7)
    row.n += 1
    for table, key, value in changes.encoded():
        if commit:
            assert value is not None
            rows[table][key] = value
    return row.n


def test_a_warm_row_goes_on_from_what_was_committed() -> None:
    """Transactions that follow each other count on."""
    rows, cache = committed(), CountRowCache()
    assert [count_once(rows, cache) for _ in range(3)] == [1, 2, 3]
    assert orjson.loads(rows["trends"][KEY]) == {"o": 7, "n": 3, "by": {}}


def test_a_transaction_that_failed_leaves_nothing_warm() -> None:
    """What was counted but not committed is not counted on."""
    rows, cache = committed(), CountRowCache()
    count_once(rows, cache)
    assert count_once(rows, cache, commit=False) == 2
    assert count_once(rows, cache) == 2


def test_a_row_that_somebody_else_changed_is_read_anew() -> None:
    """Equal bytes are not enough: only the very ones that were written count."""
    rows, cache = committed(), CountRowCache()
    count_once(rows, cache)
    other = decode_count(rows["trends"][KEY])
    other.n = 40
    rows["trends"][KEY] = encode_count(other)
    assert count_once(rows, cache) == 41


def test_few_rows_are_kept_warm() -> None:
    """At most two times the capacity, those of late among them."""
    cache = CountRowCache(capacity=10)
    encoded = {f"k{number}": b'{"o":1,"n":%d,"by":{}}' % number for number in range(100)}
    for key, value in encoded.items():
        cache.keep(key, value, decode_count(value))
    assert len(cache) <= 20
    assert cache.take("k99", encoded["k99"], decode_count).n == 99
    assert cache.take("k0", encoded["k0"], decode_count).n == 0


def test_a_count_that_falls_to_nothing_is_removed() -> None:
    """Its row goes with the last image."""
    rows, cache = committed(), CountRowCache()
    count_once(rows, cache)
    changes = Changes(rows, cache)
    changes.count_row(KEY, 8).n -= 1
    assert list(changes.encoded()) == [("trends", KEY, None)]
