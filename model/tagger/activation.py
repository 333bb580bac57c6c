"""From a network's outputs to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def activate(
    outputs: NDArray[np.float32], kind: Literal["softmax", "sigmoid", "none"], temperature: float
) -> NDArray[np.float32]:
    """Turn outputs into probabilities.

    A temperature below 1 sharpens an under-confident model, one above 1 softens an over-confident one; the
    order of the classes stays (Guo et al., "On Calibration of Modern Neural Networks", 2017). Where the graph
    has its activation inside (``none``) the temperature has no meaning and is not applied.

    Args:
        outputs: float32, shape (images, classes); not a number for images in which nothing is to be found.
        kind: ``softmax`` for classes that exclude each other, ``sigmoid`` for those that do not, ``none`` for
            a graph that gives probabilities already.
        temperature: Divides the outputs; above 0.

    Returns:
        float32 of the same shape, each 0 to 1.
    """
    return np.nan_to_num(_activated(outputs, kind, temperature))


def _activated(outputs: NDArray[np.float32], kind: str, temperature: float) -> NDArray[np.float32]:
    if kind == "none":
        return outputs.clip(0.0, 1.0)
    scaled = outputs / np.float32(temperature)
    if kind == "sigmoid":
        odds: NDArray[np.float32] = np.exp(-scaled.clip(-80.0, 80.0))
        return np.float32(1) / (np.float32(1) + odds)
    exponentials: NDArray[np.float32] = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    total: NDArray[np.float32] = exponentials.sum(axis=1, keepdims=True)
    return exponentials / total
