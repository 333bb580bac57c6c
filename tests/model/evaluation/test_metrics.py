"""What is true, what is judged, and the figures: precision, recall, average precision, calibration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from model import Tagger
from model.evaluation.labels import LabelsError, check_files, indexes_of, read_rows
from model.evaluation.metrics import Scores, average_precision, quality_of, scores_of
from model.evaluation.reliability import bins_of, calibration_error, diagram
from model.evaluation.temperature import fit_temperature
from model.evaluation.truth import Truth, implied_tags, truth_of
from model.tagger.vocabulary import Entry, Tag

if TYPE_CHECKING:
    from pathlib import Path

# 0 koala, 1 wombat, 2 dog, 3 bald eagle
ENTRIES = [
    Entry("koala", (0,)),
    Entry("wombat", (1,)),
    Entry("dog", (2,)),
    Entry("bald eagle", (3,)),
    Entry("eagle", (3,), 0.99),
    Entry("marsupial", (0, 1), 0.8),
    Entry("animal", (0, 1, 2, 3), 0.4),
]
NAMES = [entry.name for entry in ENTRIES]
IMPLIED = implied_tags(ENTRIES, 4)


def named(tags: str) -> list[int]:
    return [NAMES.index(tag) for tag in tags.split(",") if tag]


def shown(row: np.ndarray) -> set[str]:
    return {NAMES[tag] for tag in np.flatnonzero(row)}


@pytest.mark.parametrize(
    ("tag", "implied"),
    [
        ("koala", {"marsupial", "animal"}),
        ("bald eagle", {"eagle", "animal"}),
        ("eagle", {"animal"}),
        ("animal", set()),
    ],
)
def test_a_tag_implies_the_more_general_ones(tag: str, implied: set[str]) -> None:
    """More classes are more general; so is, of two words for one class, that with the smaller factor."""
    assert shown(IMPLIED[NAMES.index(tag)]) == implied


def test_what_is_finer_than_known_is_not_judged() -> None:
    """Where a row says marsupial, koala is neither right nor wrong; a dog is wrong."""
    truth = truth_of([named("marsupial"), named("koala"), named("dog")], IMPLIED, every_tag=False)
    assert shown(truth.positive[0]) == {"marsupial", "animal"}
    assert shown(truth.judged[0]) == {"marsupial", "animal", "dog"}
    assert shown(truth.judged[1]) == {"koala", "marsupial", "animal", "dog"}


def test_only_tags_that_rows_name_are_judged() -> None:
    """An eagle counts neither way in labels that know none, unless every tag is to be judged."""
    rows = [named("koala"), named("")]
    assert shown(truth_of(rows, IMPLIED, every_tag=False).judged[1]) == {"koala", "marsupial", "animal"}
    assert shown(truth_of(rows, IMPLIED, every_tag=True).judged[1]) == set(NAMES)
    assert shown(truth_of(rows, IMPLIED, every_tag=True, only=named("eagle")).judged[1]) == {"eagle"}


def tags_of(text: str) -> list[Tag]:
    pairs = (pair.split() for pair in text.split(",") if pair)
    return [Tag(name, float(value), float(value)) for name, value in pairs]


def test_figures_by_hand() -> None:
    """Two photos, worked out by hand."""
    truth = truth_of([named("koala"), named("dog")], IMPLIED, every_tag=False)
    scores = scores_of(
        [tags_of("koala 0.9,marsupial 0.8,animal 0.5,dog 0.3"), tags_of("koala 0.6,dog 0.4")], NAMES
    )
    quality = quality_of(scores, truth, NAMES, 0.45)
    # Predicted: koala, marsupial, animal; koala of the dog. True: koala, marsupial, animal; dog, animal.
    assert (quality.precision, quality.recall) == (0.75, 0.6)
    by_name = {tag.tag: tag for tag in quality.tags}
    assert (by_name["koala"].precision, by_name["koala"].recall) == (0.5, 1.0)
    assert (by_name["dog"].precision, by_name["dog"].recall) == (None, 0.0)
    assert by_name["animal"].average_precision == 0.5  # the second animal is never found
    assert quality.map == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert quality.line() == "precision=0.750 recall=0.600 map=0.875 ece=0.383"


def test_the_threshold_is_strict() -> None:
    """A confidence that equals the threshold is not above it, as with an upload's auto_tagging."""
    truth = truth_of([named("dog")], IMPLIED, every_tag=False)
    scores = scores_of([tags_of("dog 0.5")], NAMES)
    assert quality_of(scores, truth, NAMES, 0.5).recall == 0
    assert quality_of(scores, truth, NAMES, 0.49).recall == 0.5


def test_nothing_to_divide_by() -> None:
    """Without predictions and truth the figures are absent, not 0 or 1."""
    truth = truth_of([named("")], IMPLIED, every_tag=True)
    quality = quality_of(scores_of([[]], NAMES), truth, NAMES, 0.5)
    assert quality.line() == "precision=nan recall=nan map=nan ece=nan"


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.6, 0.8]), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_that_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    """Where every photo is reported, the area is the one that scikit-learn gives, ties included."""
    confidence = np.array([pair[0] for pair in pairs], np.float32)
    positive = np.array([pair[1] for pair in pairs])
    found = average_precision(confidence, positive)
    if not positive.any():
        assert found is None
    else:
        assert found == pytest.approx(average_precision_score(positive, confidence))


