"""The tagger's contract, on the shipped models and real photos."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model import DEFAULT_ARTIFACT, BadImageError, Tagger, decode

if TYPE_CHECKING:
    from model import Tag

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"


@pytest.fixture(scope="module", params=["efficientnet_lite2_int8", "efficientnet_lite0_int8"])
def tagger(request: pytest.FixtureRequest) -> Tagger:
    started = time.perf_counter()
    loaded = Tagger.load(DEFAULT_ARTIFACT.with_name(request.param))
    sys.stdout.write(f"{loaded.name} loads and warms up in {time.perf_counter() - started:.2f} s\n")
    return loaded


def best(tags: list[Tag]) -> list[str]:
    return [tag.name for tag in tags if tag.confidence > 0.3]


def test_the_default() -> None:
    """Without a folder the larger of the two shipped models is loaded."""
    tagger = Tagger.load()
    assert (tagger.name, tagger.input_size) == ("efficientnet_lite2_int8", 260)
    assert tagger.version == "1.2.0"


def test_parents_may_keep_their_probability() -> None:
    """With decrease_parents 0 confidence is probability, and the version says so."""
    tagger = Tagger.load(decrease_parents=0.0)
    (tags,) = tagger.tag([(PHOTOS / "koala.jpg").read_bytes()])
    assert tagger.version == "1.2.0+decrease_parents=0"
    assert all(tag.confidence == tag.probability for tag in tags)
    assert Tagger.load(decrease_parents=1.0).version == "1.2.0"


def test_koala(tagger: Tagger) -> None:
    """A koala is a koala first, then a marsupial, a mammal and an animal, each with less confidence."""
    (tags,) = tagger.tag([(PHOTOS / "koala.jpg").read_bytes()])
    found = {tag.name: tag for tag in tags}
    path = [found[name] for name in ("koala", "marsupial", "mammal", "animal")]
    assert tags[0].name == "koala"
    assert tags[0].confidence > 0.9
    assert all(first.confidence > second.confidence for first, second in pairwise(path))
    assert all(first.probability <= second.probability + 1e-6 for first, second in pairwise(path))


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("cat", {"cat"}),
        ("dog", {"german shepherd dog", "dog"}),
        ("macaw", {"macaw", "parrot", "bird"}),
        ("coffee", {"espresso", "coffee", "beverage"}),
        ("castle", {"castle"}),
        ("panda", {"giant panda", "mammal"}),
    ],
)
def test_sample_photos(tagger: Tagger, photo: str, expected: set[str]) -> None:
    """The sample photos get the tags that a person would give them."""
    (tags,) = tagger.tag([(PHOTOS / f"{photo}.jpg").read_bytes()])
    assert expected <= set(best(tags))


def test_batches_keep_their_order(tagger: Tagger) -> None:
    """A batch gives each image what it would get alone, in the order in which the images came."""
    pixels = np.stack(
        [decode(path.read_bytes(), tagger.input_size).pixels for path in sorted(PHOTOS.glob("*.jpg"))]
    )
    together = tagger.tag_pixels(pixels)
    assert len(together) == len(pixels)
    for index, image in enumerate(pixels):
        (alone,) = tagger.tag_pixels(image[None])
        assert best(together[index]) == best(alone)
        assert together[index][0].confidence == pytest.approx(alone[0].confidence, abs=0.02)


def test_figures(tagger: Tagger) -> None:
    """Confidences lie between the floor and 1 and fall; a discount never adds to a probability."""
    (tags,) = tagger.tag([(PHOTOS / "boat.jpg").read_bytes()])
    assert tags
    assert all(0.01 <= tag.confidence <= tag.probability + 1e-6 <= 1 + 1e-5 for tag in tags)
    assert all(first.confidence >= second.confidence for first, second in pairwise(tags))
    assert {tag.name for tag in tags} <= set(tagger.tag_names)


def test_no_images(tagger: Tagger) -> None:
    """An empty batch gives an empty list."""
    assert tagger.tag([]) == []
    assert tagger.tag_pixels(np.zeros((0, tagger.input_size, tagger.input_size, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 100, 100, 3), np.uint8),
        np.zeros((1, 260, 260, 3), np.float32),
        np.zeros((260, 260, 3), np.uint8),
        np.zeros((1, 3, 260, 260), np.uint8),
    ],
)
def test_a_wrong_batch_is_refused(batch: np.ndarray) -> None:
    """Pixels of another type, size or layout are refused with what is wanted."""
    with pytest.raises(ValueError, match=r"takes uint8 \(images, 260, 260, 3\)"):
        Tagger.load().tag_pixels(batch)


def test_a_bad_image_is_named(tagger: Tagger) -> None:
    """A file that is no image raises BadImageError instead of getting tags."""
    with pytest.raises(BadImageError) as caught:
        tagger.tag([b"no image"])
    assert caught.value.code == "not_an_image"


def test_threads_share_a_tagger(tagger: Tagger) -> None:
    """Several threads may tag with one tagger at the same time and get what one thread gets."""
    photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))[:4]]
    expected = [tagger.tag([photo]) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda photo: tagger.tag([photo]), photos * 3))
    assert found == expected * 3
