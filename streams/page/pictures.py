"""Pictures of images: small ones that workers made, and large ones as they were uploaded.

No browser is sent to a source: what does not lie in our own object store is fetched here, within the bounds
of every fetch. What a stranger uploaded is served as the picture that its first bytes announce, and as
nothing else: it can run nothing.
"""

import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from litestar.response.base import ASGIResponse

from model.decoding.sniff import named_format
from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import SCHEME, ObjectStore, key_of, thumbnail_key
from streams.fold.rows import State
from streams.page.replies import Bytes, Stream
from streams.page.requests import AnyRequest, question_of
from streams.state.images.rows import ImageRow, find_image
from streams.web.access.errors import UnavailableError, UnknownError
from streams.web.api.parameters import NAME, Parameter, Tenant

_SHOWN = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif", "BMP": "bmp"}
_SAFE = {"content-security-policy": "default-src 'none'; sandbox", "content-disposition": "inline"}
_PIECE = 256 * 1024  # bytes that are sent at once
_KEPT = "private, max-age=60"  # seconds until another picture in its place is seen


@dataclass(frozen=True, kw_only=True)
class PictureQuestion:
    """Parameters of `GET /page/thumbnails/{public_id}` and `GET /page/pictures/{public_id}`."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    tenant: Tenant


class Pictures:
    """Serves pictures to who may ask about their images."""

    def __init__(self, objects: ObjectStore, fetcher: Fetcher | None) -> None:
        """Prepare.

        Args:
            objects: Where small pictures are, and what was uploaded to us.
            fetcher: Gets large pictures that lie elsewhere; None: these are not shown.
        """
        self.states = dict[int, State]()
        self._objects = objects
        self._fetcher = fetcher

    async def thumbnail(self, request: AnyRequest) -> ASGIResponse:
        """Answer with the small picture that a worker made.

        Raises:
            UnknownError: There is none.
        """
        row = self._row(question_of(request, PictureQuestion))
        if row.thumb is None:
            raise _unknown("this image has no thumbnail; TAGSTREAM_THUMBNAILS=true makes some from now on")
        etag = f'"{row.thumb}"'
        headers = {**_SAFE, "content-type": "image/webp", "cache-control": _KEPT, "etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Bytes(b"", headers, HTTPStatus.NOT_MODIFIED)
        with _told():
            pieces = [piece async for piece in self._objects.read(thumbnail_key(row.thumb))]
        return Bytes(b"".join(pieces), headers)

    async def picture(self, request: AnyRequest) -> ASGIResponse:
        """Answer with the image as it was uploaded.

        Raises:
            UnknownError: It cannot be had any more, or it is no picture that browsers show.
            UnavailableError: It cannot be had now.
        """
        row = self._row(question_of(request, PictureQuestion))
        with _told():
            pieces = self._pieces(row.url)
            first = await anext(pieces, b"")
        kind = _SHOWN.get(named_format(first) or "")
        if kind is None:
            await pieces.aclose()
            raise _unknown("no browser shows this format")
        return Stream(
            _chained(first, pieces), {**_SAFE, "content-type": f"image/{kind}", "cache-control": _KEPT}
        )

    def _pieces(self, url: str | None) -> AsyncGenerator[bytes, None]:
        if url is not None and url.startswith(f"{SCHEME}:"):
            return self._objects.read(key_of(url))
        if url is None or self._fetcher is None:
            why = "its address was not kept, or TAGSTREAM_PAGE_FETCHES=false"
            raise _unknown(f"only the small picture of this image is here: {why}")
        return _fetched(self._fetcher, url)

    def _row(self, question: PictureQuestion) -> ImageRow:
        found = find_image(self.states, question.tenant, question.public_id)
        if found is None or found[1].deleted:
            raise _unknown(f"no image {question.public_id[:64]!r} is known")
        return found[1]


async def _fetched(fetcher: Fetcher, url: str) -> AsyncGenerator[bytes, None]:
    """The bytes behind an address; they count against the fetcher's memory until they are sent."""
    with await fetcher.fetch(url) as image:
        for start in range(0, image.size, _PIECE):
            yield image.data[start : start + _PIECE]


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _unknown(message: str) -> UnknownError:
    return UnknownError("no_picture", message)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _unknown("the picture is no longer in the object store") from None
    except SourceGoneError as error:
        raise _unknown(f"the picture cannot be had any more: {error}") from None
    except SourceBusyError as error:
        raise UnavailableError("source_busy", f"the picture cannot be had now: {error}") from None
    except OSError as error:
        raise UnavailableError("store_away", f"the object store does not answer: {error}") from error
