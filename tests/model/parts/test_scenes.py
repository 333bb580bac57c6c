"""Scenes: what pixels tell for certain, what is guessed, and how it is put together."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model import ManifestError, SceneTagger, Tagger, View, decode_views
from model.scenes.colours import COLOURS, colour_shares
from model.scenes.picture import Picture
from model.scenes.scene_pixels import features
from model.scenes.scenes import SCENES

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[3]
PHOTOS = ROOT / "streams" / "photos"


@pytest.fixture(scope="module")
def tagger() -> SceneTagger:
    return SceneTagger.load()


def scenes(tagger: SceneTagger, image: Image.Image | bytes) -> dict[str, float]:
    if isinstance(image, Image.Image):
        file = io.BytesIO()
        image.save(file, "PNG")
        image = file.getvalue()
    (tags,) = tagger.tag([image])
    return {tag.name: tag.confidence for tag in tags}


def photo(name: str) -> bytes:
    return (PHOTOS / f"{name}.jpg").read_bytes()


@pytest.mark.parametrize(
    ("name", "there", "absent"),
    [
        ("mountain", {"outdoor", "landscape", "sky"}, {"building", "night"}),
        ("castle", {"outdoor", "building", "sky", "greenery", "blue"}, {"night", "black and white"}),
        ("boat", {"outdoor", "water"}, {"night", "black and white"}),
        ("canyon", {"outdoor", "landscape", "brown"}, {"building", "night"}),
        ("koala", {"outdoor", "greenery"}, {"building", "water", "landscape"}),
        ("coffee", {"orange (colour)"}, {"outdoor", "sky", "building", "water", "greenery"}),
    ],
)
def test_sample_photos(tagger: SceneTagger, name: str, there: set[str], absent: set[str]) -> None:
    """What is plainly there is found with more than 0.4, what is plainly not with less than 0.2."""
    found = scenes(tagger, photo(name))
    assert {tag for tag in there if found.get(tag, 0) <= 0.4} == set()
    assert {tag for tag in absent if found.get(tag, 0) >= 0.2} == set()


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#000000", "black"),
        ("#ffffff", "white"),
        ("#808080", "grey"),
        ("#dd1111", "red"),
        ("#ff8c00", "orange (colour)"),
        ("#ffe800", "yellow"),
        ("#228b22", "green"),
        ("#1e90ff", "blue"),
        ("#000080", "blue"),
        ("#800080", "purple"),
        ("#ff69b4", "pink"),
        ("#ffc0cb", "pink"),
        ("#8b4513", "brown"),
        ("#d2b48c", "brown"),
    ],
)
def test_plain_colours_have_their_names(tagger: SceneTagger, colour: str, name: str) -> None:
    """Web colours that everybody would call so, over the whole picture."""
    found = scenes(tagger, Image.new("RGB", (90, 60), colour))
    assert {tag: confidence for tag, confidence in found.items() if tag in COLOURS} == {name: 1.0}


def test_a_colours_confidence_is_its_share(tagger: SceneTagger) -> None:
    """A third of red and two thirds of blue are just that; what covers less than a tenth is not told."""
    image = Image.new("RGB", (960, 640), "#1e40ff")
    image.paste("#dd1111", (0, 0, 320, 640))
    image.paste("#ffe800", (900, 0, 960, 640))
    found = scenes(tagger, image)
    assert found["red"] == pytest.approx(1 / 3, abs=0.03)
    assert found["blue"] == pytest.approx(0.6, abs=0.03)
    assert "yellow" not in found


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=30)
def test_colours_add_up(seed: int, images: int) -> None:
    """Every pixel has one name; every number that scenes are weighed by lies between 0 and 1."""
    pixels = np.random.default_rng(seed).integers(0, 256, (images, 16, 16, 3), np.uint8)
    picture = Picture(pixels)
    assert sum(colour_shares(picture).values()) == pytest.approx(np.ones(images), abs=1e-5)
    for numbers in features(picture).values():
        assert ((numbers >= 0) & (numbers <= 1)).all()


def test_black_and_white(tagger: SceneTagger) -> None:
    """A photo without its colours is; with them it is not, and neither is one that is toned."""
    with Image.open(PHOTOS / "castle.jpg") as image:
        grey = image.convert("L")
        toned = Image.merge(
            "RGB", (grey, grey.point(lambda v: v * 9 // 10), grey.point(lambda v: v * 7 // 10))
        )
        assert scenes(tagger, grey)["black and white"] == 1.0
        assert "black and white" not in scenes(tagger, image)
        assert "black and white" not in scenes(tagger, toned)


@pytest.mark.parametrize(("level", "name"), [(20, "dark"), (235, "bright"), (128, None)])
def test_brightness(tagger: SceneTagger, level: int, name: str | None) -> None:
    """By the mean: neither is said of a picture in between."""
    found = scenes(tagger, Image.new("RGB", (64, 64), (level, level, level)))
    assert {"dark", "bright"} & found.keys() == ({name} if name else set())


def test_sky_hangs_together_with_the_upper_edge() -> None:
    """The same blue below a band of ground is none."""
    sky: NDArray[np.uint8] = np.full((1, 64, 64, 3), (90, 140, 220), np.uint8)
    sky[:, 32:] = (110, 90, 60)
    assert features(Picture(sky))["sky_blue"][0] == pytest.approx(np.sqrt(0.625), abs=0.03)
    assert features(Picture(sky[:, ::-1].copy()))["sky_blue"][0] == 0


def test_a_batch_says_what_each_image_says_alone(tagger: SceneTagger) -> None:
    """Scenes are told from outputs that are there already: the same as from the file itself."""
    views = [
        decode_views(photo(name), (tagger.classifier.view, View(64))).squares
        for name in ("boat", "koala", "panda")
    ]
    outputs = tagger.classifier.outputs([squares[tagger.classifier.view] for squares in views])
    together = tagger.tags([outputs], [squares[View(64)] for squares in views])
    for tags, name in zip(together, ("boat", "koala", "panda"), strict=True):
        (alone,) = tagger.tag([photo(name)])
        assert {tag.name: tag.confidence for tag in alone} == pytest.approx(
            {tag.name: tag.confidence for tag in tags}, abs=0.02
        )
    assert tagger.tag([]) == []


def test_tags_are_named_and_ordered(tagger: SceneTagger) -> None:
    """Guesses first, then colours, each by its confidence; nothing that was not announced."""
    for path in sorted(PHOTOS.glob("*.jpg")):
        (tags,) = tagger.tag([path.read_bytes()])
        guesses = [tag.confidence for tag in tags if tag.name not in COLOURS]
        colours = [tag.confidence for tag in tags if tag.name in COLOURS]
        assert guesses == sorted(guesses, reverse=True)
        assert colours == sorted(colours, reverse=True)
        assert {tag.name for tag in tags} <= set(tagger.tag_names)
        assert all(0 <= tag.confidence <= 1 for tag in tags)


def test_its_version_names_the_classifier(tagger: SceneTagger) -> None:
    """Another classifier would say other scenes; how general words are discounted would not."""
    version = tagger.classifier.version
    assert tagger.version == f"1.0.0+{tagger.classifier.name}-{version}"
    assert SceneTagger(Tagger.load(decrease_parents=0.5)).version == tagger.version


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"mountain"', '"mountainn"'), "has no class 'mountainn'"),
        (("constant = 5.95", 'constant = "much"'), "cannot be used: Expected `float`"),
        (('version = "1.0.0"', ""), "missing required field `version`"),
        (("outdoors = 0.76", "outdors = 0.76"), "outdoor weighs 'outdors', which is neither"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tagger: SceneTagger, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    """The message names the file and what is wrong with it."""
    path = tmp_path / "scenes.toml"
    path.write_text(SCENES.read_text("utf-8").replace(*change), "utf-8")
    with pytest.raises(ManifestError, match=re.escape(said)):
        SceneTagger(tagger.classifier, path)


def test_the_card_names_every_tag(tagger: SceneTagger) -> None:
    """Each tag of the scene tagger stands in the model card."""
    card = (ROOT / "model" / "MODEL_CARD.md").read_text("utf-8")
    assert [tag for tag in tagger.tag_names if f"`{tag}`" not in card] == []
