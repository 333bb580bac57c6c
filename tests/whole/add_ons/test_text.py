"""An add-on that reads words, in a real worker beside the default."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.images.lettered import PHOTOS, lettered

from model.text.folder import write_text_folder
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SALE = [("SUMMER", True), ("SALE", True)]


@pytest.fixture
async def photos(tmp_path: Path) -> AsyncIterator[FileServer]:
    """A photo with words on it, and the photo itself."""
    (tmp_path / "sale.jpg").write_bytes(lettered("SUMMER SALE"))
    async with FileServer([tmp_path / "sale.jpg", PHOTOS / "koala.jpg"], "127.0.0.1", 0) as server:
        yield server


@pytest.mark.parametrize("as_tags", [False, True])
async def test_words_stand_beside_the_tags(
    kafka: str, unique: str, tmp_path: Path, photos: FileServer, *, as_tags: bool
) -> None:
    """In the result and in the image's state; counted as tags only where the operator says so."""
    write_text_folder(tmp_path / "text")
    environment = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_ADD_ONS": f"imagga_tagging,text_tagging={tmp_path / 'text'}",
        "TAGSTREAM_CATEGORIZATION": "imagga_tagging,text_tagging",
        "TAGSTREAM_AUTO_TAGGING": "0.9",
        "TAGSTREAM_TEXT_TAGS": str(as_tags).lower(),
    }
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish([UploadData(public_id=name, url=photos.url(n)) for n, name in enumerate("ab")])
        async with asyncio.timeout(60):  # they are aside while they are read
            while len(found := await cluster.results()) < 2:
                await asyncio.sleep(0.2)
        results = {result["public_id"]: result for result in found}
        read = {name: result["info"]["categorization"]["text_tagging"] for name, result in results.items()}
        assert [(each["word"], each["confidence"] > 0.9) for each in read["a"]["words"]] == SALE
        assert read["b"] == {"status": "complete", "data": [], "words": [], "model": read["b"]["model"]}
        assert read["a"]["model"]["name"] == "pp-ocr"
        assert [bool(each["info"]["categorization"]["imagga_tagging"]["data"]) for each in results.values()]
        image = await cluster.get(0, "/images/a")
        assert image["words"] == {"text_tagging": read["a"]["words"]}
        counts = await cluster.counts()
        assert ("sale" in counts, "summer" in counts) == (as_tags, as_tags)
        assert counts["koala"] >= 1
    finally:
        await cluster.close()
