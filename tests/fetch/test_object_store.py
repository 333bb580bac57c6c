"""The object store as a source, and as what is written to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from streams.fetch.addresses import AddressPolicy
from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.object_store import ObjectStore, url_of

LIMITS = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=5, answer=5, concurrency=8, per_host=4
)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.parse("", tmp_path)


@pytest.fixture
async def fetcher(store: ObjectStore) -> AsyncIterator[Fetcher]:
    async with Fetcher(AddressPolicy(), LIMITS, objects=store) as started:
        yield started


async def test_an_object_is_fetched_by_its_key(store: ObjectStore, fetcher: Fetcher) -> None:
    """What was put under a key is what its URL leads to, and its memory is given back."""
    await store.put("demo/2026/koala.jpg", b"koala" * 50_000)
    with await fetcher.fetch(url_of("demo/2026/koala.jpg")) as fetched:
        assert fetched.data == b"koala" * 50_000
        assert fetcher.budget.used == 250_000
    assert fetcher.budget.used == 0


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024 + 1, 12_000_000])
async def test_an_object_is_there_once_it_is_closed(store: ObjectStore, size: int) -> None:
    """It is written in parts, none of which is seen before the last one."""
    writer = store.writer("demo/large")
    for start in range(0, size, 1_000_000):
        await writer.write(b"x" * min(1_000_000, size - start))
    assert await store.find("demo/large") is None
    await writer.close()
    found = await store.find("demo/large")
    assert found is not None
    assert found.size == size
    assert sum([len(piece) async for piece in store.read("demo/large")]) == size


async def test_what_is_not_whole_is_told_apart(store: ObjectStore) -> None:
    """A file that is still written, or was when its process was killed, is no object."""
    writer = store.writer("demo/large")
    await writer.write(bytes(12_000_000))
    async with asyncio.timeout(5):
        while not [*store.unfinished()]:
            await asyncio.sleep(0.01)
    assert [each async for some in store.list() for each in some] == []
    await writer.close()
    assert [*store.unfinished()] == []


async def test_a_writer_of_a_folder_holds_little_in_memory(store: ObjectStore) -> None:
    """Bytes of callers who dawdle lie in files: hundreds of them may write at once."""
    writer = store.writer("demo/slow")
    await writer.write(bytes(1_000_000))
    async with asyncio.timeout(5):
        while sum(path.stat().st_size for path in store.unfinished()) < 500_000:
            await asyncio.sleep(0.01)
    del writer


async def test_parts_of_an_object_are_read(store: ObjectStore) -> None:
    """From any byte to any other."""
    await store.put("demo/letters", b"abcdefgh")
    assert [piece async for piece in store.read("demo/letters", 2, 5)] == [b"cde"]
    assert [piece async for piece in store.read("demo/letters", 6)] == [b"gh"]


async def test_objects_are_listed_and_deleted(store: ObjectStore) -> None:
    """A deletion of what is not there does no harm."""
    for name in ("demo/a", "demo/b", "other/c"):
        await store.put(name, b"1")
    listed = [each.key async for some in store.list("demo") for each in some]
    assert sorted(listed) == ["demo/a", "demo/b"]
    await store.delete("demo/a")
    await store.delete("demo/a")
    assert await store.find("demo/a") is None
    with pytest.raises(FileNotFoundError):
        [piece async for piece in store.read("demo/a")]


async def test_a_missing_object_is_gone_for_good(fetcher: Fetcher) -> None:
    """As with status 404, trying again does not help."""
    with pytest.raises(SourceGoneError) as caught:
        await fetcher.fetch(url_of("demo/none"))
    assert caught.value.code == "object_missing"
    assert str(caught.value) == "store:///demo/none is not in the object store"


async def test_an_object_that_is_too_large_is_not_read(store: ObjectStore, fetcher: Fetcher) -> None:
    """Its size is known before its bytes are asked for."""
    await store.put("demo/large", bytes(1_000_001))
    with pytest.raises(SourceGoneError) as caught:
        await fetcher.fetch(url_of("demo/large"))
    assert caught.value.code == "image_too_large"


async def test_a_store_that_does_not_answer_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """Where a bucket's server is away, the fetch is to be repeated later."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{unused_tcp_port}")
    store = ObjectStore.parse("s3://bucket", tmp_path)
    async with Fetcher(AddressPolicy(), LIMITS, objects=store) as fetcher:
        with pytest.raises(SourceBusyError):
            await fetcher.fetch(url_of("demo/1"))


@pytest.mark.parametrize(
    "path",
    [
        "../secret", "demo/../../secret", "demo/./a", "/etc/passwd", "demo//a", "demo/%2e%2e/a", "demo/a?b",
        "demo/a#b", ".hidden", "demo/.hidden", "demo\\..\\a", "demo/a\x00", "", "demo/", "d" * 600, "demo/ä",
    ],
)  # fmt: skip
async def test_no_url_leads_out_of_the_store(store: ObjectStore, fetcher: Fetcher, path: str) -> None:
    """Keys are plain names; whatever could mean another place is refused unread."""
    await store.put("demo/a", b"1")
    assert store.folder is not None
    (store.folder.parent / "secret").write_bytes(b"secret")
    with pytest.raises(SourceGoneError) as caught:
        await fetcher.fetch("store:///" + path)
    assert caught.value.code == "invalid_url"


async def test_another_host_is_no_store_of_ours(fetcher: Fetcher) -> None:
    """There is one store, and it has no name."""
    with pytest.raises(SourceGoneError):
        await fetcher.fetch("store://elsewhere/demo/a")


@pytest.mark.parametrize("place", ["ftp://host/x", "file://host", "memory:///", "az://container"])
def test_places_that_are_no_store(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the value and what may stand there."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SettingsError, match="TAGSTREAM_OBJECT_STORE"):
        ObjectStore.parse(place, tmp_path)


def test_a_folder_is_made_when_it_is_needed(tmp_path: Path) -> None:
    """A worker that reads no object leaves the disk alone."""
    assert ObjectStore.parse("", tmp_path).folder == tmp_path / "objects"
    assert ObjectStore.parse(f"file://{tmp_path}/o", tmp_path).folder == tmp_path / "o"
    assert [*tmp_path.iterdir()] == []
