"""Photos and addresses that people try: published, and answered with what was committed of them."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from schemas.uploads import UploadData
from streams.fetch.object_store import ObjectStore, url_of
from streams.kafka.output_follower import OutputRecord
from streams.page.publishing.events import Events, checked
from streams.page.requests import AnyRequest, Writing, body_of, question_of
from streams.page.watching.feed import Feed, Watcher
from streams.page.watching.telling import Told
from streams.web.access.errors import BadQuestionError, QuestionError, UnavailableError
from streams.web.access.refusals import BusyError
from streams.web.api.parameters import NAME, PREFIX, Parameter, Tenant, number
from streams.web.replies import Json

AT_ONCE = 16  # uploads of all callers
_PATIENCE = 25.0  # seconds in which somebody waits for an outcome
_KEYS = "_page/"  # no cloud has such a name


class TooLargeError(QuestionError):
    """More bytes than an image may have."""

    status = 413


@dataclass(frozen=True, kw_only=True)
class UploadQuestion:
    """Parameters of `POST /page/uploads`; the body is the photo, or JSON that names its address."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    user: Annotated[str, Parameter(PREFIX, "Whose upload it is.", default="")]
    threshold: Annotated[float | None, Parameter(number(0, 1), "Tags with a higher confidence are assigned.")]
    tenant: Tenant


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A photo that lies elsewhere."""

    url: str


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of an upload.

    Attributes:
        state: tagged, refused or waiting.
        result: The categorization, as it is in its topic.
        refusal: Why it is a dead letter.
    """

    public_id: str
    event_id: str
    state: str
    result: Any = None
    refusal: Told | None = None


class Uploading:
    """Publishes uploads, and waits for what becomes of them."""

    def __init__(self, events: Events, feed: Feed, objects: ObjectStore, writing: Writing, most: int) -> None:
        """Prepare.

        Args:
            events: Where uploads go.
            feed: Where their outcomes come from.
            objects: Where their bytes go.
            writing: Who may upload.
            most: Bytes that a photo may have.
        """
        self._events = events
        self._feed = feed
        self._objects = objects
        self._writing = writing
        self._most = most
        self._under_way = 0

    async def upload(self, request: AnyRequest) -> Json:
        """Publish an upload, and answer with its outcome.

        Raises:
            QuestionError: It is none, or the caller may not upload.
        """
        question = question_of(request, UploadQuestion)
        self._writing.admit(request, question.tenant)
        if self._under_way >= AT_ONCE:
            raise BusyError("busy", f"{AT_ONCE} uploads are under way; wait for one")
        self._under_way += 1
        try:
            return await self._upload(request, question)
        finally:
            self._under_way -= 1

    async def _upload(self, request: AnyRequest, question: UploadQuestion) -> Json:
        if request.headers.get("content-type", "").startswith("application/json"):
            url = (await body_of(request, Address)).url
            if url.partition(":")[0].lower() not in {"http", "https"}:
                raise BadQuestionError(
                    "invalid_url", f"{url[:64]!r} is no address of the web; say http or https"
                )
            event = checked(_event(question, url))
        else:
            key = _KEYS + secrets.token_hex(16)
            event = checked(_event(question, url_of(key)))
            await self._store(request, key)

        def is_its_outcome(told: Told) -> bool:
            return told.event_id == event.event_id and told.kind != "tag-update"

        async with self._feed.watch(is_its_outcome) as watcher:
            await self._events.publish([event])
            found = await _first(watcher)
        return Json(msgspec.json.encode(_outcome(event, found)))

    async def _store(self, request: AnyRequest, key: str) -> None:
        writer, size = self._objects.writer(key), 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > self._most:
                    rule = f"an image has {self._most} bytes at most (TAGSTREAM_MAX_IMAGE_BYTES)"
                    raise TooLargeError("too_large", f"this one has more: {rule}; make it smaller")
                if piece:
                    await writer.write(piece)
            if not size:
                raise BadQuestionError("empty", "the file has no bytes; choose another one")
            await writer.close()
        except OSError as error:
            raise UnavailableError("store_away", f"the object store does not take it: {error}") from error


async def _first(watcher: Watcher) -> tuple[Told, OutputRecord] | None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while not watcher.closed and (left := until - loop.time()) > 0:
        if found := await watcher.some(left):
            return found[0]
    return None


def _event(question: UploadQuestion, url: str) -> UploadData:
    return UploadData(
        public_id=question.public_id,
        url=url,
        user_id=question.user or None,
        tenant=question.tenant or None,
        auto_tagging=question.threshold,
    )


def _outcome(event: UploadData, found: tuple[Told, OutputRecord] | None) -> Outcome:
    names = event.public_id or "", event.event_id or ""
    if found is None:
        return Outcome(*names, "waiting")
    told, record = found
    if record.fault is not None:
        return Outcome(*names, "refused", refusal=told)
    return Outcome(*names, "tagged", result=record.value)
