"""Pictures of images: small ones that workers made, and the bytes that lie in our own object store.

Nothing is fetched from anywhere else, and no browser is sent there. What a stranger uploaded is served as the
picture that its first bytes announce, and as nothing else: it can run nothing.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from litestar.response.base import ASGIResponse

from model.decoding.sniff import named_format
from streams.fetch.errors import SourceGoneError
from streams.fetch.object_store import SCHEME, ObjectStore, key_of, thumbnail_key
from streams.fold.rows import State
from streams.page.replies import Bytes, Stream
from streams.page.requests import AnyRequest, question_of
from streams.state.images.rows import ImageRow, find_image
from streams.web.access.errors import UnavailableError, UnknownError
from streams.web.api.parameters import NAME, Parameter, Tenant

_SHOWN = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif", "BMP": "bmp"}
_SAFE = {"content-security-policy": "default-src 'none'; sandbox", "content-disposition": "inline"}
_KEPT = "private, max-age=60"  # seconds until another picture in its place is seen


@dataclass(frozen=True, kw_only=True)
class PictureQuestion:
    """Parameters of `GET /page/thumbnails/{public_id}` and `GET /page/pictures/{public_id}`."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    tenant: Tenant


class Pictures:
    """Serves pictures to who may ask about their images."""

    def __init__(self, objects: ObjectStore) -> None:
        self.states = dict[int, State]()
        self._objects = objects

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
        """Answer with the image as it was uploaded, where it lies in our object store.

        Raises:
            UnknownError: It does not, or it is no picture that browsers show.
        """
        row = self._row(question_of(request, PictureQuestion))
        if row.url is None or not row.url.startswith(f"{SCHEME}:"):
            raise _unknown("this image lies elsewhere; its address is in the answer of /images")
        with _told():
            pieces = self._objects.read(key_of(row.url))
            first = await anext(pieces, b"")
        kind = _SHOWN.get(named_format(first) or "")
        if kind is None:
            await pieces.aclose()
            raise _unknown("no browser shows this format")
        return Stream(
            _chained(first, pieces), {**_SAFE, "content-type": f"image/{kind}", "cache-control": _KEPT}
        )

    def _row(self, question: PictureQuestion) -> ImageRow:
        found = find_image(self.states, question.tenant, question.public_id)
        if found is None or found[1].deleted:
            raise _unknown(f"no image {question.public_id[:64]!r} is known")
        return found[1]


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _unknown(message: str) -> UnknownError:
    return UnknownError("no_picture", message)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, SourceGoneError):
        raise _unknown("the picture is no longer in the object store") from None
    except OSError as error:
        raise UnavailableError("store_away", f"the object store does not answer: {error}") from error
