"""A head for each tag: a logistic regression on a network's features, cross-validated and calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.evaluation.metrics import average_precision
from model.training.logistic import Logistic, calibrate, fit
from model.training.thresholds import choose_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

STRENGTHS = (1.0, 10.0, 100.0)
"""Of the penalty on weights; the one that foretells the photos left out best is taken."""
_LEAST_DEVIATION = 1e-3  # of a feature: what hardly ever changes says nothing
_MOST_UNSURE = 1e-6


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        folds: Into how many parts photos are split; each is judged by what was fitted to the others.
        precision: As :func:`choose_threshold` takes it.
        seed: Of the split.
    """

    folds: int = 5
    precision: float | None = None
    seed: int = 0


class Examples:
    """Photos as heads are fitted to them: features of like size, turned into as few as say the same.

    Neither changes what a logistic regression finds, but it finds it in a tenth of the time.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        """Take the features of all photos, shape (photos, features)."""
        self._mean = features.mean(axis=0, dtype=np.float64)
        self._deviation = np.maximum(features.std(axis=0, dtype=np.float64), _LEAST_DEVIATION)
        left, sizes, self._axes = np.linalg.svd(
            (features - self._mean) / self._deviation, full_matrices=False
        )
        self.scaled: Floats = left * sizes

    def of_features(self, head: Logistic) -> Logistic:
        """A head of features as they are, from one of `scaled`."""
        weights = self._axes.T @ head.weights / self._deviation
        return Logistic(weights, head.bias - float(weights @ self._mean))


@dataclass(frozen=True)
class TrainedTag:
    """A tag's head, and how it did on photos that it had not seen.

    Attributes:
        head: Gives calibrated log-odds of a photo's features.
        threshold: The probability from which the tag is given.
        strength: Of the penalty.
        photos: Of which the tag is true.
        given: Photos that it was given, each by a threshold chosen without that photo's part.
        right: Those of them of which it is true.
        average_precision: Over all photos.
        probabilities: For each photo, by what was fitted to the others.
    """

    head: Logistic
    threshold: float
    strength: float
    photos: int
    given: int
    right: int
    average_precision: float
    probabilities: Floats


def train_tag(examples: Examples, true: Flags, plan: Plan) -> TrainedTag:
    """Fit a tag's head.

    Args:
        examples: The photos.
        true: Whether the tag is true of each photo; at least as many are and are not as there are folds.
        plan: How.
    """
    parts = stratified_parts(true, plan)
    strength, scores = _best_strength(examples.scaled, true, parts)
    calibration = calibrate(scores, true)
    whole = fit(examples.scaled, true.astype(np.float64), strength)
    calibrated = Logistic(
        calibration.slope * whole.weights, calibration.slope * whole.bias + calibration.offset
    )
    probabilities, given = _judged(scores, true, parts, plan)
    return TrainedTag(
        head=examples.of_features(calibrated),
        threshold=choose_threshold(calibration.probabilities(scores), true, plan.precision),
        strength=strength,
        photos=int(true.sum()),
        given=int(given.sum()),
        right=int((given & true).sum()),
        average_precision=average_precision(probabilities.astype(np.float32), true) or 0.0,
        probabilities=probabilities,
    )


def stratified_parts(true: Flags, plan: Plan) -> NDArray[np.intp]:
    """The part of each photo: as many with the tag are in each, and as many without, give or take one."""
    draw = np.random.default_rng(plan.seed)
    parts = np.empty(len(true), np.intp)
    for kind in (True, False):
        places = draw.permutation(np.flatnonzero(true == kind))
        parts[places] = np.arange(len(places)) % plan.folds
    return parts


def _best_strength(scaled: Floats, true: Flags, parts: NDArray[np.intp]) -> tuple[float, Floats]:
    """The strength whose scores of photos left out have the least loss once calibrated, and those scores."""

    def loss(scores: Floats) -> float:
        likely = calibrate(scores, true).probabilities(scores).clip(_MOST_UNSURE, 1 - _MOST_UNSURE)
        return float(-np.log(np.where(true, likely, 1 - likely)).mean())

    found = {strength: _scores_of_others(scaled, true, parts, strength) for strength in STRENGTHS}
    best = min(found, key=lambda strength: loss(found[strength]))
    return best, found[best]


def _scores_of_others(scaled: Floats, true: Flags, parts: NDArray[np.intp], strength: float) -> Floats:
    """Each photo's score by what was fitted to the parts that it is not in."""
    scores = np.empty(len(true))
    for part in np.unique(parts):
        own = parts == part
        model: Logistic = fit(scaled[~own], true[~own].astype(np.float64), strength)
        scores[own] = model.scores(scaled[own])
    return scores


def _judged(scores: Floats, true: Flags, parts: NDArray[np.intp], plan: Plan) -> tuple[Floats, Flags]:
    """Each photo's probability, and whether the tag is given, by what the other parts say."""
    probabilities, given = np.empty(len(true)), np.empty(len(true), np.bool_)
    for part in np.unique(parts):
        own = parts == part
        calibration = calibrate(scores[~own], true[~own])
        others = calibration.probabilities(scores[~own])
        probabilities[own] = calibration.probabilities(scores[own])
        given[own] = probabilities[own] >= choose_threshold(others, true[~own], plan.precision)
    return probabilities, given
