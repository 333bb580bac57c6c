"""Numbers of so many bits, one after the other: what headers of video frames are made of."""

from __future__ import annotations

HEADER = 512
"""Bytes: more than the fields of any header that are read here."""

_MOST_ZEROS = 32


class Bits:
    """The beginning of some bytes, and zeros behind them."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data[:HEADER].ljust(HEADER, b"\0"), "big")
        self._left = 8 * HEADER

    def take(self, count: int = 1) -> int:
        """Take so many bits as a number."""
        self._left -= count
        return self._number >> max(self._left, 0) & (1 << count) - 1

    def golomb(self) -> int:
        """Take a number whose length stands before it in zeros (Exp-Golomb, ITU H.265 9.2).

        Raises:
            EOFError: It is longer than any.
        """
        zeros = 0
        while not self.take():
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise EOFError
        return (1 << zeros) - 1 + self.take(zeros)
