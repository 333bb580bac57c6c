"""Thumbnails: small, of the right shape, upright, and of no influence on tags; kept, or not told of."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model import Tagger, View
from streams.fetch.object_store import ObjectStore, thumbnail_key
from streams.tag.fair_queue import NOBODY
from streams.tag.jobs import TaggedImage
from streams.tag.pool import TaggerPool, nothing
from streams.tag.thumbnails.keeper import ThumbnailKeeper
from streams.tag.thumbnails.pictures import SIDE, pictured, webp

PHOTO = (Path(__file__).parents[2] / "streams" / "photos" / "mountain.jpg").read_bytes()
MOST = 20_000  # bytes of a photo's


@pytest.fixture(scope="module")
def pool() -> Iterator[TaggerPool]:
    pool = TaggerPool({"a": Tagger.load()}, threads=1, max_batch=2, known_images=4, thumbnails=True)
    pool.start()
    yield pool
    pool.stop()


async def tag(pool: TaggerPool | ThumbnailKeeper, data: bytes = PHOTO) -> TaggedImage:
    return await pool.tag(data, ("a",), nothing, share=NOBODY, aside=nothing)


def turned(photo: bytes) -> bytes:
    """The photo, to be shown a quarter turned."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(photo)).save(file, "JPEG", exif=exif)
    return file.getvalue()


async def test_a_photo_gets_a_small_picture_of_its_shape(pool: TaggerPool) -> None:
    """WebP whose longer side has 256 pixels, upright, in few bytes, and much like the photo."""
    image = await tag(pool)
    assert image.thumbnail is not None
    assert len(image.thumbnail) < MOST
    with Image.open(io.BytesIO(image.thumbnail)) as small, Image.open(io.BytesIO(PHOTO)) as photo:
        assert (small.format, small.size) == ("WEBP", (SIDE, round(SIDE * photo.height / photo.width)))
        told, meant = (np.asarray(each.convert("RGB").resize((32, 18)), int) for each in (small, photo))
        assert np.abs(told - meant).mean() < 6
    upright = await tag(pool, turned(PHOTO))
    with Image.open(io.BytesIO(upright.thumbnail or b"")) as small:
        assert small.size == (round(SIDE * image.height / image.width), SIDE)


async def test_tags_are_the_same_with_and_without(pool: TaggerPool) -> None:
    """What the model sees does not change."""
    without = TaggerPool({"a": Tagger.load()}, threads=1, max_batch=2)
    without.start()
    try:
        assert (await tag(without)).tags == (await tag(pool)).tags
        assert (await tag(without)).thumbnail is None
    finally:
        without.stop()


def test_it_is_no_larger_than_models_look() -> None:
    """A photo is scaled for the largest view: a small model's stays as it is."""
    assert pictured([View(260), View(32)]) == View(256)
    assert pictured([View(224), View(32)]) == View(224)


@pytest.mark.parametrize(("width", "height"), [(10_000, 3), (3, 10_000), (1, 1)])
def test_shapes_of_any_kind(width: int, height: int) -> None:
    """A strip is a strip of at least a pixel."""
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    with Image.open(io.BytesIO(webp(square, width, height) or b"")) as small:
        assert max(small.size) == SIDE
        assert min(small.size) >= 1


async def test_it_is_kept_by_the_bytes_of_the_photo(pool: TaggerPool, tmp_path: Path) -> None:
    """A copy has the same one, which is not made again; memory keeps none."""
    objects = ObjectStore.parse("", tmp_path)
    keeper = ThumbnailKeeper(pool, objects)
    first, copy = await tag(keeper, PHOTO + b"\0"), await tag(keeper, PHOTO + b"\0")
    assert first.thumb == copy.thumb == first.digest
    assert first.thumbnail is copy.thumbnail is None
    stored = [each.key async for page in objects.list() for each in page]
    assert stored == [thumbnail_key(first.digest)]


async def test_where_it_cannot_be_kept_it_is_not_told_of(pool: TaggerPool, tmp_path: Path) -> None:
    """The image is tagged all the same."""
    blocked = tmp_path / "objects"
    blocked.mkdir()
    (blocked / "_thumbnails").write_text("a file where a folder should be")
    image = await tag(ThumbnailKeeper(pool, ObjectStore.parse(str(blocked), tmp_path)), PHOTO + b"\0\0")
    assert image.thumb is None
    assert image.tags["a"]
