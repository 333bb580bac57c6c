"""Calls of Imagga's API."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

from litestar.types import ASGIApp

from model import FORMATS, BadImageError, read_header
from streams.fetch.errors import SourceBusyError, SourceError
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.fetch.urls import shown as shown_url
from streams.gateway.assets.intake import Intake
from streams.gateway.assets.uploads import UploadCall, Uploads
from streams.gateway.calls import Area, Call, Route, route
from streams.gateway.imagga.answers import categorizers, done, explain, result, tags_of
from streams.gateway.imagga.images import ImageInMemory, UploadedImages
from streams.gateway.imagga.questions import TagsQuestion, read_question
from streams.gateway.imagga.usage import Usage
from streams.gateway.requests.authentication import Caller, authenticate_key
from streams.gateway.requests.bodies import Buffers
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.options import UploadOptions
from streams.gateway.requests.parts import FilePart, FormShape
from streams.gateway.requests.problems import BadCallError, GatewayError, TooOftenError
from streams.tag.looking import Look, Looker

_SHAPE = FormShape(file="image", base64="image_base64")
_LONGEST = 50.0  # seconds that an answer may take
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Room:
    """Which images are taken, and how much memory they may take.

    Attributes:
        image: Bytes of one.
        images: Bytes of all that came along with calls.
        formats: Those that may be decoded.
    """

    image: int
    images: int
    formats: Collection[str] = FORMATS


class ImaggaApi:
    """Answers calls below `/v2/`."""

    def __init__(
        self, looker: Looker, fetcher: Fetcher, objects: ObjectStore, uploads: Uploads, room: Room
    ) -> None:
        """Prepare.

        Args:
            looker: Finds tags.
            fetcher: Gets what a URL names; it reaches no folder and no object store.
            objects: Where uploads lie.
            uploads: Make assets of images that are to be kept.
            room: How much memory there is.
        """
        self.images = UploadedImages(objects)
        self._looker = looker
        self._fetcher = fetcher
        self._objects = objects
        self._uploads = uploads
        self._room = room
        self._buffers = Buffers(room.images)
        self._usage = Usage()

    def area(self) -> Area:
        """Give the routes, and how they say why not."""
        return Area("/v2/", self._routes(), explain)

    def _routes(self) -> list[Route]:
        return [
            route("GET POST", "tags", self.tags),
            route("GET POST", "tags/(?P<tagger>[^/]+)", self.tags),
            route("POST", "uploads", self.upload),
            route("DELETE", "uploads/(?P<upload_id>[^/]+)", self.forget),
            route("GET", "categorizers", self.categorizers),
            route("GET", "usage", self.usage),
        ]

    async def tags(self, call: Call) -> ASGIApp:
        """Tell what an image shows."""
        caller = _admit(call)
        with self._usage.call(caller.cloud.name) as processed:
            image = self._image(call)
            form = await call.form(image, _SHAPE)
            question = read_question(
                form.fields,
                self._looker.models,
                self._looker.default_add_ons,
                call.parts.get("tagger"),
                with_file=image.is_whole,
            )
            if question.keep:
                caller.require(Right.WRITE, admin=True)
                call.door.rates.take_upload(caller)
            try:
                async with asyncio.timeout(_LONGEST):
                    told = await self._found(question, image, call, caller)
            except TimeoutError:
                raise GatewayError(f"The image was not tagged within {_LONGEST:g} s; try again") from None
            processed()
            return result(told)

    async def upload(self, call: Call) -> ASGIApp:
        """Take an image that later calls are about."""
        caller = _admit(call)
        call.door.rates.take_upload(caller)
        image = self._image(call)
        await call.form(image, _SHAPE)
        if not image.is_whole:
            raise BadCallError("No image is given; send it as image or image_base64")
        try:
            await asyncio.to_thread(read_header, image.data, self._room.formats)
        except BadImageError as error:
            raise BadCallError(f"The image cannot be read: {error}") from None
        upload_id = await self.images.put(caller.cloud.name, image.data)
        call.writes(caller, "imagga upload", [upload_id])
        return result({"upload_id": upload_id})

    async def forget(self, call: Call) -> ASGIApp:
        """Forget an image that was uploaded."""
        caller = _admit(call)
        upload_id = call.parts["upload_id"]
        call.writes(caller, "imagga delete", [upload_id])
        await self.images.delete(caller.cloud.name, upload_id)
        return done()

    async def categorizers(self, call: Call) -> ASGIApp:
        """Tell which add-ons there are."""
        _admit(call)
        return result(categorizers(self._looker.tag_names))

    async def usage(self, call: Call) -> ASGIApp:
        """Tell how much a cloud asked."""
        caller = _admit(call)
        return result(self._usage.of(caller.cloud.name, caller.signing_key.concurrent))

    def _image(self, call: Call) -> ImageInMemory:
        image = ImageInMemory(self._room.image, self._buffers)
        call.ending.callback(image.release)
        return image

    async def _found(
        self, question: TagsQuestion, image: ImageInMemory, call: Call, caller: Caller
    ) -> dict[str, Any]:
        name, text = question.source or ("", "")
        if name == "image_url":
            look, kept = await self._fetched(text, question, call, caller)
        else:
            if name == "image_upload_id":
                await self.images.read(caller.cloud.name, text, image)
            data = image.data
            kept = await self._keep(data, question, call, caller)
            look = await self._look(data, question, image.release, caller)
        return await asyncio.to_thread(tags_of, look, question) | kept

    async def _fetched(
        self, url: str, question: TagsQuestion, call: Call, caller: Caller
    ) -> tuple[Look, dict[str, Any]]:
        if not url.lower().startswith(("http://", "https://")):
            raise BadCallError(
                f"image_url {shown_url(url)} is no http or https URL; send other images as image"
            )
        try:
            fetched = await self._fetcher.fetch(url)
        except SourceError as error:
            raise BadCallError(f"The image cannot be loaded: {error}") from None
        with fetched:
            kept = await self._keep(fetched.data, question, call, caller)
            return await self._look(fetched.data, question, fetched.release, caller), kept

    async def _look(
        self, data: bytes, question: TagsQuestion, decoded: Callable[[], None], caller: Caller
    ) -> Look:
        try:
            return await self._looker.look(
                data,
                question.add_ons,
                decoded,
                tenant=caller.cloud.name,
                decrease_parents=question.decrease_parents,
            )
        except BadImageError as error:
            raise BadCallError(f"The image cannot be read: {error}") from None
        except SourceBusyError as error:
            raise TooOftenError(f"The image cannot be read now, try again later: {error}") from None

    async def _keep(self, data: bytes, question: TagsQuestion, call: Call, caller: Caller) -> dict[str, Any]:
        """Make an asset of the image as well, where that is wanted; its own tagging is not waited for."""
        if not question.keep:
            return {}
        intake = Intake(self._objects, caller.cloud.name, self._room.image)
        file = await intake.take(FilePart("image", None, ""), _pieces(data))
        options = UploadOptions(categorization=question.add_ons, is_async=True)
        until = asyncio.get_running_loop().time() + _LONGEST
        answered = await self._uploads.upload(UploadCall(caller, options, file, until))
        call.writes(caller, "imagga keep", [answered.asset.public_id])
        return {"public_id": answered.asset.public_id}


def _admit(call: Call) -> Caller:
    """Let in who makes a call, and hold a place for it until the call's end."""
    caller = authenticate_key(call.door.credentials.now, call.scope)
    caller.require(Right.TAG, admin=True)
    call.ending.enter_context(call.door.rates.place(caller))
    return caller


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
