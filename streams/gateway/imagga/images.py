"""Images on their way to taggers: in memory, bounded each and all together, or lent by the object store."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

from streams.fetch.object_store import ObjectStore
from streams.gateway.requests.bodies import Buffers, check_size
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, UnknownAssetError, shown

PREFIX = "_imagga"  # see streams.gateway.assets.sweeper
KEPT_FOR = 86_400.0  # seconds that an uploaded image can be asked about
_ID = re.compile(r"[0-9a-f]{32}")


class ImageInMemory:
    """Takes the bytes of one image: a `streams.gateway.requests.parts.FileSink`.

    Attributes:
        is_whole: Whether there is one.
    """

    def __init__(self, most: int, buffers: Buffers) -> None:
        """Prepare.

        Args:
            most: Bytes that it may have.
            buffers: What all of them may take together.
        """
        self.is_whole = False
        self._most = most
        self._buffers = buffers
        self._pieces: list[bytes] = []
        self._size = 0

    async def begin(self, part: FilePart, fields: Fields) -> None:
        """Begin; what the fields say is looked at later."""
        del fields
        if part.name not in {"image", "image_base64"}:
            raise BadCallError(f"A file was sent as {shown(part.name)!r}; send it as image")

    async def write(self, data: bytes) -> None:
        """Take more of it.

        Raises:
            BadCallError: It is too large.
            TooOftenError: There is no room for it now.
        """
        check_size(self._size + len(data), self._most)
        self._buffers.take(len(data))
        self._size += len(data)
        self._pieces.append(data)

    async def end(self) -> None:
        """It is whole.

        Raises:
            BadCallError: It is empty.
        """
        if not self._size:
            raise BadCallError("The image is empty: it has no bytes")
        self.is_whole = True

    @property
    def data(self) -> bytes:
        """The bytes."""
        return b"".join(self._pieces)

    def release(self) -> None:
        """Free the memory; more than once does no harm."""
        self._buffers.give_back(self._size)
        self._pieces, self._size = [], 0


class UploadedImages:
    """Images that `/v2/uploads` took: any gateway finds them, for a day."""

    def __init__(self, objects: ObjectStore, clock: Callable[[], float] = time.time) -> None:
        self._objects = objects
        self._clock = clock

    async def put(self, cloud: str, data: bytes) -> str:
        """Keep an image; return what names it."""
        upload_id = uuid4().hex
        await self._objects.put(_key(cloud, upload_id), data)
        return upload_id

    async def read(self, cloud: str, upload_id: str, sink: ImageInMemory) -> None:
        """Hand the bytes of an image on.

        Raises:
            UnknownAssetError: There is none.
        """
        key = await self._key_of(cloud, upload_id)
        async for piece in self._objects.read(key):
            await sink.write(piece)
        await sink.end()

    async def delete(self, cloud: str, upload_id: str) -> None:
        """Forget an image.

        Raises:
            UnknownAssetError: There is none.
        """
        await self._objects.delete(await self._key_of(cloud, upload_id))

    async def _key_of(self, cloud: str, upload_id: str) -> str:
        found = await self._objects.find(_key(cloud, upload_id)) if _ID.fullmatch(upload_id) else None
        if found is None or found.changed_at < self._clock() - KEPT_FOR:
            raise UnknownAssetError(f"There is no upload {shown(upload_id)}; uploads are kept for a day")
        return found.key


def _key(cloud: str, upload_id: str) -> str:
    return f"{PREFIX}/{cloud}/{upload_id}"
