"""The page's files over HTTP."""

from http import HTTPStatus

from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from streams.page.files import PageFile
from streams.page.replies import Bytes
from streams.page.requests import AnyRequest, handler


def file_handler(path: str, file: PageFile) -> HTTPRouteHandler:
    """What serves a file: compressed where that is understood, and not at all where it is there already."""

    async def serve(request: AnyRequest) -> ASGIResponse:
        if file.etag in request.headers.get("if-none-match", ""):
            return Bytes(b"", file.headers, HTTPStatus.NOT_MODIFIED)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Bytes(file.packed, {**file.headers, "content-encoding": "gzip"})
        return Bytes(file.body, file.headers)

    return handler("GET", path, serve)