@given(st.lists(st.tuples(st.floats(0.125, 1, width=32), st.booleans()), min_size=1, max_size=60))
def test_calibration_error_lies_between_0_and_1(pairs: list[tuple[float, bool]]) -> None:
    """Bins hold every tag once, and the error is a share."""
    bins = bins_of(np.array([p for p, _ in pairs], np.float32), np.array([true for _, true in pairs]))
    assert sum(entry.count for entry in bins) == len(pairs)
    assert 0 <= calibration_error(bins) <= 1


def test_a_calibrated_tagger_has_no_error() -> None:
    """Of a hundred tags reported with 0.8, eighty are true; of ten with 1.0, all."""
    probabilities = np.array([0.8] * 100 + [1.0] * 10, np.float32)
    true = np.array([True] * 80 + [False] * 20 + [True] * 10)
    assert calibration_error(bins_of(probabilities, true)) == pytest.approx(0, abs=1e-6)
    assert math.isnan(calibration_error([]))


def test_the_diagram_is_svg() -> None:
    """The reliability diagram is a document of its own with one point per bin."""
    bins = bins_of(np.array([0.15, 0.85, 0.87], np.float32), np.array([False, True, True]))
    root = ET.fromstring(diagram(bins))  # noqa: S314 - our own document
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,label\na.jpg,dog\n", "its first line must be 'file,tag'"),
        ("", "starts with 'nothing'"),
        ("file,tag\n", "has no rows"),
        ("file,tag\na.jpg,dog,cat\n", "line 2 is 'a.jpg,dog,cat': a row is FILE,TAG"),
        ("file,tag\n,dog\n", "line 2"),
    ],
)
def test_wrong_labels(tmp_path: Path, text: str, complaint: str) -> None:
    """A labels file that cannot be right is refused with the line and the rule."""
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelsError) as caught:
        read_rows(path)
    assert complaint in str(caught.value)


def test_labels_may_be_quoted_marked_and_empty(tmp_path: Path) -> None:
    """A byte order mark, quotes and blank lines are fine; a row without a tag names a photo alone."""
    path = tmp_path / "labels.csv"
    path.write_bytes(b'\xef\xbb\xbffile,tag\r\n"a,b.jpg",dog\r\n"a,b.jpg",cat\r\n\r\nc.jpg,\r\n')
    assert read_rows(path) == {"a,b.jpg": ["dog", "cat"], "c.jpg": []}


def test_missing_photos_are_named(tmp_path: Path) -> None:
    """A photo that is not in the folder is named, and so is one outside of it."""
    (tmp_path / "here.jpg").touch()
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(LabelsError, match=r"2 photos; .*\n  \.\./here\.jpg\n  gone\.jpg"):
        check_files(["../here.jpg", "gone.jpg"], folder)


def test_unknown_tags_get_the_nearest_known_ones() -> None:
    """A misspelt tag is refused with what it might be; case does not matter."""
    assert indexes_of(["Koala"], NAMES, ignore_unknown=False) == {"Koala": 0}
    with pytest.raises(LabelsError, match=r"'kaola': did you mean 'koala'\?"):
        indexes_of(["kaola"], NAMES, ignore_unknown=False)
    with pytest.raises(LabelsError, match=r"'sky': nothing like it"):
        indexes_of(["sky"], ["tench"], ignore_unknown=False)
    assert indexes_of(["sky", "dog"], NAMES, ignore_unknown=True) == {"dog": 2}


def test_the_fitted_temperature_undoes_a_distortion() -> None:
    """Outputs whose classes are true as often as a softmax at 0.5 says get a temperature of about 0.5."""
    tagger = Tagger.load()
    draw = np.random.default_rng(7)
    outputs = draw.normal(0, 1, (400, tagger.vocabulary.classes)).astype(np.float32)
    outputs[:, :20] += draw.normal(3, 1.5, (400, 20)).astype(np.float32)
    chances = tagger.activated(outputs, 0.5).astype(np.float64)
    drawn = [int(draw.choice(len(row), p=row / row.sum())) for row in chances]
    members = np.zeros((len(tagger.vocabulary.entries), tagger.vocabulary.classes), bool)
    for index, entry in enumerate(tagger.vocabulary.entries):
        members[index, list(entry.classes)] = True
    positive = members[:, drawn].T
    truth = Truth(positive, np.ones_like(positive))
    assert fit_temperature(tagger, outputs, truth) == pytest.approx(0.5, abs=0.06)


def test_scores_are_the_tags() -> None:
    """What is evaluated is what an upload gets: the same tags with the same figures."""
    tagger = Tagger.load()
    pixels = np.random.default_rng(1).integers(0, 255, (2, 260, 260, 3), np.uint8)
    listed = scores_of(tagger.tag_pixels(pixels), tagger.tag_names)
    matrix = Scores(
        *tagger.vocabulary.scores(tagger.activated(tagger.outputs([image[None] for image in pixels])))
    )
    assert np.allclose(listed.confidence, matrix.confidence, atol=1e-6)
    assert np.allclose(listed.probability, matrix.probability, atol=1e-6)
