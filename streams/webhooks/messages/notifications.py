"""Which notifications come of a committed record: pure, and in Cloudinary's words.

| record | its cause | notification |
|---|---|---|
| categorization, or tag-update in its place | `image.uploaded` | `upload`; of a renamed asset `rename` |
| categorization | `image.update` that names a `notification_url` | `info`: what add-ons found |
| tag-update | `image.update`, `image.tags-edited`, `image.retag` | `resource_tags_changed`, if some did |
| tag-update | `image.deleted` | `delete`; none for the old name of a renamed asset |
| dead letter | any event that names a `notification_url` | `error` |

An upload's tags are in its `upload`, so they are no `resource_tags_changed`. The forms of `info` and `error`
are ours: nothing says how Cloudinary's look.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from schemas.assets import Asset
from schemas.cloudevents import Headers, open_envelope
from schemas.dead_letters import read_fault
from schemas.errors import BadEventError
from schemas.names import MAX_NAME
from schemas.times import utc_datetime
from schemas.uploads import Record, UploadData, UploadType

MAX_URL = 2048  # characters of a receiver's address

Body = dict[str, Any]


class Told(msgspec.Struct, kw_only=True):
    """What of a record decides whom it is told, and about what.

    Attributes:
        categorized: Whether a categorization tells of an upload; otherwise this tag-update does.
        whole: The record as it is, for those who need more.
    """

    cause: "_Cause"
    public_id: str = ""
    tenant: str | None = None
    notification_url: str | None = None
    asset: Asset | None = None
    resources: "list[_Changed]" = []
    categorized: bool = True
    whole: Body = {}


class _Cause(msgspec.Struct):
    type: str


class _Changed(msgspec.Struct):
    public_id: str
    added: list[str] = []
    removed: list[str] = []
    updated: list[str] = []


Describe = Callable[[Told], Body]


class Source(StrEnum):
    """What a record is that a notification may come of; by this order where they are equally old."""

    CATEGORIZATION = "c"
    TAG_UPDATE = "t"
    DEAD_LETTER = "d"


class Notification(NamedTuple):
    """What a receiver is told.

    Attributes:
        kind: Its `notification_type`.
        cloud: Whose asset it is about; empty: an image without a tenant.
        asset: What orders it: notifications of one asset come in the order in which that changed.
        body: What is sent, but for the key that signs it.
        url: Where its event wants it; None: where the cloud does.
        api_key: The key that the event came with, which signs if it is still there.
    """

    kind: str
    cloud: str
    asset: str
    body: Body
    url: str | None = None
    api_key: str | None = None


def notification_of(source: Source, record: Record, describe: Describe | None = None) -> Notification | None:
    """What a committed record tells receivers; None: nothing.

    Args:
        source: What the record is.
        record: The record.
        describe: Makes an upload's answer of a categorization; None: in the words of the record alone.
    """
    if source is Source.DEAD_LETTER:
        return _failed(record)
    try:
        told = msgspec.json.decode(record.value or b"null", type=Told)
        told.whole = msgspec.json.decode(record.value or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # no record of ours
    if source is Source.CATEGORIZATION:
        return _categorized(told, record, describe or described)
    return _tags_changed(told, record, describe or described) if told.resources else None


def described(told: Told) -> Body:
    """An image that nobody stored, in the words of its record: the names are those of an upload's answer."""
    names = ("version", "width", "height", "format", "bytes", "etag", "tags", "url", "info")
    found = {name: told.whole[name] for name in names if told.whole.get(name) is not None}
    return _named(told) | found | {"created_at": told.whole.get("uploaded_at")}


def _uploaded(told: Told, record: Record, describe: Describe) -> Notification:
    if told.asset and told.asset.renamed_from:
        named = _named(told)
        names = {"from_public_id": told.asset.renamed_from, "to_public_id": named["public_id"]}
        return _notification("rename", told, record, names | named)
    return _notification("upload", told, record, describe(told))


def _categorized(told: Told, record: Record, describe: Describe) -> Notification | None:
    cause = told.cause.type
    if cause == UploadType.UPLOADED:
        return _uploaded(told, record, describe)
    if cause == UploadType.UPDATED and told.notification_url:
        info = {"info_kind": "categorization", "info_status": "complete"}
        return _notification("info", told, record, info | describe(told))
    return None


def _tags_changed(told: Told, record: Record, describe: Describe) -> Notification | None:
    changed = told.resources[0]
    told.public_id = changed.public_id
    if told.cause.type == UploadType.DELETED:
        if told.asset and told.asset.renamed_to:
            return None
        version = {"version": told.asset.version} if told.asset else {}
        return _notification("delete", told, record, {"resources": [_named(told) | version]})
    if told.cause.type == UploadType.UPLOADED:
        return None if told.categorized else _uploaded(told, record, describe)
    if not (changed.added or changed.removed or changed.updated):
        return None
    tags = {"added": changed.added, "removed": changed.removed, "updated": changed.updated}
    body = {"source": "api", "resources": [_named(told) | tags]}
    return _notification("resource_tags_changed", told, record, body)


def _failed(record: Record) -> Notification | None:
    """Why an event that asked to be told came to nothing."""
    data = _event(record)
    if data is None or not data.notification_url:
        return None
    fault = read_fault(record.headers)
    told = Told(
        cause=_Cause(""),
        public_id=data.public_id or (record.key or b"").decode(errors="replace")[:MAX_NAME],
        tenant=data.tenant,
        notification_url=data.notification_url,
        asset=data.asset,
    )
    error = {"error": {"message": fault.message, "reason": fault.reason}}
    return _notification("error", told, record, _named(told) | error)


def _event(record: Record) -> UploadData | None:
    """The event that a dead letter holds, if it can be read at all."""
    try:
        return msgspec.json.decode(open_envelope(record.value or b"", record.headers).data, type=UploadData)
    except (BadEventError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _named(told: Told) -> Body:
    asset = told.asset
    if asset is None:
        return {"public_id": told.public_id, "resource_type": "image", "type": "upload"}
    return {
        "asset_id": asset.asset_id,
        "public_id": asset.public_id or told.public_id,
        "resource_type": asset.resource_type,
        "type": asset.type,
    }


def _notification(kind: str, told: Told, record: Record, body: Body) -> Notification:
    asset = told.asset
    happened = utc_datetime(record.timestamp).isoformat(timespec="seconds")
    by = {"source": "api", "id": (asset and asset.api_key) or ""}
    return Notification(
        kind=kind,
        cloud=told.tenant or "",
        asset=asset.asset_id if asset else told.public_id,
        body={
            "notification_type": kind,
            "timestamp": happened,
            "request_id": _id_of(record.headers) or f"{record.topic}/{record.partition}/{record.offset}",
            **body,
            "notification_context": {"triggered_at": happened, "triggered_by": by},
        },
        url=told.notification_url or None,
        api_key=asset.api_key if asset else None,
    )


def _id_of(headers: Headers) -> str:
    """The id of the record as an event: the same however often it is told."""
    found = (content for name, content in headers if name == "ce_id")
    return (next(found, None) or b"").decode(errors="replace")


def wanted_urls(notification: Notification, configured: Sequence[str]) -> list[str]:
    """Where a notification goes: where its event says, or else where the cloud's are to go."""
    urls = [notification.url] if notification.url else configured
    return [url for url in dict.fromkeys(urls) if len(url) <= MAX_URL]
