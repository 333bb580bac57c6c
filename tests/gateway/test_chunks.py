"""Chunks of a file: what their headers say, and which of them are a whole."""

import os
import time
from pathlib import Path

import pytest

from streams.fetch.object_store import ObjectStore
from streams.gateway.chunks import (
    Chunk,
    Chunks,
    Finished,
    check_upload_id,
    provisional_public_id,
    read_range,
)
from streams.gateway.requests.problems import BadCallError

MOST = 1000


@pytest.mark.parametrize(
    ("header", "chunk"),
    [
        ("bytes 0-99/300", Chunk(0, 100, 300)),
        ("bytes 200-299/300", Chunk(200, 300, 300)),
        ("bytes 0-99/-1", Chunk(0, 100, None)),
        ("bytes 0--1/0", Chunk(0, 0, 0)),
    ],
)
def test_ranges_as_sdks_send_them(header: str, chunk: Chunk) -> None:
    """The total may be unknown until the last chunk; an empty file ends before it begins."""
    assert read_range(header, MOST) == chunk


@pytest.mark.parametrize(
    "header",
    [
        "", "bytes", "bytes 0-99", "bytes 0-99/*", "bytes 99-0/300", "bytes 0-300/300", "bytes 0-1000/1001",
        "bytes 0-9/9999999", "bytes -1-5/10", "bytes 0-9999999999999999/1", "bits 0-1/2", "bytes 5-3/-1",
        "bytes 0-1/2, bytes 3-4/5",
    ],
)  # fmt: skip
def test_ranges_that_lie(header: str) -> None:
    """What is no part of a file that may be so large is refused."""
    with pytest.raises(BadCallError):
        read_range(header, MOST)


@pytest.mark.parametrize("upload_id", ["", "x" * 257, "a\nb", "\x00"])
def test_upload_ids_that_are_none(upload_id: str) -> None:
    """They are short and visible."""
    with pytest.raises(BadCallError):
        check_upload_id(upload_id)


def test_the_first_name_is_the_same_everywhere() -> None:
    """It comes from cloud and upload id, and so does not depend on the gateway."""
    name = provisional_public_id("demo", "u")
    assert name == provisional_public_id("demo", "u")
    assert name not in {provisional_public_id("demo", "v"), provisional_public_id("other", "u")}


class Upload:
    """The chunks of one upload."""

    def __init__(self, folder: Path) -> None:
        self.objects = ObjectStore.parse("", folder)
        self.chunks = Chunks(self.objects, MOST)
        self._age = 100.0

    async def put(self, first: int, end: int, total: int | None = 300, letter: bytes = b"x") -> None:
        key = self.chunks.key("demo", "u", Chunk(first, end, total))
        await self.objects.put(key, letter * (end - first))
        assert self.objects.folder is not None
        self._age -= 1
        then = time.time() - self._age
        os.utime(self.objects.folder / key, (then, then))

    async def content(self) -> bytes | None:
        whole = await self.chunks.whole("demo", "u")
        if whole is None:
            return None
        _, file = await self.chunks.join("demo", whole, "f.bin")
        return b"".join([piece async for piece in self.objects.read(file.key)])


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return Upload(tmp_path)


async def test_chunks_are_a_whole_in_any_order(upload: Upload) -> None:
    """The file is there once all of its bytes are."""
    await upload.put(200, 300, letter=b"c")
    await upload.put(0, 100, letter=b"a")
    assert await upload.content() is None
    await upload.put(100, 200, letter=b"b")
    assert await upload.content() == b"a" * 100 + b"b" * 100 + b"c" * 100


async def test_a_total_that_comes_last(upload: Upload) -> None:
    """Before the last chunk nobody can say that it is whole."""
    await upload.put(0, 100, None)
    await upload.put(100, 200, None)
    assert await upload.content() is None
    await upload.put(200, 300, 300)
    assert await upload.content() == b"x" * 300


async def test_a_chunk_that_came_twice(upload: Upload) -> None:
    """The later one counts."""
    await upload.put(0, 150, letter=b"a")
    await upload.put(0, 150, letter=b"b")
    await upload.put(150, 300, letter=b"c")
    assert await upload.content() == b"b" * 150 + b"c" * 150


async def test_chunks_that_overlap_are_no_whole(upload: Upload) -> None:
    """Where one ends the next must begin."""
    await upload.put(0, 100)
    await upload.put(90, 300)
    assert await upload.content() is None


async def test_chunks_of_two_files_are_refused(upload: Upload) -> None:
    """Totals that differ cannot be of one file."""
    await upload.put(0, 100, 300)
    await upload.put(100, 200, 200)
    with pytest.raises(BadCallError, match="different sizes"):
        await upload.content()


async def test_what_an_upload_became_is_remembered(upload: Upload) -> None:
    """A last chunk that comes again finds the asset; a first one begins anew."""
    await upload.put(0, 300)
    assert await upload.chunks.finished("demo", "u") is None
    await upload.chunks.finish("demo", "u", Finished("raw", "upload", "f"))
    assert await upload.content() is None
    assert await upload.chunks.finished("demo", "u") == Finished("raw", "upload", "f")
    assert await upload.chunks.finished("other", "u") is None
    await upload.chunks.begin_anew("demo", "u")
    assert await upload.chunks.finished("demo", "u") is None
