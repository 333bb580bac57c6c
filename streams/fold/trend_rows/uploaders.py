"""Distinct uploaders, estimated: a HyperLogLog sketch of Apache DataSketches, as base64 in a row.

With 2**10 registers the relative standard error is 3.3 %; a handful of uploaders is counted exactly.
Sketches merge: the union of all partitions' sketches estimates the uploaders of the whole.

An uploader's coupon is what a sketch keeps of them: 4 bytes of a hash. Until they are in a sketch, uploaders
are a row of coupons, seven of which at most are a whole sketch of them, once they have its preamble.
"""

import binascii
import functools
from collections.abc import Iterable

import datasketches

LG_REGISTERS = 10
RELATIVE_STANDARD_ERROR = 0.033
COUPON_BYTES = 4
_LISTED = 7  # coupons: with more of them a sketch is no list
_PREAMBLE_BYTES = 8
_NUMBER = 6  # the byte of the preamble that has how many they are


class Uploaders:
    """A sketch that may be added to; `encoded` gives it back as a row has it."""

    __slots__ = ("_coupons", "_encoded", "_sketch")

    def __init__(self, encoded: str | None = None) -> None:
        self._encoded = encoded or ""
        self._sketch: datasketches.hll_sketch | None = None  # what is encoded
        self._coupons = b""  # of those who are not in there yet

    def add(self, user: str) -> None:
        """Add an uploader."""
        self._coupons += coupon_of(user)

    def add_coupons(self, coupons: bytes) -> None:
        """Add uploaders by their coupons."""
        self._coupons += coupons

    def merge(self, other: "Uploaders") -> None:
        """Add all uploaders of another sketch."""
        union = self._union()
        if other_encoded := other.encoded():
            union.update(_decode(other_encoded))
        self._take(union)

    def encoded(self) -> str:
        """The sketch as base64."""
        if self._coupons:
            self._take(self._union())
        return self._encoded

    def _union(self) -> datasketches.hll_union:
        union = datasketches.hll_union(LG_REGISTERS)
        if self._sketch is not None:
            union.update(self._sketch)
        elif self._encoded:
            union.update(_decode(self._encoded))
        add_coupons(union, self._coupons)
        return union

    def _take(self, union: datasketches.hll_union) -> None:
        self._sketch, self._coupons = union.get_result(), b""
        self._encoded = binascii.b2a_base64(self._sketch.serialize_compact(), newline=False).decode()


@functools.lru_cache(maxsize=20_000)
def coupon_of(user: str) -> bytes:
    """A user's coupon."""
    return _sketch_of(user)[_PREAMBLE_BYTES:]


def add_coupons(union: datasketches.hll_union, coupons: bytes) -> None:
    """Add uploaders to a union."""
    preamble = bytearray(_PREAMBLE)
    places = range(0, len(coupons), COUPON_BYTES)
    different = [*dict.fromkeys(coupons[place : place + COUPON_BYTES] for place in places)]
    for start in range(0, len(different), _LISTED):
        listed = different[start : start + _LISTED]  # a list is taken as it is: nobody may be in it twice
        preamble[_NUMBER] = len(listed)
        union.update(datasketches.hll_sketch.deserialize(bytes(preamble) + b"".join(listed)))


def count_uploaders(encoded: Iterable[str]) -> int:
    """Estimate the distinct uploaders of several sketches together."""
    union = datasketches.hll_union(LG_REGISTERS)
    for sketch in encoded:
        union.update(_decode(sketch))
    estimate: float = union.get_result().get_estimate()
    return round(estimate)


def _decode(encoded: str) -> datasketches.hll_sketch:
    return datasketches.hll_sketch.deserialize(binascii.a2b_base64(encoded))


def _sketch_of(user: str) -> bytes:
    sketch = datasketches.hll_sketch(LG_REGISTERS)
    sketch.update(user)
    found: bytes = sketch.serialize_compact()
    return found


_PREAMBLE = _sketch_of("anyone")[:_PREAMBLE_BYTES]
