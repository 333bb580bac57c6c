"""The default tagger: classifier, objects and scenes as one list, on real photos and on made outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage

from model import CombinedTagger, ManifestError, ObjectTagger, SceneTagger, Tagger
from model.objects.objects import DETECTOR
from model.tagger.manifest import FILE_NAME

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
OTHERS = Path(skimage.__file__).parent / "data"
GLANCE = np.full((1, 64, 64, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def tagger() -> CombinedTagger:
    return CombinedTagger.load()


def found(tagger: CombinedTagger | Tagger, path: Path) -> list[tuple[str, float]]:
    (tags,) = tagger.tag([path.read_bytes()])
    return [(tag.name, tag.confidence) for tag in tags]


def test_the_announcements_koala(tagger: CombinedTagger) -> None:
    """Its answer is the classifier's alone, to the last digit that is reported."""
    koala = {tag: round(confidence, 4) for tag, confidence in found(tagger, PHOTOS / "koala.jpg")}
    assert list(koala) == ["koala", "marsupial", "mammal", "animal"]
    assert koala == {tag: round(chance, 4) for tag, chance in found(Tagger.load(), PHOTOS / "koala.jpg")}


@pytest.mark.parametrize("name", ["panda", "macaw"])
def test_an_animal_that_fills_the_picture(tagger: CombinedTagger, name: str) -> None:
    """No part but the classifier counts; it may see an image at another scale than alone."""
    path = PHOTOS / f"{name}.jpg"
    assert dict(found(tagger, path)) == pytest.approx(dict(found(Tagger.load(), path)), abs=0.03)


