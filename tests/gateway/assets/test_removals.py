"""What becomes of bytes and names where two gateways, or two calls, change the same asset at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
import orjson
import pytest
from support.image_rows import deleted_row, image_row

from schemas.uploads import UploadData, UploadType
from streams.fetch.object_store import ObjectStore
from streams.fold.rows import ImageKey
from streams.gateway.assets.changing import Assets, Change
from streams.gateway.assets.events import Events, Settled
from streams.gateway.assets.intake import Intake
from streams.gateway.assets.library import Library
from streams.gateway.assets.media import MediaReader
from streams.gateway.assets.removals import Removals
from streams.gateway.assets.updates import Updates
from streams.gateway.assets.uploads import UploadCall, Uploads
from streams.gateway.chunked_uploads import ChunkedUploads
from streams.gateway.chunks import Chunk, Chunks, Finished, Stored
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.credentials import Cloud, Key
from streams.gateway.requests.options import UploadOptions
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, UnknownAssetError

CLOUD, OBJECT, ID = "demo", "demo/1", "0123456789abcdef0123456789abcdef"
KEY = Key("1", "secret-of-1")
CALLER = Caller(Cloud(CLOUD, {"1": KEY}), KEY)
PHOTO = (Path(__file__).parents[3] / "streams" / "photos" / "koala.jpg").read_bytes()
KIND = ("upload", "upload")
KIND_OF_IMAGES = ("image", "upload")


async def _nothing() -> None:
    """Nobody else does anything."""


class Scene:
    """A gateway whose events are committed at once.

    Attributes:
        meanwhile: What others do once an event is committed.
        elsewhere: What others have done, as this gateway learns when it catches up.
    """

    def __init__(self, folder: Path) -> None:
        self.meanwhile: Callable[[], Awaitable[None]] = _nothing
        self.elsewhere: Callable[[], Awaitable[None]] = _nothing
        self.objects = ObjectStore.parse("", folder)
        self.library = Library(self._catch_up)
        self.events: list[UploadData] = []
        self.removals = Removals(Assets(self.library, cast("Events", self)), self.objects, frozenset())
        self.uploads = Uploads(
            self.library, cast("Events", self), self.objects, MediaReader(self.objects, 1_000_000)
        )

    async def _catch_up(self) -> None:
        await self.elsewhere()

    def was_committed(self, _event: UploadData) -> bool:
        return False

    async def submit(self, event: UploadData, *, until: float | None) -> Settled:
        del until
        await asyncio.sleep(0)
        self.events.append(event)
        name = event.public_id or ""
        if event.type == UploadType.DELETED:
            self.end(name)
        elif event.type == UploadType.UPLOADED:
            at = int(datetime.fromisoformat(event.uploaded_at or "").timestamp() * 1000)
            self.put(name, at=at, url=event.url, **msgspec.to_builtins(event.asset))
        await self.meanwhile()
        return Settled.COMMITTED

    def put(
        self,
        name: str,
        at: int = 1_000,
        url: str | None = None,
        own: Sequence[str] = (),
        **asset: object,
    ) -> None:
        told = {"asset_id": ID, "object": OBJECT, "format": "jpg", "version": 7} | asset
        row = orjson.loads(image_row({}, own=tuple(own)))
        row |= {"tenant": CLOUD, "at": at, "url": url, "asset": told}
        self.library.changed(0, "images", ImageKey(CLOUD, name).encode(), None, orjson.dumps(row))

    def end(self, name: str) -> None:
        self.library.changed(0, "images", ImageKey(CLOUD, name).encode(), None, deleted_row())

    async def rename(self, old: str, new: str) -> str:
        done = await self.removals.rename(_change(), "image", KIND, (old, new), overwrite=False)
        return done.asset.public_id

    @property
    def names(self) -> list[str]:
        return sorted(each.public_id for each in self.library.all(CLOUD))


def _change() -> Change:
    return Change(CALLER, "test", asyncio.get_running_loop().time() + 5)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    """One asset, `koala`, with its bytes."""
    scene = Scene(tmp_path)
    await scene.objects.put(OBJECT, PHOTO)
    scene.put("koala")
    return scene


async def test_bytes_of_an_asset_that_another_gateway_renames_meanwhile_stay(scene: Scene) -> None:
    """Its end comes too late for the new name, which this gateway does not know of yet."""

    async def renamed() -> None:
        if scene.events:
            scene.put("bear")

    scene.elsewhere = renamed
    assert await scene.removals.destroy(_change(), "image", "upload", "koala")
    assert scene.names == ["bear"]
    assert await scene.objects.find(OBJECT) is not None


async def test_the_end_of_one_name_of_two_leaves_the_bytes_to_the_other(scene: Scene) -> None:
    """A renaming that was cut off left two names."""
    scene.put("bear")
    await scene.removals.destroy(_change(), "image", "upload", "bear")
    assert await scene.objects.find(OBJECT) is not None
    await scene.removals.destroy(_change(), "image", "upload", "koala")
    assert await scene.objects.find(OBJECT) is None


async def test_no_new_name_is_left_without_bytes(scene: Scene) -> None:
    """Where another gateway destroyed the asset while this one renamed it, it is gone."""

    async def destroyed() -> None:
        scene.meanwhile = _nothing
        scene.end("koala")
        await scene.objects.delete(OBJECT)

    scene.meanwhile = destroyed
    with pytest.raises(UnknownAssetError, match="koala"):
        await scene.rename("koala", "bear")
    assert scene.names == []


async def test_two_renamings_at_once(scene: Scene) -> None:
    """Two assets do not get one name, and one asset does not get two."""
    scene.put("cat", asset_id="f" * 32, object="demo/2")
    await scene.objects.put("demo/2", PHOTO)
    done = await asyncio.gather(scene.rename("koala", "x"), scene.rename("cat", "x"), return_exceptions=True)
    assert done[0] == "x"
    assert isinstance(done[1], BadCallError)
    done = await asyncio.gather(scene.rename("cat", "y"), scene.rename("cat", "z"), return_exceptions=True)
    assert done[0] == "y"
    assert isinstance(done[1], UnknownAssetError)
    assert scene.names == ["x", "y"]


async def test_bytes_of_an_upload_that_is_renamed_before_it_is_answered_stay(scene: Scene) -> None:
    """They belong to the asset that the upload made, whatever its name is by then."""

    async def renamed() -> None:
        asset = scene.events[-1].asset
        assert asset is not None
        scene.put("new", **msgspec.to_builtins(asset))
        scene.end("fresh")

    scene.meanwhile = renamed
    file = await Intake(scene.objects, CLOUD, 1_000_000).take(FilePart("file", None, ""), _pieces())
    await scene.uploads.upload(UploadCall(CALLER, UploadOptions(public_id="fresh"), file, 0.0))
    assert await scene.objects.find(file.key) is not None


async def test_other_calls_have_their_turns_while_many_tags_change(scene: Scene) -> None:
    """A call may name a thousand assets with a thousand tags each."""
    names = [f"a{number}" for number in range(100)]
    for name in names:
        scene.put(
            name, asset_id=f"{len(name)}{name}".ljust(32, "0"), own=[f"old {tag}" for tag in range(1000)]
        )
    loop, gaps = asyncio.get_running_loop(), [0.0]

    async def tick() -> None:
        while True:
            begun = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - begun)

    ticking = asyncio.create_task(tick())
    tags = [f"new {tag}" for tag in range(1000)]
    updates = Updates(Assets(scene.library, cast("Events", scene)))
    await updates.edit_tags(_change(), KIND_OF_IMAGES, names, command="replace", tags=tags)
    ticking.cancel()
    assert len(scene.events) == len(names)
    assert scene.events[0].added == tags
    assert max(gaps) < 2


async def test_the_last_chunk_is_answered_with_the_asset_that_another_gateway_just_made(scene: Scene) -> None:
    """It saw all chunks, and has removed them when this gateway looks for them."""

    class Joined(Chunks):
        async def whole(self, cloud: str, upload_id: str) -> list[Stored] | None:
            await self.finish(cloud, upload_id, Finished("image", "upload", "koala"))
            return await super().whole(cloud, upload_id)

    chunks, chunk = Joined(scene.objects, 1_000_000), Chunk(9, 9 + len(PHOTO), 9 + len(PHOTO))
    key = chunks.key(CLOUD, "u", chunk)
    intake = Intake(scene.objects, CLOUD, 1_000_000, key)
    file = await intake.take(FilePart("file", None, ""), _pieces())
    call = UploadCall(CALLER, UploadOptions(), file, 0.0, "u")
    taken = await ChunkedUploads(chunks, scene.uploads, scene.library).take(call, ("u", chunk, key), intake)
    assert not isinstance(taken, dict)
    assert taken.asset.public_id == "koala"


async def _pieces() -> AsyncIterator[bytes]:
    yield PHOTO
