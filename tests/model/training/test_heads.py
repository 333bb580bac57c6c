"""Logistic heads: what they find, how they are judged, and where the line is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from model.training.heads import Examples, Plan, stratified_parts, train_tag
from model.training.logistic import calibrate, fit
from model.training.thresholds import choose_threshold


def clouds(photos: int, features: int, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of points, of which the first quarter of the photos is one."""
    draw = np.random.default_rng(seed)
    true = np.arange(photos) < photos // 4
    points = draw.normal(0, 1, (photos, features))
    points[true, : features // 4] += distance
    return points.astype(np.float32), true


@pytest.mark.parametrize("strength", [0.5, 20.0])
def test_a_fit_is_what_scikit_learn_finds(strength: float) -> None:
    """The same weights, with both kinds of examples weighing the same in sum."""
    features, true = clouds(200, 12, 0.8)
    found = fit(features.astype(np.float64), true.astype(np.float64), strength)
    judge = LogisticRegression(C=1 / strength, class_weight="balanced", tol=1e-8, max_iter=5000)
    judge.fit(features, true)
    assert found.weights == pytest.approx(judge.coef_[0], abs=1e-3)
    assert found.bias == pytest.approx(judge.intercept_[0], abs=1e-3)


def test_a_head_is_of_the_features_as_they_are() -> None:
    """Whatever scale each has, and though more of them than photos: unseen photos are told apart."""
    features, true = clouds(120, 400, 0.7)
    features = features * np.linspace(0.01, 30, 400, dtype=np.float32) + 5
    seen = np.arange(120) % 2 == 0
    trained = train_tag(Examples(features[seen]), true[seen], Plan())
    scores = trained.head.scores(features[~seen].astype(np.float64))
    assert ((scores > 0) == true[~seen]).mean() > 0.95


def test_figures_are_of_photos_that_a_head_has_not_seen() -> None:
    """Labels without a reason are learnt by heart by 400 features, yet the figures do not say so."""
    features, _ = clouds(200, 400, 0.0)
    chance = np.random.default_rng(1).permutation(np.arange(200) < 50)
    trained = train_tag(Examples(features), chance, Plan())
    assert trained.average_precision < 0.45
    assert abs(trained.probabilities.mean() - 0.25) < 0.05


def test_probabilities_are_calibrated() -> None:
    """Of photos with a probability of about p the share p has the tag."""
    features, true = clouds(2000, 8, 0.9)
    trained = train_tag(Examples(features), true, Plan())
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (trained.probabilities >= low) & (trained.probabilities < low + 0.25)
        assert true[inside].mean() == pytest.approx(trained.probabilities[inside].mean(), abs=0.1)


def test_few_examples_do_not_claim_certainty() -> None:
    """Six photos of each kind, told apart without a doubt, leave a doubt."""
    scores = np.array([5.0] * 6 + [-5.0] * 6)
    true = scores > 0
    likely = calibrate(scores, true).probabilities(scores)
    assert 0.8 < likely[0] < 0.9
    assert 0.1 < likely[-1] < 0.2


def test_each_part_has_its_share() -> None:
    """As many with the tag in each part, and as many without, give or take one; the same every time."""
    true = np.arange(103) < 23
    parts = stratified_parts(true, Plan(folds=5))
    for kind in (True, False):
        counts = np.bincount(parts[true == kind], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (parts == stratified_parts(true, Plan(folds=5))).all()
    assert (parts != stratified_parts(true, Plan(folds=5, seed=1))).any()


def test_a_threshold_holds_its_precision() -> None:
    """The lowest one with at least that share right; where none reaches it the most precise."""
    likely = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    true = np.array([True, True, False, True, False, False])
    assert choose_threshold(likely, true, 0.7) == pytest.approx(0.55)
    assert choose_threshold(likely, true, 1.0) == pytest.approx(0.75)
    assert choose_threshold(likely, np.array([False, True, False, True, False, False]), 1.0) < 0.8


@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30).filter(
        lambda pairs: any(true for _, true in pairs)
    )
)
def test_no_threshold_has_a_better_f1(pairs: list[tuple[int, bool]]) -> None:
    """Also where probabilities are equal."""
    likely = np.array([value / 10 + 0.05 for value, _ in pairs])
    true = np.array([true for _, true in pairs])

    def f1(threshold: float) -> float:
        chosen = likely >= threshold
        return 2 * (chosen & true).sum() / (chosen.sum() + true.sum())

    best = max(f1(threshold) for threshold in [*likely, 0.0])
    assert f1(choose_threshold(likely, true, None)) == pytest.approx(best)
