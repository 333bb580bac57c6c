"""What came lately of a tag goes to its buckets."""

from streams.fold.changes import Changes
from streams.fold.retention import Retention
from streams.fold.rows import ALL, TrendKey
from streams.fold.trend_rows.count_rows import CountRow
from streams.fold.trend_rows.recent import Uses
from streams.fold.trend_rows.uploaders import Uploaders


def settle(changes: Changes, key: str, retention: Retention) -> None:
    """Count what a tag's row of `recent` has in the buckets that are still kept, and remove the row."""
    row, place, stream_time = changes.recent_row(key), TrendKey.decode(key), changes.stream_time
    buckets: dict[tuple[str, int], list[Uses]] = {}
    for uses in row.take():
        for bucket in uses.buckets():
            buckets.setdefault(bucket, []).append(uses)
    for (window, start), counted in buckets.items():
        if retention.keeps(window, start, stream_time):
            count = changes.count_row(TrendKey(place.tenant, window, start, place.tag).encode(), row.o)
            _put_in(count, counted)
            if window == ALL:
                _see(count, counted)


def _put_in(row: CountRow, counted: list[Uses]) -> None:
    for uses in counted:
        row.n += uses.n  # below zero only where a retention was lengthened meanwhile
        for source in uses.by:
            row.by[source] = row.by.get(source, 0) + uses.n
        if uses.users:
            row.u = row.u or Uploaders()
            row.u.add_coupons(uses.users)
    for source in [source for source, images in row.by.items() if images <= 0]:
        del row.by[source]


def _see(row: CountRow, counted: list[Uses]) -> None:
    """Note the first and the last event time that were ever counted."""
    seen = [moment for uses in counted for moment in uses.seen() or ()]
    row.first = min(seen if row.first is None else [*seen, row.first], default=None)
    row.last = max(seen if row.last is None else [*seen, row.last], default=None)
