"""Rows of `trends`, decoded: counts of buckets, and what came lately."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from schemas.streams.records import ALL_ADD_ONS
from streams.fold.trend_rows.recent import RecentRow
from streams.fold.trend_rows.uploaders import Uploaders

Decoded = TypeVar("Decoded", "CountRow", RecentRow)


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


def uses_in(row: bytes | None) -> int:
    """How many images a row of `trends` counts."""
    return 0 if row is None else _decode_uses(row).n


class CountRowCache:
    """Decoded rows of late, for whoever changes them next.

    A row is good only for the very bytes that it was written as: whoever takes it names the committed
    bytes. It leaves with `take`, so that what becomes of it before it is written does no harm here.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._recent: dict[str, tuple[bytes, CountRow | RecentRow]] = {}
        self._older: dict[str, tuple[bytes, CountRow | RecentRow]] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def take(self, key: str, committed: bytes, decode: Callable[[bytes], Decoded]) -> Decoded:
        """Remove and return the row that `committed` encodes, decoded now if it is not here."""
        held = self._recent.pop(key, None) or self._older.pop(key, None)
        if held is not None and held[0] is committed:
            return cast("Decoded", held[1])
        return decode(committed)

    def keep(self, key: str, encoded: bytes, row: CountRow | RecentRow) -> None:
        """Remember a row as it was written; at most two times the capacity are."""
        self._recent[key] = (encoded, row)
        if len(self._recent) >= self._capacity:
            self._older, self._recent = self._recent, {}
