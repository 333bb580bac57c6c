"""The colours of small pictures, by the names that people have for them.

The borders between the names are rules of thumb in hue, saturation and value; nobody agrees on them exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.scenes.picture import share

if TYPE_CHECKING:
    from model.scenes.picture import Number, Picture

BLACK, WHITE, GREY, RED, ORANGE, YELLOW, GREEN, BLUE, PURPLE, PINK, BROWN = range(11)
COLOURS = (
    "black",
    "white",
    "grey",
    "red",
    "orange (colour)",  # not the fruit
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)
"""The basic colour terms of English (Berlin and Kay, "Basic Color Terms", 1969)."""

_HUES = {
    15: RED,
    40: ORANGE,
    68: YELLOW,
    170: GREEN,
    255: BLUE,
    310: PURPLE,
    345: PINK,
    361: RED,
}  # up to, in °


def colour_shares(picture: Picture) -> dict[str, Number]:
    """Share of the pixels that people would call by each of `COLOURS`; they add up to 1."""
    value, saturation, hue = picture.value, picture.saturation, picture.hue()
    plain = (saturation < 0.12) | (picture.chroma < 0.06)
    rules = [(value < 0.18, BLACK), (plain & (value > 0.85), WHITE), (plain, GREY)]
    rules += [(hue < end, colour) for end, colour in _HUES.items()]
    found = np.select([condition for condition, _ in rules], [colour for _, colour in rules])
    dull = (value < 0.65) | ((saturation < 0.45) & (value < 0.85))
    brown = np.isin(found, (RED, ORANGE, YELLOW)) & (hue >= 8) & (hue < 60) & dull
    pink = (found == RED) & (saturation < 0.5) & (value > 0.65)
    found = np.select([brown, pink], [BROWN, PINK], found)
    return {name: share(found == number) for number, name in enumerate(COLOURS)}


def colourfulness(picture: Picture) -> Number:
    """The chroma, 0 to 1, that all but a hundredth of the pixels stay below."""
    flat = picture.chroma.reshape(len(picture.chroma), -1)
    return np.percentile(flat, 99, axis=1).astype(np.float32)
