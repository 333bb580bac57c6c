"""Precision, recall, average precision and calibration, per tag and overall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from model.evaluation.reliability import Bin, bins_of, calibration_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.evaluation.truth import Truth
    from model.tagger.vocabulary import Tag


@dataclass(frozen=True)
class Scores:
    """What the tagger says. Arrays are float32, shape (photos, tags); 0 where a tag is not reported."""

    confidence: NDArray[np.float32]
    probability: NDArray[np.float32]


class TagQuality(msgspec.Struct, frozen=True, kw_only=True):
    """One tag. Precision and recall are None where nothing is predicted or true.

    Attributes:
        true: Photos of which the tag is true.
        predicted: Photos for which it is predicted.
        right: Photos in both.
        average_precision: None without a true photo.
        calibration_error: None where the tag is never reported.
    """

    tag: str
    true: int
    predicted: int
    right: int
    precision: float | None
    recall: float | None
    average_precision: float | None
    calibration_error: float | None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """A tagger's figures on labelled photos; None where there is nothing to divide by.

    Attributes:
        not_judged: Predictions that count neither for nor against the tagger.
        reliability: The bins behind `ece`.
    """

    photos: int
    threshold: float
    precision: float | None
    recall: float | None
    map: float | None
    ece: float | None
    not_judged: int
    tags: list[TagQuality]
    reliability: list[Bin]

    def line(self) -> str:
        """The four figures on one line."""
        figures = {"precision": self.precision, "recall": self.recall, "map": self.map, "ece": self.ece}
        return " ".join(
            f"{name}={'nan' if value is None else f'{value:.3f}'}" for name, value in figures.items()
        )


def scores_of(found: Sequence[Sequence[Tag]], names: Sequence[str]) -> Scores:
    """Arrange what a tagger reports for each photo; `names` are all of its tags."""
    index = {name: place for place, name in enumerate(names)}
    confidence = np.zeros((len(found), len(names)), np.float32)
    probability = np.zeros_like(confidence)
    for photo, tags in enumerate(found):
        for tag in tags:
            confidence[photo, index[tag.name]] = tag.confidence
            probability[photo, index[tag.name]] = tag.probability
    return Scores(confidence, probability)


def quality_of(scores: Scores, truth: Truth, names: Sequence[str], threshold: float) -> Quality:
    """Compare what the tagger says with what is true, as the package's docstring defines it.

    Args:
        scores: Of all photos.
        truth: Of the same photos.
        names: All tags, in the order of the columns.
        threshold: A tag is predicted where its confidence is strictly above.
    """
    predicted = (scores.confidence > threshold) & truth.judged
    positive = truth.positive & truth.judged
    right = int((predicted & positive).sum())
    columns: list[int] = np.flatnonzero((positive | predicted).any(axis=0)).tolist()
    tags = [_tag_quality(column, names[column], scores, truth, threshold) for column in columns]
    reported = (scores.probability > 0) & truth.judged
    bins = bins_of(scores.probability[reported], positive[reported])
    return Quality(
        photos=len(positive),
        threshold=threshold,
        precision=_share(right, int(predicted.sum())),
        recall=_share(right, int(positive.sum())),
        map=_mean([tag.average_precision for tag in tags if tag.average_precision is not None]),
        ece=_number(calibration_error(bins)),
        not_judged=int(((scores.confidence > threshold) & ~truth.judged).sum()),
        tags=sorted(tags, key=lambda tag: (-tag.true, tag.tag)),
        reliability=bins,
    )


def average_precision(confidence: NDArray[np.float32], positive: NDArray[np.bool_]) -> float | None:
    """Area under precision over recall, photos ranked by confidence; None where no photo is positive.

    Photos with the same confidence come together; those for which the tag is not reported are never found.

    Args:
        confidence: float32, shape (photos,), 0 where not reported.
        positive: bool, shape (photos,).
    """
    total = int(positive.sum())
    if not total:
        return None
    reported = confidence > 0
    order = np.argsort(-confidence[reported], kind="stable")
    ranked, hits = confidence[reported][order], np.cumsum(positive[reported][order])
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True)) if len(ranked) else np.array([], int)
    found = hits[last]
    return float((np.diff(found, prepend=0) * (found / (last + 1))).sum() / total)


def _tag_quality(column: int, tag: str, scores: Scores, truth: Truth, threshold: float) -> TagQuality:
    judged = truth.judged[:, column]
    positive = truth.positive[judged, column]
    confidence, probability = scores.confidence[judged, column], scores.probability[judged, column]
    predicted = confidence > threshold
    right = int((predicted & positive).sum())
    reported = probability > 0
    return TagQuality(
        tag=tag,
        true=int(positive.sum()),
        predicted=int(predicted.sum()),
        right=right,
        precision=_share(right, int(predicted.sum())),
        recall=_share(right, int(positive.sum())),
        average_precision=_rounded(average_precision(confidence, positive)),
        calibration_error=_number(calibration_error(bins_of(probability[reported], positive[reported]))),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
