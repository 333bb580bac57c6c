"""Logistic regression: SciPy's L-BFGS does what there is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Logistic(NamedTuple):
    """A score: the log-odds that something is true."""

    weights: Floats
    bias: float

    def scores(self, features: Floats) -> Floats:
        """Of each row of features."""
        scores: Floats = features @ self.weights + self.bias
        return scores


def fit(features: Floats, targets: Floats, strength: float) -> Logistic:
    """Minimise the log loss, summed, plus half of `strength` times the weights' squared length.

    Both kinds of examples weigh the same in sum, so that a rare tag is not drowned.

    Args:
        features: Shape (examples, features).
        targets: 1 where it is true, 0 where not; both occur.
        strength: Above 0; the larger, the smaller the weights.
    """
    positive = targets.sum()
    shares = np.where(targets > 0.5, positive, len(targets) - positive)  # noqa: PLR2004 - even odds
    weight = len(targets) / 2 / shares

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        scores = features @ weights + bias
        value = (
            weight * (np.logaddexp(0, scores) - targets * scores)
        ).sum() + strength / 2 * weights @ weights
        slope = weight * (expit(scores) - targets)
        return value, np.append(features.T @ slope + strength * weights, slope.sum())

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Logistic(found[:-1], float(found[-1]))


class Calibration(NamedTuple):
    """Scores to log-odds that mean what they say."""

    slope: float
    offset: float

    def probabilities(self, scores: Floats) -> Floats:
        """How likely each is."""
        found: Floats = expit(self.slope * scores + self.offset)
        return found


def calibrate(scores: Floats, true: NDArray[np.bool_]) -> Calibration:
    """Fit two numbers to scores of examples that the scorer was not fitted to.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with his targets, which keep few
    examples from claiming certainty.
    """
    positive, negative = int(true.sum()), int((~true).sum())
    targets = np.where(true, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = parameters[0] * scores + parameters[1]
        slope = expit(odds) - targets
        value = (np.logaddexp(0, odds) - targets * odds).sum()
        return float(value), np.array([slope @ scores, slope.sum()])

    start = np.array([1.0, np.log((positive + 1) / (negative + 1))])
    bounds = [(1e-6, None), (None, None)]  # a higher score is never less likely
    slope, offset = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(slope), float(offset))
