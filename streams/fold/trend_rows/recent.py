"""What was lately counted of a tag, in one row: it goes to the tag's buckets once there is enough of it.

A use of a tag counts in four windows. Written one by one, that is four rows for each image and tag, three of
which have a sketch of hundreds of bytes. Here it is one short row.
"""

from collections.abc import Iterator

import msgspec

from streams.fold.rows import ALL, WINDOW_SECONDS, bucket_start
from streams.fold.trend_rows.uploaders import COUPON_BYTES

RECENT = "recent"  # takes the window's place in a key
BITS = {window: 1 << place for place, window in enumerate(WINDOW_SECONDS)}
MOST_USES = 8  # in a row
MOST_UPLOADERS = 48  # of one of them: 5 bytes each
MINUTE_MS = 60_000


class Uses(msgspec.Struct, array_like=True):
    """Uses of a tag in one minute of event time that have the same sources and count in the same windows.

    Attributes:
        minute: Since the epoch.
        windows: The bits of those that they count in, besides all time.
        by: The tag's sources.
        n: How many more images; fewer, if below zero.
        first: Milliseconds of the minute before the earliest event time that was put in; None: none was.
        last: The same of the latest.
        users: Coupons of the uploaders: see `streams.fold.trend_rows.uploaders`.
    """

    minute: int
    windows: int
    by: list[str]
    n: int = 0
    first: int | None = None
    last: int | None = None
    users: bytes = b""

    def see(self, at: int, coupon: bytes) -> None:
        """Note the event time and the uploader of an image that is put in."""
        past = at - self.minute * MINUTE_MS
        if self.first is None or past < self.first:
            self.first = past
        if self.last is None or past > self.last:
            self.last = past
        if not self.users.endswith(coupon):
            self.users += coupon

    @property
    def is_full(self) -> bool:
        """Whether they have uploaders enough for their buckets."""
        return len(self.users) >= MOST_UPLOADERS * COUPON_BYTES

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Window and start of each bucket that they count in."""
        return buckets_of(self.minute, self.windows)

    def seen(self) -> tuple[int, int] | None:
        """The earliest and the latest event time in milliseconds, if any was put in."""
        if self.first is None or self.last is None:
            return None
        start = self.minute * MINUTE_MS
        return start + self.first, start + self.last


class RecentRow(msgspec.Struct):
    """What is not in the tag's buckets yet: `n` images more in all, and when they were uploaded."""

    o: int
    n: int
    uses: list[Uses]

    def add(self, at: int, windows: int, sources: list[str], number: int) -> Uses:
        """Count so many more images of an event time; return where they are."""
        minute = at // MINUTE_MS
        self.n += number
        for uses in reversed(self.uses):
            if uses.minute == minute and uses.windows == windows and uses.by == sources:
                uses.n += number
                return uses
        uses = Uses(minute, windows, sources, number)
        self.uses.append(uses)
        return uses

    def take(self) -> list[Uses]:
        """Give all that is here, and keep nothing."""
        taken, self.uses, self.n = self.uses, [], 0
        return taken


encode_recent = msgspec.json.Encoder().encode
decode_recent = msgspec.json.Decoder(RecentRow).decode


def recent_key(all_time: str) -> str:
    """The key of what came lately, by that of the tag's count of all time."""
    return RECENT + all_time.removeprefix(ALL)


def is_recent(key: str) -> bool:
    """Whether a row of `trends` has what came lately."""
    return key.startswith(f"{RECENT}:")


def buckets_of(minute: int, windows: int) -> Iterator[tuple[str, int]]:
    """Window and start of each bucket that uses of a minute count in."""
    yield ALL, 0
    for window, bit in BITS.items():
        if windows & bit:
            yield window, bucket_start(window, minute * MINUTE_MS)
