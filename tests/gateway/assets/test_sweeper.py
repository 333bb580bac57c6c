"""Sweeping: what nobody names goes, once nobody can come to name it."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from support.image_rows import deleted_row, image_row

from streams.fetch.object_store import ObjectStore, thumbnail_key
from streams.fold.rows import ImageKey
from streams.gateway.assets import sweeper as sweeping
from streams.gateway.assets.library import Library
from streams.gateway.assets.sweeper import OWNER, Sweeper
from streams.state.partition import PartitionState

HOUR = 3600.0


async def nothing_new() -> None:
    """All is here."""


class Scene:
    """An object store, a library and a partition with a log of ten events."""

    def __init__(self, folder: Path) -> None:
        self.objects = ObjectStore.parse("", folder)
        self.state = PartitionState(0)
        self.library = Library(nothing_new)
        self.state.indexes.append(self.library)
        self.folded(10)
        self.sweeper = Sweeper(self.objects, self.library, lambda: {0: self.state}, self._ends, grace=HOUR)

    async def _ends(self) -> Mapping[int, int]:
        return {0: 10}

    async def put(self, key: str, age: float = 2 * HOUR) -> None:
        await self.objects.put(key, b"1")
        assert self.objects.folder is not None
        then = time.time() - age
        os.utime(self.objects.folder / key, (then, then))

    def folded(self, offset: int) -> None:
        self.state.apply("meta", "@offset", orjson.dumps({"next": offset}))

    async def commit(self, name: str, row: bytes) -> None:
        self.state.apply("images", ImageKey("demo", name).encode(), row)
        self.state.loaded = True
        await self.state.build_indexes()

    async def keys(self) -> list[str]:
        return sorted([each.key async for some in self.objects.list() for each in some])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def row(key: str) -> bytes:
    asset = {"asset_id": "a" * 32, "object": key}
    return orjson.dumps(orjson.loads(image_row({})) | {"asset": asset, "tenant": "demo"})


async def test_an_old_object_that_no_asset_names_is_removed(scene: Scene) -> None:
    """One that an asset names stays, and so does a young one: its event may be under way."""
    for key, age in (("demo/named", 9 * HOUR), ("demo/orphan", 2 * HOUR), ("demo/young", HOUR / 2)):
        await scene.put(key, age)
    await scene.commit("koala", row("demo/named"))
    await scene.commit("gone", deleted_row())
    assert await scene.sweeper.sweep() == 1
    assert await scene.keys() == ["demo/named", "demo/young"]


async def test_nothing_of_another_deployment_is_removed(scene: Scene) -> None:
    """Whoever swept first owns the store: assets of another cluster's log are not known here."""
    here = "this"

    async def owner() -> str:
        return here

    sweeper = Sweeper(
        scene.objects, scene.library, lambda: {0: scene.state}, scene._ends, grace=HOUR, owner=owner
    )
    await scene.put("demo/orphan")
    assert await sweeper.sweep() == 1
    await scene.put("demo/theirs")
    here = "another"
    with pytest.raises(OSError, match="belongs to this, and this is another"):
        await sweeper.sweep()
    assert await scene.keys() == [OWNER, "demo/theirs"]
    here = "this"
    assert await sweeper.sweep() == 1


async def test_an_object_that_a_row_fetches_from_stays(scene: Scene) -> None:
    """Whoever publishes an event with an object's URL names it as well."""
    await scene.put("demo/named")
    await scene.commit("koala", image_row({}, url="store:///demo/named"))
    assert await scene.sweeper.sweep() == 0


async def test_a_thumbnail_goes_with_the_last_image_that_has_it(scene: Scene) -> None:
    """It lies under the bytes of images, and stays while any row names these."""
    digest = "0123456789abcdef0123456789abcdef"
    named = orjson.dumps(orjson.loads(image_row({})) | {"tenant": "demo", "thumb": digest})
    await scene.put(thumbnail_key(digest))
    await scene.commit("koala", named)
    await scene.commit("copy", named)
    assert await scene.sweeper.sweep() == 0
    await scene.commit("koala", deleted_row())
    assert await scene.sweeper.sweep() == 0
    await scene.commit("copy", deleted_row())
    assert await scene.sweeper.sweep() == 1
    assert await scene.keys() == []


async def test_nothing_goes_before_all_events_are_folded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that waits in the log or for its source might name the object."""
    monkeypatch.setattr(sweeping, "_LOOK_INTERVAL", 0.01)
    await scene.put("demo/late")
    scene.folded(9)
    sweep = asyncio.create_task(scene.sweeper.sweep())
    await asyncio.sleep(0.1)
    scene.state.apply("retries", "9", b"{}")
    scene.folded(10)
    await asyncio.sleep(0.1)
    assert not sweep.done()
    await scene.commit("late", row("demo/late"))
    scene.state.apply("retries", "9", None)
    assert await sweep == 0
    assert await scene.keys() == ["demo/late"]


async def test_a_log_that_stands_still_ends_the_sweep(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no worker folds, nothing is removed."""
    monkeypatch.setattr(sweeping, "_PATIENCE", 0.05)
    await scene.put("demo/orphan")
    scene.folded(9)
    with pytest.raises(TimeoutError):
        await scene.sweeper.sweep()
    assert await scene.keys() == ["demo/orphan"]


async def test_chunks_that_never_became_a_file_are_removed_after_a_day(scene: Scene) -> None:
    """Whoever sends a file in chunks has a day for it."""
    await scene.put("_chunks/demo/u/1", 23 * HOUR)
    await scene.put("_chunks/demo/u/2", 25 * HOUR)
    assert await scene.sweeper.sweep() == 1
    assert await scene.keys() == ["_chunks/demo/u/1"]


async def test_what_a_killed_gateway_was_writing_is_removed(scene: Scene) -> None:
    """A file that was never whole is no object; it goes as well, once it is old."""
    await scene.put("demo/named", 0)
    assert scene.objects.folder is not None
    half = scene.objects.folder / "demo/half#1"
    half.write_bytes(b"1")
    assert await scene.sweeper.sweep() == 0
    os.utime(half, (0, 0))
    assert await scene.sweeper.sweep() == 1
    assert await scene.keys() == ["demo/named"]
    assert not half.exists()
