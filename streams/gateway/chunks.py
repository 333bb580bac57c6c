"""Chunked uploads: any gateway takes any chunk, and the one whose chunk makes the file whole makes the asset.

A chunk is an object, whose key says what it is a part of: no gateway remembers anything. Chunks may come in
any order and more than once. What is left of uploads that are never whole is swept.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec

from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.intake import Intake, StoredFile
from streams.gateway.assets.naming import random_id, random_public_id
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, shown

PREFIX = "_chunks"
MAX_CHUNKS = 2000
_RANGE = re.compile(r"bytes (\d{1,15})-(-?\d{1,15})/(-1|\d{1,15})")
_MAX_UPLOAD_ID = 256
_NAME = re.compile(r"(\d{15})-(\d{15})-(\d{1,15}|any)-([0-9a-f]{32})")


class Chunk(NamedTuple):
    """A part of a file: bytes `first` to before `end`; `total` is None where nobody knows it yet."""

    first: int
    end: int
    total: int | None


class Stored(NamedTuple):
    """A chunk in the object store. `changed_at` is in seconds since the epoch."""

    chunk: Chunk
    key: str
    changed_at: float


class Finished(msgspec.Struct):
    """The asset that a chunked upload became."""

    resource_type: str
    type: str
    public_id: str


def read_range(text: str, most: int) -> Chunk:
    """Read the header Content-Range.

    Raises:
        BadCallError: It names no range of a file that may be so large.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        raise BadCallError(f"Invalid Content-Range {shown(text)!r}; send bytes FIRST-LAST/TOTAL")
    first, last, total = (int(number) for number in found.groups())
    whole = None if total == -1 else total
    if last < first - 1 or (whole is not None and last >= max(whole, 1)):
        raise BadCallError(f"Invalid Content-Range {shown(text)!r}: its last byte is not within the file")
    if max(last + 1, whole or 0) > most:
        raise BadCallError(f"File size too large. Got {max(last + 1, whole or 0)}. Maximum is {most}")
    return Chunk(first, last + 1, whole)


def check_upload_id(text: str) -> str:
    """Give an upload's id.

    Raises:
        BadCallError: It is none.
    """
    if not 1 <= len(text) <= _MAX_UPLOAD_ID or not text.isprintable():
        raise BadCallError(
            f"X-Unique-Upload-Id {shown(text)!r} has no 1 to {_MAX_UPLOAD_ID} visible characters"
        )
    return text


def provisional_public_id(cloud: str, upload_id: str) -> str:
    """The public id that is told while an upload is not whole: the same on every gateway."""
    return random_public_id(f"chunked\x1f{cloud}\x1f{upload_id}")


class Chunks:
    """Keeps chunks, and joins them."""

    def __init__(self, objects: ObjectStore, most: int) -> None:
        """Prepare.

        Args:
            objects: Where they lie.
            most: Bytes that a whole file may have.
        """
        self._objects = objects
        self._most = most

    def key(self, cloud: str, upload_id: str, chunk: Chunk) -> str:
        """A key for a chunk that nothing else has."""
        total = "any" if chunk.total is None else str(chunk.total)
        return f"{_folder(cloud, upload_id)}/{chunk.first:015d}-{chunk.end:015d}-{total}-{random_id()}"

    async def whole(self, cloud: str, upload_id: str) -> list[Stored] | None:
        """Give the chunks that make a file in their order; None: some are missing.

        Raises:
            BadCallError: They are of different files, or too many.
        """
        stored = [
            Stored(chunk, each.key, each.changed_at)
            async for some in self._objects.list(_folder(cloud, upload_id))
            for each in some
            if (chunk := _chunk_of(each.key)) is not None
        ]
        if len(stored) > MAX_CHUNKS:
            raise BadCallError(f"An upload has at most {MAX_CHUNKS} chunks; send larger ones")
        totals = {each.chunk.total for each in stored} - {None}
        if len(totals) > 1:
            raise BadCallError(
                f"The chunks of upload {shown(upload_id)} tell different sizes of the whole file"
            )
        return _joined(stored, next(iter(totals), None))

    async def join(
        self, cloud: str, chunks: Sequence[Stored], filename: str | None
    ) -> tuple[Intake, StoredFile]:
        """Store the whole file; memory holds a piece of it at most.

        Raises:
            FileNotFoundError: Another gateway has joined them meanwhile, and they are gone.
            BadCallError: They make no file.
        """
        intake = Intake(self._objects, cloud, self._most)
        try:
            return intake, await intake.take(FilePart("file", filename, ""), self._pieces(chunks))
        except BaseException:
            await intake.discard()
            raise

    async def _pieces(self, chunks: Sequence[Stored]) -> AsyncIterator[bytes]:
        for each in chunks:
            if each.chunk.end > each.chunk.first:
                async for piece in self._objects.read(each.key):
                    yield piece

    async def finish(self, cloud: str, upload_id: str, asset: Finished) -> None:
        """Remove the chunks of an upload that is done, and remember for a while what it became."""
        await self._objects.put(_note(cloud, upload_id), msgspec.json.encode(asset))
        async for some in self._objects.list(_folder(cloud, upload_id)):
            for each in some:
                if _chunk_of(each.key) is not None:
                    await self._objects.delete(each.key)

    async def finished(self, cloud: str, upload_id: str) -> Finished | None:
        """What an upload became of late; None: it is not done."""
        try:
            note = b"".join([piece async for piece in self._objects.read(_note(cloud, upload_id))])
        except FileNotFoundError:
            return None
        return msgspec.json.decode(note, type=Finished)

    async def begin_anew(self, cloud: str, upload_id: str) -> None:
        """Forget what an upload became, as its first chunk comes again."""
        await self._objects.delete(_note(cloud, upload_id))


def _folder(cloud: str, upload_id: str) -> str:
    return f"{PREFIX}/{cloud}/{hashlib.sha256(upload_id.encode()).hexdigest()[:40]}"


def _note(cloud: str, upload_id: str) -> str:
    return f"{_folder(cloud, upload_id)}/finished"


def _chunk_of(key: str) -> Chunk | None:
    found = _NAME.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    return Chunk(int(found[1]), int(found[2]), None if found[3] == "any" else int(found[3]))


def _joined(stored: Sequence[Stored], total: int | None) -> list[Stored] | None:
    """The chunks from the first byte to the last; of several that begin at one place the latest."""
    if total is None:
        return None
    at: dict[int, Stored] = {}
    for each in sorted(stored, key=lambda each: (each.changed_at, each.key)):
        at[each.chunk.first] = each
    chunks: list[Stored] = []
    reached = 0
    while reached < total:
        if reached not in at or at[reached].chunk.end <= reached:
            return None
        chunks.append(at[reached])
        reached = at[reached].chunk.end
    return chunks if reached == total else None
