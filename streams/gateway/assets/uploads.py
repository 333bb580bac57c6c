"""Uploads: stored bytes become an asset by one event, and the answer is what was committed of it."""

import asyncio
import time
from dataclasses import dataclass

from schemas.assets import Asset, row_id
from schemas.names import MAX_NAME
from schemas.times import utc_datetime
from schemas.uploads import UploadData, UploadType
from streams.fetch.object_store import ObjectStore, url_of
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.events import Events, RefusedError, Settled
from streams.gateway.assets.intake import StoredFile, forget
from streams.gateway.assets.library import Library
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.assets.media import INVALID_IMAGE, Media, MediaReader
from streams.gateway.assets.naming import (
    FileName,
    asset_id_of,
    event_id_of,
    public_id_of_file,
    random_id,
    random_public_id,
)
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.options import UploadOptions
from streams.gateway.requests.problems import BadCallError, GatewayError, UnknownAssetError, shown

BARRIER_SECONDS = 10.0
_BAD_IMAGE = frozenset({"not_an_image", "unsupported_format", "truncated", "corrupt", "too_many_pixels"})


@dataclass(frozen=True)
class UploadCall:
    """An upload: who calls, what for, and the file.

    Attributes:
        until: The loop's time at which waiting ends.
        upload_id: That of a chunked upload, whose chunks may have signatures of their own.
    """

    caller: Caller
    options: UploadOptions
    file: StoredFile
    until: float
    upload_id: str | None = None

    @property
    def cloud(self) -> str:
        """The caller's cloud."""
        return self.caller.cloud.name

    @property
    def filename(self) -> str | None:
        """The file's name, as the caller wants it."""
        return self.options.filename_override or self.file.filename


class Uploads:
    """Makes assets of stored files."""

    def __init__(self, library: Library, events: Events, objects: ObjectStore, media: MediaReader) -> None:
        self._library = library
        self._events = events
        self._objects = objects
        self._media = media

    async def upload(self, call: UploadCall) -> Answered:
        """Make an asset of a file, or a new version of one; what does not become one is removed again.

        Raises:
            GatewayError: It is refused, or Kafka does not answer.
        """
        try:
            event, old = await self._prepare(call)
        except BaseException:
            await forget(self._objects, call.file.key)
            raise
        if old is not None and not call.options.overwrite and not self._events.was_committed(event):
            await forget(self._objects, call.file.key)
            return Answered(old, event.event_id or "", existing=True)
        return await self._submit(call, event)

    async def _prepare(self, call: UploadCall) -> tuple[UploadData, LibraryAsset | None]:
        """Make the event of a call; give the asset that there is, too."""
        event_id, options = _event_id(call), call.options
        media = await self._media.read(call.file, options.resource_type, options.allowed_formats)
        if options.categorization and media.resource_type != "image":
            raise BadCallError(f"{INVALID_IMAGE}: only images are categorized; leave categorization out")
        public_id = _public_id(call, media, event_id)
        if options.public_id is not None or not options.unique_filename:
            await up_to_date(self._library)
        old = self._library.get(call.cloud, media.resource_type, options.type, public_id)
        return self._event(call, media, public_id, event_id, old), old

    async def _submit(self, call: UploadCall, event: UploadData) -> Answered:
        options = call.options
        try:
            settled = await self._events.submit(event, until=None if options.is_async else call.until)
        except RefusedError as refusal:
            await forget(self._objects, call.file.key)
            raise as_gateway_error(refusal, event.public_id or "") from refusal
        told = provisional(call.cloud, event)
        found = self._library.get(call.cloud, told.asset.resource_type, told.asset.type, told.public_id)
        committed = settled is Settled.COMMITTED
        if committed and not self._is_named(call, told):  # it came twice, or another one came after it
            await self._objects.delete(call.file.key)
        return Answered(
            found if committed and found is not None else told,
            event.event_id or "",
            options.categorization or (),
            pending=not committed,
            is_async=options.is_async,
        )

    def _is_named(self, call: UploadCall, told: LibraryAsset) -> bool:
        """Whether an asset has the bytes of a call: the one that it made, whatever its name is by now."""
        kind = told.asset.resource_type, told.asset.type
        found = self._library.get(call.cloud, *kind, told.public_id)
        known = (found, self._library.by_asset_id(call.cloud, told.asset.asset_id))
        return any(each is not None and each.asset.object == call.file.key for each in known)

    def _event(
        self, call: UploadCall, media: Media, public_id: str, event_id: str, old: LibraryAsset | None
    ) -> UploadData:
        options = call.options
        row = row_id(media.resource_type, options.type, public_id)
        if len(row) > MAX_NAME:
            raise BadCallError(f"public_id {shown(public_id)} is too long; use fewer than 200 characters")
        now, last = time.time(), self._library.latest(call.cloud, row)
        at = max(int(now * 1000), last.at + 1)
        version = max(int(now), (last.version or 0) + 1)
        is_image = media.resource_type == "image"
        asset = Asset(
            asset_id=old.asset.asset_id if old else asset_id_of(event_id),
            resource_type=media.resource_type,
            type=options.type,
            public_id=None if row == public_id else public_id,
            object=call.file.key,
            format=media.format,
            width=media.width,
            height=media.height,
            bytes=call.file.size,
            etag=call.file.etag,
            created_at=old.asset.created_at if old else at,
            version=version,
            original_filename=_original_filename(call),
            display_name=_display_name(call, public_id),
            asset_folder=options.asset_folder,
            context=options.context or {},
            tags=[] if is_image else options.tags or [],
            api_key=call.caller.key.id if call.caller.key else None,
        )
        return UploadData(
            type=UploadType.UPLOADED.value,
            public_id=row,
            url=url_of(call.file.key),
            event_id=event_id,
            tenant=call.cloud,
            uploaded_at=utc_datetime(at).isoformat(),
            version=version,
            etag=call.file.etag,
            tags=(options.tags or []) if is_image else [],
            categorization=list(options.categorization or ()),
            auto_tagging=options.auto_tagging if options.categorization else None,
            keep_edits=False,
            notification_url=options.notification_url,
            asset=asset,
        )


