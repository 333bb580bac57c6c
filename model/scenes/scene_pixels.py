"""What the pixels of a small picture tell of a scene: sky, greenery, and how its border looks.

Each is a number between 0 and 1 per image. Which of them say anything about a scene, and how much, is in
``scenes.toml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.scenes.picture import share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.scenes.picture import Number, Picture, Plane

    Marks = NDArray[np.bool_]  # (images, height, width)

_BORDER = 3  # rows and columns, of 64
_CLEAR = 0.8  # share of a column above a point that must look like sky


def features(picture: Picture) -> dict[str, Number]:
    """The numbers that ``scenes.toml`` weighs, by name; areas as the roots of their shares."""
    border = _border(picture.luma)
    usual = np.median(border, axis=1, keepdims=True)
    return {
        "sky_blue": np.sqrt(share(_from_the_top(_blue(picture)))),
        "sky_smooth": np.sqrt(share(_from_the_top(_smooth(picture)))),
        "greenery": np.sqrt(green_share(picture)),
        "plain_border": share(np.abs(border - usual) < 0.03),
        "white_border": share(border > 0.94),
    }


def green_share(picture: Picture) -> Number:
    """Share of the pixels that may be plants."""
    leafy = (picture.green > picture.red * 1.02) & (picture.green > picture.blue * 1.1)
    return share(leafy & (picture.saturation > 0.12) & (picture.value > 0.1))


def top_luma(picture: Picture) -> Number:
    """Mean brightness of the upper fifth."""
    rows = picture.luma.shape[1] // 5
    mean: Number = picture.luma[:, :rows].mean(axis=(1, 2))
    return mean


def _blue(picture: Picture) -> Marks:
    bluish = (picture.blue >= picture.green * 0.98) & (picture.blue > picture.red * 1.08)
    return bluish & (picture.value > 0.25)


def _smooth(picture: Picture) -> Marks:
    luma = picture.luma
    down = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    across = np.abs(np.diff(luma, axis=2, append=luma[:, :, -1:]))
    paper = picture.value - picture.chroma > 0.985
    smooth: Marks = (down < 0.04) & (across < 0.04) & (picture.value > 0.3) & ~paper
    return smooth


def _from_the_top(sky: Marks) -> Marks:
    """Mark what hangs together with the upper edge, column by column."""
    rows = np.arange(1, sky.shape[1] + 1, dtype=np.float32)[:, None]
    clear = np.cumsum(sky, axis=1) / rows >= _CLEAR
    connected: Marks = np.logical_and.accumulate(clear, axis=1)
    return connected


def _border(luma: Plane) -> NDArray[np.float32]:
    sides = (luma[:, :_BORDER], luma[:, -_BORDER:], luma[:, :, :_BORDER], luma[:, :, -_BORDER:])
    return np.concatenate([side.reshape(len(luma), -1) for side in sides], axis=1)
