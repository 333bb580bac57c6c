"""Serving assets: their bytes as they were uploaded, and nothing that a browser would run."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from litestar.types import ASGIApp, Receive, Scope, Send

from schemas.assets import Asset
from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.library import Library
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.assets.naming import FileName
from streams.gateway.assets.uploads import up_to_date
from streams.gateway.calls import Call, Route, route
from streams.gateway.requests.problems import UnknownAssetError, shown

_PATH = (
    r"(?P<cloud>[^/]+)/(?P<resource_type>image|raw|video)/(?P<type>[a-z]{1,32})"
    r"(?:/v(?P<version>\d{1,16}))?/(?P<name>.+)"
)
_SHOWN = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}
_DOWNLOADED = "application/octet-stream"
_SAME = {"jpeg": "jpg", "tif": "tiff"}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Part(NamedTuple):
    """Bytes of a file: from `start` to before `end`."""

    start: int
    end: int


class Delivery:
    """Serves the assets of all clouds."""

    def __init__(self, library: Library, objects: ObjectStore) -> None:
        self._library = library
        self._objects = objects

    def routes(self) -> list[Route]:
        """Give the routes below `/`."""
        return [route("GET HEAD", _PATH, self.serve)]

    async def serve(self, call: Call) -> ASGIApp:
        """Serve one asset.

        Raises:
            UnknownAssetError: There is none of this name, or its bytes lie elsewhere.
        """
        found = self._find(call)
        if found is None:
            await up_to_date(self._library)
            found = self._find(call)
        if found is None or found.asset.object is None:
            raise UnknownAssetError(f"Resource not found - {shown(call.parts['name'])}")
        asset, key, size = found.asset, found.asset.object, found.asset.bytes or 0
        etag = f'"{asset.etag}"'
        headers = {**_headers(found.public_id, asset), "etag": etag, "accept-ranges": "bytes"}
        if etag in (call.header("if-none-match") or ""):
            return _Reply(HTTPStatus.NOT_MODIFIED, headers)
        asked = call.header("range") if call.header("if-range") in {None, etag} else None
        part = read_part(asked, size) if asked else Part(0, size)
        if part is None:
            return _Reply(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {**headers, "content-range": f"bytes */{size}"}
            )
        headers["content-length"] = str(part.end - part.start)
        if part == Part(0, size):
            return _Reply(HTTPStatus.OK, headers, self._objects.read(key))
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{size}"
        return _Reply(HTTPStatus.PARTIAL_CONTENT, headers, self._objects.read(key, part.start, part.end))

    def _find(self, call: Call) -> LibraryAsset | None:
        """The asset of a path, whose name has the extension of its format, or none, or its own."""
        cloud, kind = call.cloud, (call.parts["resource_type"], call.parts["type"])
        name = call.parts["name"]
        stem, dot, extension = name.rpartition(".")
        if dot:
            found = self._library.get(cloud, *kind, stem)
            if found is not None and found.asset.format == _SAME.get(extension.lower(), extension.lower()):
                return found
        return self._library.get(cloud, *kind, name)


def read_part(header: str, size: int) -> Part | None:
    """Read the header Range; all of the file where it is not understood, None where it lies outside."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return Part(0, size)
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return Part(start, end) if start < end else None


def _headers(public_id: str, asset: Asset) -> dict[str, str]:
    kind = _SHOWN.get(asset.format or "", _DOWNLOADED)
    own = public_id.rpartition("/")[2]
    dotted = f".{asset.format}" if asset.format and not FileName.of(own).extension else ""
    way = "attachment" if kind == _DOWNLOADED else "inline"
    return {
        "content-type": kind,
        "content-disposition": f"{way}; filename*=UTF-8''{quote(own + dotted, safe='')}",
        "cache-control": "public, no-cache",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "cross-origin",
    }


class _Reply:
    """An answer whose body is read while it is sent."""

    def __init__(
        self, status: HTTPStatus, headers: dict[str, str], body: AsyncIterator[bytes] | None = None
    ) -> None:
        self._status = status
        self._headers = {"content-length": "0", **headers} if status != HTTPStatus.NOT_MODIFIED else headers
        self._body = body

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self._headers.items()]
        first = await anext(self._body, b"") if self._body is not None else b""  # before the status is told
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": first, "more_body": self._body is not None})
        if self._body is not None:
            async for piece in self._body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
