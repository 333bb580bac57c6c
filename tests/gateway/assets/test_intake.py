"""Files on their way into the object store."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blake3 import blake3

from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.intake import HEAD, Intake
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, GatewayError

PART = FilePart("file", "koala.jpg", "image/jpeg")
MOST = 2_000_000


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.parse("", tmp_path)


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, HEAD, 1_500_000])
async def test_a_file_is_stored_and_known(store: ObjectStore, size: int) -> None:
    """Its digests are those of its bytes, its beginning is kept, and it lies under a key of the cloud."""
    data = bytes(number % 251 for number in range(size))
    file = await Intake(store, "demo", MOST).take(PART, pieces(data))
    assert (file.size, file.filename) == (size, "koala.jpg")
    assert file.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert file.digest == blake3(data).hexdigest()
    assert file.head == data[:HEAD]
    assert file.key.startswith("demo/")
    assert b"".join([piece async for piece in store.read(file.key)]) == data


async def test_nothing_stays_of_a_file_that_is_refused(store: ObjectStore) -> None:
    """One that is empty or too large, or that nobody wants in the end, leaves no object."""
    with pytest.raises(BadCallError, match="Empty file"):
        await Intake(store, "demo", MOST).take(PART, pieces(b""))
    large = Intake(store, "demo", MOST)
    with pytest.raises(BadCallError, match="File size too large"):
        await large.take(PART, pieces(bytes(MOST + 1)))
    await large.discard()
    whole = Intake(store, "demo", MOST)
    await whole.take(PART, pieces(b"1"))
    assert whole.is_whole
    await whole.discard()
    assert [each async for some in store.list() for each in some] == []
    assert [*store.unfinished()] == []


async def test_a_store_that_is_away_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """The caller may send it again; what cannot be removed now is left to the sweeper."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setattr("streams.fetch.object_store._RETRIES", {"max_retries": 0})
    store = ObjectStore.parse("s3://bucket", tmp_path)
    intake = Intake(store, "demo", MOST)
    await intake.begin(PART, Fields({}))
    await intake.write(b"1")
    with pytest.raises(GatewayError, match="object store does not answer") as caught:
        await intake.end()
    assert caught.value.status == 500
    intake._whole = True
    await intake.discard()