def provisional(cloud: str, event: UploadData) -> LibraryAsset:
    """The asset as an event tells it."""
    asset, row = event.asset, event.public_id or ""
    if asset is None:
        raise ValueError("the event tells no asset")
    tags = asset.tags if asset.resource_type != "image" else event.tags or []
    return LibraryAsset(
        cloud=cloud,
        row=row,
        public_id=asset.public_id or row,
        asset=asset,
        at=asset.created_at,
        url=event.url,
        tags=list(tags),
        sources=[["own"]] * len(tags),
        scores={},
        failed={},
        asked=None,
    )


async def up_to_date(library: Library) -> None:
    """Return once the library has whatever was answered before.

    Raises:
        GatewayError: Kafka does not answer.
    """
    try:
        async with asyncio.timeout(BARRIER_SECONDS):
            await library.barrier()
    except TimeoutError:
        raise GatewayError("Kafka does not answer; nothing was changed, try again") from None


def as_gateway_error(refusal: RefusedError, public_id: str) -> GatewayError:
    """What a caller is told of an event that became a dead letter."""
    fault = refusal.fault
    if fault.reason in _BAD_IMAGE:
        return BadCallError(f"{INVALID_IMAGE}: {fault.message}")
    if fault.reason == "unknown_image":
        return UnknownAssetError(f"Resource not found - {public_id}")
    if fault.stage == "parse":
        return BadCallError(f"{fault.message}")
    return GatewayError(f"{fault.reason}: {fault.message}")


def _event_id(call: UploadCall) -> str:
    caller, file, options = call.caller, call.file, call.options
    if call.upload_id is not None:
        return event_id_of("chunked", call.cloud, call.upload_id, file.digest)
    if caller.repeat is None or caller.key is None:
        return random_id()
    named = (file.digest, call.filename, options.resource_type)
    return event_id_of("upload", call.cloud, caller.key.id, caller.repeat, *named)


def _public_id(call: UploadCall, media: Media, event_id: str) -> str:
    options = call.options
    if options.public_id is not None:
        return options.public_id
    name = FileName.of(call.filename or "")
    if options.use_filename and name.stem:
        made = public_id_of_file(name.stem, event_id, unique=options.unique_filename)
    else:
        made = random_public_id(event_id)
    dotted = f".{name.extension}" if media.resource_type == "raw" and name.extension else ""
    return f"{options.prefix}{made}{dotted}"


def _original_filename(call: UploadCall) -> str | None:
    if call.options.discard_original_filename or call.filename is None:
        return None
    return FileName.of(call.filename).stem[:MAX_NAME]


def _display_name(call: UploadCall, public_id: str) -> str:
    options = call.options
    if options.display_name is not None:
        return options.display_name
    if options.use_filename_as_display_name and call.filename:
        return FileName.of(call.filename).stem[:MAX_NAME]
    return public_id.rpartition("/")[2]
