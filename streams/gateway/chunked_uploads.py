"""Chunks on their way to an asset: what is answered to each."""

import asyncio
from dataclasses import replace
from typing import Any

from streams.gateway.assets.answered import Answered
from streams.gateway.assets.intake import Intake
from streams.gateway.assets.library import Library
from streams.gateway.assets.uploads import UploadCall, Uploads, up_to_date
from streams.gateway.calls import Call
from streams.gateway.chunks import (
    Chunk,
    Chunks,
    Finished,
    Stored,
    check_upload_id,
    provisional_public_id,
    read_range,
)
from streams.gateway.requests.options import UploadOptions
from streams.gateway.requests.problems import BadCallError

_PATIENCE = 20  # looks for what another gateway makes of the same chunks
_LOOK_INTERVAL = 0.5  # seconds between two of them


class ChunkedUploads:
    """Takes chunks, and makes an asset of those that are a whole file."""

    def __init__(self, chunks: Chunks, uploads: Uploads, library: Library) -> None:
        self._chunks = chunks
        self._uploads = uploads
        self._library = library

    def place_of(self, call: Call, most: int) -> tuple[str, Chunk, str] | None:
        """The upload's id, which chunk of it a call brings, and the key for it; None: it brings a whole file.

        Raises:
            BadCallError: Its headers are wrong.
        """
        upload_id, told = call.header("x-unique-upload-id"), call.header("content-range")
        if upload_id is None or told is None:
            return None
        chunk = read_range(told, most)
        if chunk.first == 0 and chunk.end == chunk.total:
            return None
        check_upload_id(upload_id)
        return upload_id, chunk, self._chunks.key(call.cloud, upload_id, chunk)

    def check(self, call: Call, size: int, most: int) -> None:
        """Check what the headers of a call that brings a whole file say of its size.

        Raises:
            BadCallError: It is another one, or they say it twice.
        """
        told = [value for name, value in call.scope["headers"] if name == b"content-range"]
        if len(told) > 1 or (told and read_range(told[0].decode("latin-1"), most).end != size):
            raise BadCallError(
                f"Invalid Content-Range: {size} bytes came; say so once, as bytes FIRST-LAST/TOTAL"
            )

    async def take(
        self, call: UploadCall, place: tuple[str, Chunk, str], intake: Intake
    ) -> Answered | dict[str, Any]:
        """Take a chunk that is stored.

        Returns:
            The asset, if it is there now; otherwise the answer that more chunks are awaited.

        Raises:
            GatewayError: The chunk, or the file that it completes, is refused.
        """
        upload_id, chunk, _ = place
        if intake.file.size != chunk.end - chunk.first:
            await intake.discard()
            said = f"bytes {chunk.first}-{chunk.end - 1}"
            raise BadCallError(f"Invalid Content-Range: it says {said}, and {intake.file.size} bytes came")
        cloud, options = call.cloud, _named(call, upload_id)
        if chunk.first == 0:
            await self._chunks.begin_anew(cloud, upload_id)
        elif (before := await self._found(call, upload_id)) is not None:
            await intake.discard()
            return before
        whole = await self._chunks.whole(cloud, upload_id)
        if whole is None:  # or another gateway, which saw this chunk, has just joined them
            return await self._found(call, upload_id) or _more(call, upload_id, options)
        return await self._join(replace(call, options=options, upload_id=upload_id), upload_id, whole)

    async def _join(self, call: UploadCall, upload_id: str, whole: list[Stored]) -> Answered:
        try:
            _, file = await self._chunks.join(call.cloud, whole, call.filename)
        except FileNotFoundError:  # another gateway has the same chunks
            return await self._made_elsewhere(call, upload_id)
        done = await self._uploads.upload(replace(call, file=file))
        asset = done.asset.asset
        finished = Finished(asset.resource_type, asset.type, done.asset.public_id)
        await self._chunks.finish(call.cloud, upload_id, finished)
        return done

    async def _made_elsewhere(self, call: UploadCall, upload_id: str) -> Answered:
        for _ in range(_PATIENCE):
            if (found := await self._found(call, upload_id)) is not None:
                return found
            await asyncio.sleep(_LOOK_INTERVAL)
        raise BadCallError("Chunks of the upload are missing; send the file again")

    async def _found(self, call: UploadCall, upload_id: str) -> Answered | None:
        """What an upload became that is done already."""
        finished = await self._chunks.finished(call.cloud, upload_id)
        if finished is None:
            return None
        await up_to_date(self._library)
        found = self._library.get(call.cloud, finished.resource_type, finished.type, finished.public_id)
        return Answered(found, upload_id, call.options.categorization or ()) if found else None


def _named(call: UploadCall, upload_id: str) -> UploadOptions:
    """The options of the whole upload: its name is what its first chunk was told, or the file's."""
    options, own = call.options, provisional_public_id(call.cloud, upload_id)
    told = options.prefix + own
    if options.public_id in {None, told}:
        return replace(options, public_id=None if options.use_filename else told)
    return options


def _more(call: UploadCall, upload_id: str, options: UploadOptions) -> dict[str, Any]:
    named = options.public_id
    own = (
        provisional_public_id(call.cloud, upload_id) if named is None else named.removeprefix(options.prefix)
    )
    return {
        "done": False,
        "public_id": own,
        "resource_type": options.resource_type,
        "type": options.type,
        "bytes": call.file.size,
    }
