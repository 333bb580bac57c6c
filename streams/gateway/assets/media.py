"""What bytes are: an image with its size and format, or a file that is kept as it is."""

import asyncio
import struct
from collections.abc import Collection
from typing import Literal, NamedTuple

from model import FORMATS, BadImageError, ImageHeader, read_header
from schemas.assets import ResourceType
from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.intake import HEAD, StoredFile
from streams.gateway.assets.naming import FileName
from streams.gateway.requests.bodies import check_size
from streams.gateway.requests.problems import BadCallError, shown

INVALID_IMAGE = "Invalid image file"
_VIDEOS = frozenset(
    {"mp4", "m4v", "mov", "webm", "mkv", "avi", "mpeg", "mpg", "ogv", "3gp", "flv", "wmv", "mp3", "wav"}
)
_ICON_HEAD = struct.Struct("<HHH")
_ICON = struct.Struct("<BB6xII")
_MAX_ICONS = 64  # pictures in one file
_SAME = {"jpeg": "jpg", "jpe": "jpg", "tif": "tiff"}


class Media(NamedTuple):
    """What bytes are. Size and format of what is no image are not known but by its name."""

    resource_type: ResourceType
    format: str | None = None
    width: int | None = None
    height: int | None = None


def icon_size(head: bytes, size: int) -> tuple[int, int] | None:
    """Width and height of an icon's largest picture; None: it is no icon. Icons are kept, and never tagged.

    Args:
        head: How the file begins.
        size: Of the whole file.
    """
    if len(head) < _ICON_HEAD.size or size < _ICON_HEAD.size:
        return None
    zero, kind, count = _ICON_HEAD.unpack_from(head)
    if (zero, kind) != (0, 1) or not 0 < count <= _MAX_ICONS:
        return None
    end = _ICON_HEAD.size + count * _ICON.size
    if len(head) < end:
        return None
    pictures = [*_ICON.iter_unpack(head[_ICON_HEAD.size : end])]
    if any(place < end or length == 0 or place + length > size for _, _, length, place in pictures):
        return None
    return max((width or 256, height or 256) for width, height, _, _ in pictures)


class MediaReader:
    """Looks at stored files. Few large ones at a time: they are read again as a whole."""

    def __init__(
        self, objects: ObjectStore, max_image_bytes: int, formats: Collection[str] = FORMATS
    ) -> None:
        self._objects = objects
        self._formats = formats
        self._most = max_image_bytes
        self._large = asyncio.Semaphore(2)

    async def read(
        self,
        file: StoredFile,
        asked: Literal["image", "raw", "video", "auto"],
        allowed: frozenset[str] | None = None,
    ) -> Media:
        """Say what a file is.

        Args:
            file: The file.
            asked: What its owner says that it is; `auto`: whatever it is.
            allowed: Formats that it may have; None: any.

        Raises:
            BadCallError: It is not what its owner says, or has a format that is not allowed.
        """
        media = await self._media(file, asked)
        if allowed is not None:
            names = {_SAME.get(name, name) for name in allowed}
            found = media.format or FileName.of(file.filename or "").extension
            if _SAME.get(found, found) not in names:
                cure = ", ".join(sorted(allowed))
                raise BadCallError(f"File format {shown(found or 'unknown')} not allowed; allowed are {cure}")
        return media

    async def _media(self, file: StoredFile, asked: str) -> Media:
        extension = FileName.of(file.filename or "").extension
        if asked == "video" or (asked == "auto" and extension in _VIDEOS):
            return Media("video", extension or None)
        if asked == "raw":
            return Media("raw")
        try:
            header = await self._header(file)
        except BadImageError as error:
            if icon := icon_size(file.head, file.size):
                return Media("image", "ico", *icon)
            if asked == "image":
                raise BadCallError(f"{INVALID_IMAGE}: {error}") from None
            return Media("raw")
        check_size(file.size, self._most)
        return Media("image", header.format, header.width, header.height)

    async def _header(self, file: StoredFile) -> ImageHeader:
        try:
            return await asyncio.to_thread(read_header, file.head, self._formats)
        except BadImageError as error:
            foreign = error.code in {"not_an_image", "unsupported_format"}
            if foreign or file.size <= HEAD or file.size > self._most:
                raise
        async with self._large:
            whole = b"".join([piece async for piece in self._objects.read(file.key)])
            return await asyncio.to_thread(read_header, whole, self._formats)
