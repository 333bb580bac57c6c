"""`tag.counts`: a record per count of a bucket, all add-ons together and each by itself. Pure."""

import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from schemas.streams.records import ALL_ADD_ONS, CountedTag, TagCountKey
from schemas.times import utc_text
from streams.fold.rows import TrendKey
from streams.fold.trend_rows.count_rows import CountRow, counts_of

_encode = msgspec.json.Encoder().encode
_start_text = functools.lru_cache(maxsize=4096)(lambda start: utc_text(start * 1000))
Counts = Mapping[str, int]


class Share(NamedTuple):
    """Whose counts they are: a partition's, and where its clock was before the transaction."""

    partition: int
    clock: int


def changed_counts(
    key: str, before: Counts, row: CountRow | None, share: Share, *, again: bool
) -> Iterator[tuple[bytes, bytes | None]]:
    """The records of what changed of a bucket's counts of a tag.

    Args:
        key: Of its row.
        before: What was counted before, by add-on.
        row: What is counted now; None: nothing.
        share: Whose counts they are.
        again: Whether counts that did not change are told as well.
    """
    tenant, window, start, tag = TrendKey.decode(key)
    began, after = _start_text(start), counts_of(row)
    for add_on, count in after.items():
        if again or before.get(add_on) != count:
            place = (tenant, tag, add_on, window, began, share.partition)
            known = row.u if row is not None and add_on == ALL_ADD_ONS else None
            uploaders = None if known is None else known.encoded()
            value = CountedTag(*place, count, share.clock, uploaders)
            yield _encode(TagCountKey(*place)), _encode(value)
    for add_on in before.keys() - after.keys():
        yield _encode(TagCountKey(tenant, tag, add_on, window, began, share.partition)), None
