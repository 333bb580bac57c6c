"""Images that a classifier of photos was not trained on: very long ones, and such without a picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model import Tagger, View, decode_views
from model.parts.combined import CombinedTagger
from model.tagger.blank import is_blank

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
CHANCE = np.random.default_rng(20)
SIZE = (300, 400)


def png(pixels: np.ndarray | Image.Image) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels.astype(np.uint8))
    file = BytesIO()
    image.convert("RGB").save(file, "PNG")
    return file.getvalue()


def page(name: str, longer: float, *, upright: bool) -> bytes:
    """A photo on a long white page, at its beginning."""
    with Image.open(PHOTOS / f"{name}.jpg") as photo:
        image = photo.convert("RGB")
    width, height = image.size
    size = (width, int(width * longer)) if upright else (int(height * longer), height)
    paper = Image.new("RGB", size, "white")
    paper.paste(image, (0, 0))
    return png(paper)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.load()


@pytest.mark.parametrize(
    ("size", "squares"),
    [((200, 100), 1), ((100, 200), 1), ((201, 100), 4), ((100, 900), 4), ((1, 1), 1), ((1, 50), 4)],
)
def test_very_long_images_are_seen_as_a_whole_and_in_squares(size: tuple[int, int], squares: int) -> None:
    """From twice as long as high on; others are one square, as before."""
    view = View(32, wide=True)
    image = Image.linear_gradient("L").resize(size)
    found = decode_views(png(image), (view, View(16))).squares
    assert found[view].shape == (squares, 32, 32, 3)
    assert found[View(16)].shape == (1, 16, 16, 3)


def test_the_squares_are_the_beginning_the_middle_and_the_end() -> None:
    """Each is seen undistorted."""
    image = Image.new("RGB", (900, 100))
    for place, colour in ((0, "red"), (400, "lime"), (800, "blue")):
        image.paste(colour, (place - 20, 0, place + 120, 100))
    view = View(32, wide=True)
    _, *along = decode_views(png(image), (view,)).squares[view]
    assert [square.mean(axis=(0, 1)).round().tolist() for square in along] == [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
    ]


@pytest.mark.parametrize("upright", [False, True], ids=["panorama", "screenshot"])
@pytest.mark.parametrize("name", ["koala", "panda", "macaw", "castle", "dog", "coffee"])
def test_a_photo_on_a_long_page_is_found(tagger: Tagger, name: str, *, upright: bool) -> None:
    """Squashed to a square it could not be told any more."""
    [plain] = tagger.tag([(PHOTOS / f"{name}.jpg").read_bytes()])
    [found] = tagger.tag([page(name, 3.5, upright=upright)])
    assert plain[0].name in [tag.name for tag in found if tag.probability > 0.4]


def test_long_images_change_nothing_for_others_of_a_batch(tagger: Tagger) -> None:
    """Each image has its own row, whatever it is batched with."""
    data = [
        (PHOTOS / "koala.jpg").read_bytes(),
        page("castle", 3, upright=False),
        png(np.full((*SIZE, 3), 128)),
        (PHOTOS / "dog.jpg").read_bytes(),
    ]
    together = tagger.tag(data)
    for each, alone in zip(together, [tagger.tag([one])[0] for one in data], strict=True):
        assert [tag.name for tag in each[:3]] == [tag.name for tag in alone[:3]]
        assert [tag.confidence for tag in each[:3]] == pytest.approx(
            [tag.confidence for tag in alone[:3]], abs=1e-3
        )


def noise(kind: str) -> np.ndarray:
    grain, strength = {"coarse": (4, 255), "pixels": (1, 255), "faint": (1, 20)}.get(kind, (1, 255))
    small = CHANCE.integers(0, strength + 1, (SIZE[0] // grain, SIZE[1] // grain, 3))
    if kind == "grey":
        small = small[..., :1].repeat(3, 2)
    if kind == "salt and pepper":
        small = np.where(CHANCE.random((*SIZE, 1)) < 0.1, 255, 0).repeat(3, 2)
    if kind == "Gaussian":
        small = CHANCE.normal(128, 40, (*SIZE, 3)).clip(0, 255)
    return small


def gradient(kind: str) -> np.ndarray:
    down, across = np.mgrid[0 : 1 : SIZE[0] * 1j, 0 : 1 : SIZE[1] * 1j]
    along = {
        "down": down,
        "across": across,
        "round": np.hypot(down - 0.5, across - 0.5),
        "slanted": (down + across) / 2,
    }
    first, last = np.array([20.0, 40, 90]), np.array([200.0, 220, 255])
    return first + (last - first) * along[kind][..., None]


BLANK = {
    **{f"noise: {kind}": noise(kind) for kind in ("pixels", "grey", "faint", "salt and pepper", "Gaussian")},
    **{f"gradient: {kind}": gradient(kind) for kind in ("down", "across", "round", "slanted")},
    **{
        f"plain: {colour}": np.array(Image.new("RGB", SIZE[::-1], colour))
        for colour in ("black", "white", "grey", "red", "green", "blue", "skyblue", "brown", "pink", "navy")
    },
}


@pytest.fixture(scope="module")
def everything() -> CombinedTagger:
    return CombinedTagger.load()


@pytest.mark.parametrize("name", BLANK)
def test_what_is_no_picture_has_no_tags(everything: CombinedTagger, name: str) -> None:
    """Neither classifier, objects nor scenes see anything in noise, plain colours and gradients."""
    pixels = BLANK[name]
    for each in (pixels, np.tile(pixels, (1, 3, 1)) if name.startswith("noise") else pixels[:100]):
        assert everything.tag([png(each)]) == [[]]


@pytest.mark.parametrize("path", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_photos_are_pictures(path: Path) -> None:
    """Each sample photo is one: sharp, blurred, darkened, faded and noisy."""
    with Image.open(path) as photo:
        image = photo.convert("RGB").resize((260, 260))
    pixels = np.asarray(image).astype(float)
    ways = {
        "sharp": pixels,
        "blurred": np.asarray(image.resize((40, 40)).resize((260, 260), Image.Resampling.BICUBIC)),
        "dark": pixels / 5,
        "faded": pixels / 4 + 120,
        "noisy": pixels + CHANCE.normal(0, 15, pixels.shape),
    }
    assert [name for name, way in ways.items() if is_blank(way.clip(0, 255).astype(np.uint8))] == []


def test_a_small_bird_in_the_sky_is_a_picture() -> None:
    """A plain area with something in it is not plain."""
    sky = np.full((260, 260, 3), (120, 170, 230), np.uint8)
    assert is_blank(sky)
    sky[100:112, 100:124] = 30
    assert not is_blank(sky)
