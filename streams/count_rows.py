"""A row of `trends`, as it is changed: an image with eight tags changes 32 of them.

Popular tags are in every transaction. So their rows are kept decoded in between.
"""

from typing import Any

import msgspec

from streams.uploaders import Uploaders


class CountRow(msgspec.Struct, omit_defaults=True):
    """How many images have a tag in a bucket; `streams.rows` tells what the fields mean."""

    o: int
    n: int
    by: dict[str, int]
    u: Uploaders | None = None
    first: int | None = None
    last: int | None = None


def _encode(value: Any) -> str:  # noqa: ANN401 - whatever the encoder does not know
    if isinstance(value, Uploaders):
        return value.encoded()
    raise TypeError(f"{type(value).__name__} cannot be in a row")


def _decode(_: type, value: Any) -> Uploaders:  # noqa: ANN401 - the only type that the decoder does not know
    return Uploaders(value)


encode_count = msgspec.json.Encoder(enc_hook=_encode).encode
decode_count = msgspec.json.Decoder(CountRow, dec_hook=_decode).decode


class WarmRows:
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
        """Give the row that `committed` encodes."""
        held = self._recent.pop(key, None) or self._older.pop(key, None)
        return held[1] if held is not None and held[0] is committed else decode_count(committed)

    def keep(self, key: str, encoded: bytes, row: CountRow) -> None:
        """Remember a row as it was written; at most two times the capacity are."""
        self._recent[key] = (encoded, row)
        if len(self._recent) >= self._capacity:
            self._older, self._recent = self._recent, {}
