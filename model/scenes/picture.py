"""Small pictures, taken apart into planes of brightness and colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]  # (images, height, width)
    Number = NDArray[np.float32]  # (images,)

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as JPEG has it


class Picture:
    """Small pictures, seen as planes of numbers.

    Attributes:
        pixels: As they came.
        red: Each 0 to 1.
        green: Likewise.
        blue: Likewise.
        luma: Brightness.
        value: The strongest of the three.
        chroma: The strongest less the weakest.
        saturation: That, over the strongest.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """Take pixels apart.

        Args:
            pixels: uint8, shape (images, height, width, 3), RGB.
        """
        self.pixels = pixels
        scaled = pixels.astype(np.float32) / np.float32(255)
        self.red, self.green, self.blue = scaled[..., 0], scaled[..., 1], scaled[..., 2]
        self.luma: Plane = scaled @ np.array(_LUMA, np.float32)
        self.value: Plane = scaled.max(axis=-1)
        self.chroma: Plane = self.value - scaled.min(axis=-1)
        self.saturation: Plane = self.chroma / np.maximum(self.value, np.float32(1e-3))

    def hue(self) -> Plane:
        """The hue in degrees, as HSV has it; 0 for greys."""
        red, green, blue = self.red, self.green, self.blue
        chroma = np.maximum(self.chroma, np.float32(1e-6))
        sixths = np.select(
            [self.value == red, self.value == green],
            [((green - blue) / chroma) % 6, (blue - red) / chroma + 2],
            (red - green) / chroma + 4,
        )
        return (sixths * 60).astype(np.float32)


def share(marked: NDArray[np.bool_]) -> Number:
    """Share of each image's points that are marked."""
    shares: Number = marked.reshape(len(marked), -1).mean(axis=1, dtype=np.float32)
    return shares
