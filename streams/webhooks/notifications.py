"""Which notifications come of a committed record: pure, and in Cloudinary's words.

| record | its cause | notification |
|---|---|---|
| categorization | `image.uploaded` | `upload`, or `rename` where the asset had another name before |
| categorization | `image.update` that names a `notification_url` | `info`: what add-ons found |
| tag-update | `image.update`, `image.tags-edited`, `image.retag` | `resource_tags_changed` |
| tag-update | `image.deleted` | `delete`; none for the old name of a renamed asset |
| dead letter | any event that names a `notification_url` | `error` |

An upload's tags are in its `upload`, so they are no `resource_tags_changed`. The forms of `info` and `error`
are ours: nothing says how Cloudinary's look.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from schemas.cloudevents import Headers, open_envelope
from schemas.dead_letters import read_fault
from schemas.errors import BadEventError
from schemas.names import MAX_NAME
from schemas.times import utc_datetime
from schemas.uploads import Record, UploadData, UploadType

MAX_URL = 2048  # characters of a receiver's address

Body = dict[str, Any]
Describe = Callable[[Mapping[str, Any]], Body]


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
        value = msgspec.json.decode(record.value or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("cause"), dict):
        return None  # no record of ours
    cause = value["cause"].get("type")
    if source is Source.CATEGORIZATION:
        return _categorized(value, cause, record, describe or described)
    return _tags_changed(value, cause, record)


def described(value: Mapping[str, Any]) -> Body:
    """An image in the words of its categorization, with the names of an upload's answer."""
    names = ("public_id", "version", "width", "height", "format", "bytes", "etag", "tags", "url", "info")
    told = {name: value[name] for name in names if value.get(name) is not None}
    return told | {"resource_type": "image", "type": "upload", "created_at": value.get("uploaded_at")}


def _categorized(value: Body, cause: str, record: Record, describe: Describe) -> Notification | None:
    asset = value.get("asset") or {}
    if cause == UploadType.UPLOADED and asset.get("renamed_from"):
        to = _named(value)
        renamed = {"from_public_id": asset["renamed_from"], "to_public_id": to["public_id"]}
        return _notification("rename", value, record, renamed | to)
    if cause == UploadType.UPLOADED:
        return _notification("upload", value, record, describe(value))
    if cause == UploadType.UPDATED and value.get("notification_url"):
        told = {"info_kind": "categorization", "info_status": "complete"}
        return _notification("info", value, record, told | describe(value))
    return None


def _tags_changed(value: Body, cause: str, record: Record) -> Notification | None:
    if cause == UploadType.UPLOADED or not value.get("resources"):
        return None
    asset = value.get("asset") or {}
    changed = value["resources"][0]
    named = _named(value | {"public_id": changed["public_id"]})
    if cause == UploadType.DELETED:
        if asset.get("renamed_to"):
            return None
        version = {"version": asset["version"]} if asset.get("version") else {}
        return _notification("delete", value | named, record, {"resources": [named | version]})
    told = {name: changed.get(name, []) for name in ("added", "removed", "updated")}
    body = {"source": "api", "resources": [named | told]}
    return _notification("resource_tags_changed", value | named, record, body)


def _failed(record: Record) -> Notification | None:
    """Why an event that asked to be told came to nothing."""
    data = _event(record)
    if data is None or not data.notification_url:
        return None
    fault = read_fault(record.headers)
    name = data.public_id or (record.key or b"").decode(errors="replace")[:MAX_NAME]
    value = {
        "public_id": name,
        "tenant": data.tenant,
        "notification_url": data.notification_url,
        "asset": _encodable(getattr(data, "asset", None)),
    }
    error = {"error": {"message": fault.message, "reason": fault.reason}}
    return _notification("error", value, record, _named(value) | error)


def _event(record: Record) -> UploadData | None:
    """The event that a dead letter holds, if it can be read at all."""
    try:
        return msgspec.json.decode(open_envelope(record.value or b"", record.headers).data, type=UploadData)
    except (BadEventError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _encodable(asset: object) -> Body:
    found: Body = {} if asset is None else msgspec.to_builtins(asset)
    return found


def _named(value: Mapping[str, Any]) -> Body:
    asset = value.get("asset") or {}
    named = {"asset_id": asset["asset_id"]} if asset.get("asset_id") else {}
    return named | {
        "public_id": asset.get("public_id") or value["public_id"],
        "resource_type": asset.get("resource_type", "image"),
        "type": asset.get("type", "upload"),
    }


def _notification(kind: str, value: Mapping[str, Any], record: Record, told: Body) -> Notification:
    asset = value.get("asset") or {}
    happened = utc_datetime(record.timestamp).isoformat(timespec="seconds")
    context = {"triggered_at": happened, "triggered_by": {"source": "api", "id": asset.get("api_key", "")}}
    body = {
        "notification_type": kind,
        "timestamp": happened,
        "request_id": _id_of(record.headers) or f"{record.topic}/{record.partition}/{record.offset}",
        **told,
        "notification_context": context,
    }
    return Notification(
        kind=kind,
        cloud=str(value.get("tenant") or ""),
        asset=str(asset.get("asset_id") or value["public_id"]),
        body=body,
        url=value.get("notification_url") or None,
        api_key=asset.get("api_key"),
    )


def _id_of(headers: Headers) -> str:
    """The id of the record as an event: the same however often it is told."""
    return next(
        ((content or b"").decode(errors="replace") for name, content in headers if name == "ce_id"), ""
    )


def wanted_urls(notification: Notification, configured: Sequence[str]) -> list[str]:
    """Where a notification goes: where its event says, or else where the cloud's are to go."""
    urls = [notification.url] if notification.url else configured
    return [url for url in dict.fromkeys(urls) if len(url) <= MAX_URL]
