"""Embeddings from a real worker, and the images that are similar by them."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image
from support.cluster import Cluster
from support.images.lettered import PHOTOS

from model.embedding.codes import PATTERN
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

NAMES = ("cat", "dog", "boat", "mirrored")


@pytest.fixture
async def photos(tmp_path: Path) -> AsyncIterator[FileServer]:
    """Three photos, and one of them mirrored, which has another perceptual hash."""
    with Image.open(PHOTOS / "cat.jpg") as photo:
        file = io.BytesIO()
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file, "JPEG", quality=80)
    (tmp_path / "mirrored.jpg").write_bytes(file.getvalue())
    files = [*(PHOTOS / f"{name}.jpg" for name in NAMES[:3]), tmp_path / "mirrored.jpg"]
    async with FileServer(files, "127.0.0.1", 0) as server:
        yield server


@pytest.mark.parametrize("kept", [True, False])
async def test_similar_images_are_found(
    kafka: str, unique: str, tmp_path: Path, photos: FileServer, *, kept: bool
) -> None:
    """A mirrored copy comes first, beside what add-ons of other networks say; unless the setting is off."""
    environment = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_EMBEDDINGS": str(kept).lower(),
    }
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        events = [UploadData(public_id=name, url=photos.url(n)) for n, name in enumerate(NAMES)]
        await cluster.publish(events)
        await cluster.until_folded(len(events))
        results = await cluster.results()
        assert [bool(re.match(PATTERN, result.get("embedding", ""))) for result in results] == [kept] * 4
        assert all("phash" in result for result in results)
        found = await cluster.get(0, "/images/cat/similar?limit=2")
        if kept:
            assert [image["public_id"] for image in found["images"]] == ["mirrored", "dog"]
            assert found["images"][0]["similarity"] > 0.8
        else:
            assert (found["embedding"], found["images"]) == (None, [])
        assert (await cluster.get(0, "/images/cat/duplicates"))["total"] == 0
    finally:
        await cluster.close()
