"""Embeddings: 64 numbers of 4 bits, near each other for images that show alike things. Pure.

What is told is base64 of 33 bytes: which projection made it, then two numbers a byte. How alike two images
are is the cosine of the angle between theirs: of 287 photos 0.2 for any two, and 0.7 for one and its nearest.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = 64
BYTES = NUMBERS // 2
VERSION = 1
"""Of the projection: embeddings of different ones cannot be compared."""
CHARACTERS = 44
PATTERN = "^[A-Za-z0-9+/]{44}$"
_LARGEST, _ZERO = 7, 8  # of a number, and what is added to it
_DEVIATIONS = 2.5  # root mean squares that the largest number stands for: measured, less or more finds less


def encode(numbers: NDArray[np.float32]) -> list[str | None]:
    """Embeddings of projected features, one per row; None for one that is no number or zero."""
    found: list[str | None] = []
    for row in numbers.astype(np.float64):
        scale = float(np.sqrt(np.square(row).mean())) * _DEVIATIONS
        if not np.isfinite(scale) or not scale:
            found.append(None)
            continue
        small = np.clip(np.rint(row * (_LARGEST / scale)), -_LARGEST, _LARGEST)
        shifted = (small + _ZERO).astype(np.uint8)
        packed = shifted[0::2] << 4 | shifted[1::2]
        found.append(binascii.b2a_base64(bytes([VERSION]) + packed.tobytes(), newline=False).decode())
    return found


def decode(text: str) -> bytes | None:
    """The numbers in an embedding, packed; None: it is of another projection, or none."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return data[1:] if len(data) == BYTES + 1 and data[0] == VERSION else None


def likeness(packed: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The cosines between packed embeddings, shape (images, 32), and one; 0 for one of zero bytes alone."""
    numbers, one = _unpacked(packed), _unpacked(other[None])[0]
    squares = np.einsum("ij,ij->i", numbers, numbers) * np.einsum("i,i", one, one)  # without BLAS's threads
    squares[~packed.any(axis=1)] = np.inf
    found: NDArray[np.float32] = np.einsum("ij,j->i", numbers, one) / np.sqrt(np.maximum(squares, 1))
    return found


def _unpacked(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    numbers = np.empty((len(packed), NUMBERS), np.float32)
    numbers[:, 0::2] = packed >> 4
    numbers[:, 1::2] = packed & 15
    numbers -= _ZERO
    return numbers
