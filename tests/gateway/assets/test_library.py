"""The library: which assets there are, by name and by id, and who waits for an event."""

import asyncio
from typing import Any

import orjson
import pytest
from support.image_rows import deleted_row, image_row

from schemas.assets import row_id
from streams.fold.rows import ImageKey
from streams.gateway.assets.library import Library
from streams.state.partition import PartitionState

CLOUD = "demo"
ID = "0123456789abcdef0123456789abcdef"


async def nothing_new() -> None:
    """All is here."""


def key(row: str = "koala", cloud: str = CLOUD) -> str:
    return ImageKey(cloud, row).encode()


def asset_row(asset_id: str = ID, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
    """The row of an uploaded koala."""
    asset = {"asset_id": asset_id, "object": "demo/1", "format": "jpg", "version": 7} | fields.pop(
        "asset", {}
    )
    row = orjson.loads(image_row({"koala": 0.9}, own=("zoo",)))
    return orjson.dumps(row | {"tenant": CLOUD, "asset": asset} | fields)


@pytest.fixture
def library() -> Library:
    return Library(nothing_new)


def put(library: Library, row: bytes | None, at: str | None = None) -> None:
    library.changed(0, "images", at or key(), None, row)


def test_an_asset_is_found_by_its_name_and_by_its_id(library: Library) -> None:
    """What is committed is there, with the tags of its row and where they are from."""
    put(library, asset_row())
    found = library.get(CLOUD, "image", "upload", "koala")
    assert found is not None
    assert found == library.by_asset_id(CLOUD, ID)
    assert (found.public_id, found.asset.object, found.tags) == ("koala", "demo/1", ["zoo", "koala"])
    assert found.own_tags == ["zoo"]
    assert found.scores == {"imagga_tagging": [("koala", 0.9)]}
    assert library.get("other", "image", "upload", "koala") is None
    assert library.get(CLOUD, "image", "private", "koala") is None
    assert library.by_asset_id("other", ID) is None


def test_an_image_that_another_publisher_told_of_is_an_asset_as_well(library: Library) -> None:
    """An image without an asset has an id of its own, always the same."""
    put(library, image_row({"koala": 0.9}), ImageKey("", "direct").encode())
    found = library.get("", "image", "upload", "direct")
    assert found is not None
    assert found.url == "http://h/1.jpg"
    assert library.by_asset_id("", found.asset.asset_id) == found
    assert (found.asset.created_at, found.asset.version) == (1_000, 3)


def test_a_raw_asset_is_no_image_of_the_same_name(library: Library) -> None:
    """Raw assets have rows of their own, and the tags of their own asset."""
    row = row_id("raw", "upload", "koala")
    raw = {"resource_type": "raw", "public_id": "koala", "tags": ["paper"]}
    put(library, asset_row(asset=raw, tags=[], by=[], scores={}), key(row))
    assert library.get(CLOUD, "image", "upload", "koala") is None
    assert library.get(CLOUD, "image", "upload", row) is None
    found = library.get(CLOUD, "raw", "upload", "koala")
    assert found is not None
    assert (found.public_id, found.tags, found.own_tags) == ("koala", ["paper"], ["paper"])


@pytest.mark.parametrize("last", ["koala", "bear"])
@pytest.mark.parametrize("gone", ["koala", "bear"])
def test_an_asset_with_two_names_keeps_its_id_under_the_other_one(
    library: Library, last: str, gone: str
) -> None:
    """A renaming that was cut off leaves both names; the end of either leaves the asset to the other."""
    for name in ("koala", "bear", last):
        put(library, asset_row(), key(name))
    put(library, deleted_row(), key(gone))
    found = library.by_asset_id(CLOUD, ID)
    assert found is not None
    assert {found.public_id, gone} == {"koala", "bear"}
    put(library, deleted_row(), key(found.public_id))
    assert library.by_asset_id(CLOUD, ID) is None


def test_a_deleted_asset_is_gone(library: Library) -> None:
    """A deleted image is no asset, whether its row is still there or not."""
    put(library, asset_row())
    put(library, deleted_row())
    assert library.get(CLOUD, "image", "upload", "koala") is None
    assert library.by_asset_id(CLOUD, ID) is None
    assert [*library.all(CLOUD)] == []
    put(library, None)
    assert [*library.all(CLOUD)] == []


def test_a_renamed_asset_keeps_its_id(library: Library) -> None:
    """While the old name is still there, and after it is gone, the id leads to the new name."""
    put(library, asset_row())
    put(library, asset_row(), key("bear"))
    put(library, deleted_row())
    found = library.by_asset_id(CLOUD, ID)
    assert found is not None
    assert found.public_id == "bear"


def test_all_assets_of_a_cloud_are_a_picture_of_one_moment(library: Library) -> None:
    """What changes later does not change what was given."""
    put(library, asset_row())
    put(library, asset_row("f" * 32), key("bear"))
    put(library, asset_row("e" * 32), key("bear", "other"))
    assets = library.all(CLOUD)
    put(library, None)
    assert sorted(asset.public_id for asset in assets) == ["bear", "koala"]
    assert [asset.public_id for asset in assets[1:]] == ["bear"]
    assert len(library.all(CLOUD)) == 1
    assert len(library.all("nobody")) == 0


async def test_the_rows_of_a_partition_are_loaded_at_once() -> None:
    """What was committed before a gateway began is in its library."""
    library, state = Library(nothing_new), PartitionState(0)
    state.indexes.append(library)
    state.apply_all("images", [(key(), asset_row()), (key("gone"), deleted_row())])
    state.loaded = True
    await state.build_indexes()
    assert [asset.public_id for asset in library.all(CLOUD)] == ["koala"]
    state.apply("images", key("bear"), asset_row("f" * 32))
    assert len(library.all(CLOUD)) == 2


def test_whoever_waits_for_an_event_is_told_when_it_is_committed(library: Library) -> None:
    """Uploads, deletions and edits are told by their keys; two may wait for the same one."""
    with library.awaited(CLOUD, "koala", "e1") as one, library.awaited(CLOUD, "koala", "e1") as two:
        put(library, asset_row(ids=["e0"]))
        assert not one.is_set()
        put(library, asset_row(ids=["e0", "e1"]))
        assert one.is_set()
        assert two.is_set()
    with library.awaited(CLOUD, "koala", "edit") as three:
        put(library, asset_row(people={"ids": ["edit"]}))
        assert three.is_set()
    with library.awaited(CLOUD, "koala", "gone") as four:
        put(library, orjson.dumps(orjson.loads(deleted_row()) | {"ids": ["gone"]}))
        assert four.is_set()
    with library.awaited(CLOUD, "koala", "gone") as five:
        assert five.is_set(), "it was committed before"
    assert library._waiting == {}


async def test_many_barriers_share_a_round() -> None:
    """Who comes while a round is under way waits for the next one, as what it must see may be newer."""
    rounds: list[asyncio.Event] = []

    async def catch_up() -> None:
        rounds.append(asyncio.Event())
        await rounds[-1].wait()

    library = Library(catch_up)
    first = asyncio.create_task(library.barrier())
    while not rounds:
        await asyncio.sleep(0)
    later = [asyncio.create_task(library.barrier()) for _ in range(10)]
    await asyncio.sleep(0)
    rounds[0].set()
    await first
    assert not any(task.done() for task in later)
    while len(rounds) < 2:
        await asyncio.sleep(0)
    rounds[1].set()
    await asyncio.gather(*later)
    assert len(rounds) == 2