@pytest.mark.parametrize(
    ("path", "best"),
    [
        (PHOTOS / "cat.jpg", ["egyptian mau", "cat", "pet"]),
        (PHOTOS / "mountain.jpg", ["landscape", "outdoor", "sky"]),
        (PHOTOS / "castle.jpg", ["castle", "building", "sky", "greenery", "outdoor"]),
        (PHOTOS / "coffee.jpg", ["espresso", "coffee", "beverage", "food"]),
        (OTHERS / "motorcycle_left.png", ["motorcycle"]),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_photos(tagger: CombinedTagger, path: Path, best: list[str]) -> None:
    """Best first, the specific before the general, and no name twice."""
    names = [tag for tag, confidence in found(tagger, path) if confidence > 0.2]
    assert names[: len(best)] == best
    assert len(set(names)) == len(names)


def made(
    tagger: CombinedTagger, seen: dict[str, float], label: str, sureness: float
) -> dict[str, tuple[float, float]]:
    """What becomes of a detector's logits and of one class of the classifier: confidence and probability."""
    classifier, detector = tagger.networks
    outputs = [np.zeros((1, len(network.labels)), np.float32) for network in tagger.networks]
    outputs[0][0, classifier.labels.index(label)] = sureness
    outputs[1][:] = -20
    for name, logit in seen.items():
        outputs[1][0, detector.labels.index(name)] = logit
    (tags,) = tagger.tags(outputs, [GLANCE])
    assert [tag.confidence for tag in tags] == sorted((tag.confidence for tag in tags), reverse=True)
    return {tag.name: (tag.confidence, tag.probability) for tag in tags}


def test_two_parts_that_name_the_same_thing(tagger: CombinedTagger) -> None:
    """One tag, with the greater probability; its discount is the classifier's, whoever says it."""
    alone = made(tagger, {}, "school bus", 20)["bus"]
    both = made(tagger, {"bus": 0.0}, "school bus", 20)["bus"]
    seen = made(tagger, {"bus": 20.0}, "cliff", 20)["bus"]
    assert alone == both
    assert alone[1] == pytest.approx(1, abs=1e-3)
    assert seen == pytest.approx(alone, abs=1e-3)
    assert seen[0] < seen[1]
    vehicle = made(tagger, {"bus": 20.0}, "cliff", 20)["vehicle"]
    assert vehicle[0] < seen[0]


def test_where_an_animal_is_sure_nothing_else_counts(tagger: CombinedTagger) -> None:
    """Neither persons nor scenes; a dog is a pet, a gorilla is none."""
    others = {"person", "people", "outdoor", "sky"}
    gorilla = made(tagger, {"person": 5.0, "people": 5.0}, "gorilla", 20)
    assert not others & gorilla.keys()
    assert "pet" not in gorilla
    dog = made(tagger, {"person": 5.0}, "Great Dane", 20)
    assert not others & dog.keys()
    assert dog["great dane"][0] > dog["pet"][0] > dog["mammal"][0]
    assert "person" in made(tagger, {"person": 5.0}, "cowboy hat", 20)


def test_parts_that_are_left_out(tagger: CombinedTagger) -> None:
    """Their networks are not run, their tags not given, and the version says which are there."""
    classifier = tagger.networks[0]
    objects = ObjectTagger(Tagger.load(DETECTOR, late=True), classifier)
    without = CombinedTagger(classifier, scenes=SceneTagger(classifier))
    assert without.networks == (classifier,)
    assert without.version == "1.2.0+scenes-1.0.0"
    assert {"sky", "person"} & set(without.tag_names) == {"sky", "person"}  # persons of three classes
    assert "people" not in without.tag_names
    blind = CombinedTagger(classifier, objects)
    assert blind.glance is None
    assert blind.version == "1.2.0+objects-1.0.0"
    assert {tag for tag, _ in found(blind, PHOTOS / "castle.jpg")}.isdisjoint({"sky", "outdoor"})


def test_confidence_is_probability_without_discounts() -> None:
    """`decrease_parents` holds for all parts."""
    classifier = Tagger.load(decrease_parents=0)
    plain = CombinedTagger(classifier, scenes=SceneTagger(classifier))
    (tags,) = plain.tag([(PHOTOS / "castle.jpg").read_bytes()])
    assert {tag.name for tag in tags} >= {"outdoor", "sky", "castle"}
    assert all(tag.confidence == tag.probability for tag in tags)


def test_every_tag_is_announced(tagger: CombinedTagger) -> None:
    """`tag_names` has each tag once, and all that the photos get."""
    assert len(set(tagger.tag_names)) == len(tagger.tag_names)
    given = {tag for path in sorted(PHOTOS.glob("*.jpg")) for tag, _ in found(tagger, path)}
    assert given <= set(tagger.tag_names)


def test_a_batch_is_what_its_images_are_alone(tagger: CombinedTagger) -> None:
    """Whatever else is in it."""
    images = [(PHOTOS / f"{name}.jpg").read_bytes() for name in ("castle", "koala", "boat")]
    for together, image in zip(tagger.tag(images), images, strict=True):
        (alone,) = tagger.tag([image])
        assert [tag.name for tag in together][:4] == [tag.name for tag in alone][:4]
    assert tagger.tag([]) == []


def test_a_classifier_without_a_word_for_animals(tagger: CombinedTagger) -> None:
    """It cannot be combined: the message names the word and the cure."""
    with pytest.raises(ManifestError, match=r"has no word for 'animal', .* take one whose vocabulary has"):
        CombinedTagger(tagger.networks[1])


def test_a_late_network_is_loaded_once_and_when_it_is_run(tmp_path: Path) -> None:
    """Till then its graph is not read; where it cannot be loaded, each run says why."""
    for name in ("labels.txt", "vocabulary.json", FILE_NAME, "model.onnx"):
        (tmp_path / name).write_bytes((DETECTOR / name).read_bytes())
    late = Tagger.load(tmp_path, late=True)
    graph = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(b"")
    pixels = np.zeros((1, 300, 300, 3), np.uint8)
    for _ in range(2):
        with pytest.raises(ManifestError, match="cannot be loaded"):
            late.probabilities(pixels)
    (tmp_path / "model.onnx").write_bytes(graph)
    first = late.probabilities(pixels)
    (tmp_path / "model.onnx").unlink()
    assert np.array_equal(late.probabilities(pixels), first)
