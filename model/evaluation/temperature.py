"""Fits the temperature that calibrates a model.

Guo et al., "On Calibration of Modern Neural Networks" (2017), minimise the negative log-likelihood of the one
true class. Labelled photos here have tags instead, some general, so the likelihood is that of each judged tag
being true or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.evaluation.truth import Truth
    from model.tagger.tagger import Tagger

LOWEST, HIGHEST = 0.1, 10.0
_LEAST = 1e-3
"""What an unreported tag counts as: its probability is known to be small, not how small."""


def fit_temperature(tagger: Tagger, outputs: NDArray[np.float32], truth: Truth) -> float:
    """The temperature under which what is true of these photos is most likely.

    Args:
        tagger: The model; its graph must not hold the activation.
        outputs: Of the model, float32, shape (photos, classes).
        truth: Of the same photos.
    """

    def loss(logarithm: float) -> float:
        _, found = tagger.vocabulary.scores(tagger.activated(outputs, float(np.exp(logarithm))))
        likely = found[truth.judged].astype(np.float64).clip(_LEAST, 1 - _LEAST)
        true = truth.positive[truth.judged]
        return float(-np.log(np.where(true, likely, 1 - likely)).mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    return round(float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)), 3)
