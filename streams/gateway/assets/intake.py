"""Bytes on their way in: hashed and stored as they come, and known by what they are once they are whole."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterable
from dataclasses import dataclass

from blake3 import blake3

from streams.fetch.object_store import ObjectStore, ObjectWriter
from streams.gateway.assets.naming import object_key
from streams.gateway.requests.bodies import check_size
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, GatewayError

log = logging.getLogger(__name__)

HEAD = 256 * 1024  # bytes that are kept to look at
_THREAD_FROM = 256 * 1024  # bytes that are hashed in a thread


@dataclass(frozen=True)
class StoredFile:
    """Bytes that lie in the object store.

    Attributes:
        key: Of their object.
        etag: Their MD5, as the vendor tells it.
        digest: Their BLAKE3: tells them from all others.
        head: How they begin.
        filename: As the caller calls them; None: not at all.
    """

    key: str
    size: int
    etag: str
    digest: str
    head: bytes
    filename: str | None


class Intake:
    """Takes the bytes of one file: a `streams.gateway.requests.parts.FileSink`."""

    def __init__(self, objects: ObjectStore, cloud: str, most: int, key: str | None = None) -> None:
        """Prepare.

        Args:
            objects: Where the bytes go.
            cloud: Whose they are.
            most: Bytes that there may be.
            key: Where they go; None: to a place of their own.
        """
        self.key = key or object_key(cloud)
        self._objects = objects
        self._most = most
        self._writer: ObjectWriter | None = None
        self._md5, self._blake3 = hashlib.md5(usedforsecurity=False), blake3()
        self._head = bytearray()
        self._size = 0
        self._filename: str | None = None
        self._whole = False

    async def begin(self, part: FilePart, fields: Fields) -> None:
        """Begin an object; what the fields say is looked at later."""
        del fields
        self._filename = part.filename
        self._writer = self._objects.writer(self.key)

    async def write(self, data: bytes) -> None:
        """Take more of the file.

        Raises:
            BadCallError: It is too large.
            GatewayError: The store does not take it.
        """
        if self._writer is None:
            raise RuntimeError("it has not begun")
        self._size += len(data)
        check_size(self._size, self._most)
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        if len(data) >= _THREAD_FROM:
            await asyncio.to_thread(self._hash, data)
        else:
            self._hash(data)
        try:
            await self._writer.write(data)
        except OSError as error:
            raise _away(error) from error

    async def end(self) -> None:
        """Make the object be there.

        Raises:
            BadCallError: It is empty.
            GatewayError: The store does not take it.
        """
        if self._writer is None:
            raise RuntimeError("it has not begun")
        if not self._size:
            self._writer = None
            raise BadCallError("Empty file: it has no bytes; upload one that has some")
        try:
            await self._writer.close()
        except OSError as error:
            raise _away(error) from error
        self._whole = True

    async def take(self, part: FilePart, data: AsyncIterable[bytes]) -> StoredFile:
        """Take a file that is at hand.

        Raises:
            BadCallError: It is empty, or too large.
        """
        await self.begin(part, Fields({}))
        async for piece in data:
            await self.write(piece)
        await self.end()
        return self.file

    def _hash(self, data: bytes) -> None:
        self._md5.update(data)
        self._blake3.update(data)

    @property
    def is_whole(self) -> bool:
        """Whether there is a file."""
        return self._whole

    @property
    def file(self) -> StoredFile:
        """What was taken, once it is whole."""
        return StoredFile(
            self.key,
            self._size,
            self._md5.hexdigest(),
            self._blake3.hexdigest(32),
            bytes(self._head),
            self._filename,
        )

    async def discard(self) -> None:
        """Remove what was stored: nobody refers to it."""
        self._writer = None
        if self._whole:
            await forget(self._objects, self.key)


async def forget(objects: ObjectStore, key: str) -> None:
    """Remove bytes that nobody refers to; where the store is away, the sweeper does it later."""
    try:
        await objects.delete(key)
    except OSError as error:
        log.warning("bytes that nobody refers to stay until they are swept: %s", error)


def _away(error: OSError) -> GatewayError:
    log.warning("the object store takes no bytes: %s", error)
    return GatewayError("The file cannot be stored: the object store does not answer; send it again")
