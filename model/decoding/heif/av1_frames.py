"""How large the frames of AV1 streams are, read from their headers: dav1d believes them, not the AVIF around.

After the AV1 Bitstream & Decoding Process Specification, 5.3 to 5.9. What is damaged ends a stream here as it
does in dav1d. A frame may have a size of its own, which dav1d does not compare with the sequence's: then the
largest that there is room for counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.decoding.errors import too_much
from model.decoding.heif.bits import HEADER, Bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_UNITS = 100_000

_SEQUENCE, _FRAMES = 1, {3, 6, 7}
_KEY, _SWITCH = 0, 3
_CHOSEN_BY_FRAME = 2
_LAST_LEVEL_WITHOUT_TIER = 7
_LONGEST_SIZE = 8  # bytes, of seven bits each
_MORE = 128
_MOST_ZEROS = 32
_BLOCK = 128  # a frame is padded to whole ones


class _Sequence(NamedTuple):
    pixels: int
    most: int
    reduced: bool = True
    time_bits: int = 0
    frame_bits: int = 0
    screen_content: int = _CHOSEN_BY_FRAME
    whole_vectors: int = _CHOSEN_BY_FRAME


def frame_pixels(streams: Iterable[bytes]) -> list[list[int]]:
    """Pixels of each frame of each stream, as one decoder sees them, one stream after the other.

    Raises:
        BadImageError: ``corrupt``: there is a flood of units.
    """
    units = 0
    largest = 0
    found: list[list[int]] = []
    for stream in streams:
        sequence = None
        found.append([])
        for kind, data in _units(stream):
            units += 1
            if units > MAX_UNITS:
                raise too_much("a flood of units of AV1 data", f"{MAX_UNITS:,}")
            if kind == _SEQUENCE:
                sequence = _sequence(data)
                largest = max(largest, sequence.most)
            elif kind in _FRAMES:
                found[-1].append(_frame(sequence, data) if sequence else 0)
    # what has no sequence header of its own is decoded with another stream's
    return [[pixels or largest for pixels in frames] for frames in found]


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Each unit's type and the beginning of its data."""
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size = len(stream) - at
        if head & 2:
            size = 0
            for place, byte in enumerate(stream[at : at + _LONGEST_SIZE]):
                size |= (byte & ~_MORE) << 7 * place
                at += 1
                if byte < _MORE:
                    break
        if size > len(stream) - at:
            return
        yield head >> 3 & 15, stream[at : at + min(size, HEADER)]
        at += size


def _sequence(data: bytes) -> _Sequence:
    bits = Bits(data)
    bits.take(4)
    reduced = bits.take()
    time_bits = 0
    if reduced:
        bits.take(5)
    else:
        time_bits = _operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    pixels = _padded(bits.take(across) + 1, bits.take(down) + 1)
    if reduced:
        return _Sequence(pixels, pixels)
    frame_bits = bits.take(4) + bits.take(3) + 3 if bits.take() else 0
    bits.take(7)  # tools
    ordered = bits.take()
    bits.take(2 * ordered)
    screen_content = _CHOSEN_BY_FRAME if bits.take() else bits.take()
    vectors = _CHOSEN_BY_FRAME
    if screen_content and not bits.take():
        vectors = bits.take()
    most = _padded(1 << across, 1 << down)
    return _Sequence(pixels, most, False, time_bits, frame_bits, screen_content, vectors)


def _operating_points(bits: Bits) -> int:
    """Skip timing and operating points; return how many bits a frame's time of presentation has."""
    delay_bits = time_bits = equal = 0
    if bits.take():
        bits.take(64)
        equal = bits.take()
        if equal:
            zeros = 0
            while zeros < _MOST_ZEROS and not bits.take():
                zeros += 1
            bits.take(zeros % _MOST_ZEROS)
        if bits.take():
            delay_bits = bits.take(5) + 1
            bits.take(37)
            time_bits = bits.take(5) + 1
    delays = bits.take()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > _LAST_LEVEL_WITHOUT_TIER:
            bits.take()
        if delay_bits and bits.take():
            bits.take(2 * delay_bits + 1)
        if delays and bits.take():
            bits.take(4)
    return 0 if equal else time_bits


def _frame(sequence: _Sequence, data: bytes) -> int:
    """Pixels of a frame, or the most that it may have where it has a size of its own."""
    bits = Bits(data)
    if sequence.reduced or bits.take():
        return sequence.pixels
    kind, shown = bits.take(2), bits.take()
    bits.take(sequence.time_bits if shown else 1)
    if kind != _SWITCH and not (kind == _KEY and shown):
        bits.take()
    bits.take()
    screen_content = bits.take() if sequence.screen_content == _CHOSEN_BY_FRAME else sequence.screen_content
    if screen_content and sequence.whole_vectors == _CHOSEN_BY_FRAME:
        bits.take()
    bits.take(sequence.frame_bits)
    return sequence.most if kind == _SWITCH or bits.take() else sequence.pixels


def _padded(width: int, height: int) -> int:
    return -(-width // _BLOCK) * -(-height // _BLOCK) * _BLOCK * _BLOCK
