"""Events of Azure Blob Storage, in Event Grid's own schema or as CloudEvents, one or a list of them.

Source: "Azure Blob Storage as an Event Grid source".
"""

from typing import Any

from schemas.cloudevents import Envelope
from schemas.sources.changes import ONE_VERSION, Change, Message, Options, Outcome, Outcomes, Skipped, each
from schemas.sources.cloud_events import attributes_of, opened
from schemas.sources.values import (
    as_object,
    at,
    bad,
    decoded,
    identity,
    number_at,
    object_of,
    optional_text,
    parts_of,
    shown,
    text_at,
)
from schemas.uploads import UploadType

_KINDS = {
    "Microsoft.Storage.BlobCreated": UploadType.UPLOADED,
    "Microsoft.Storage.BlobDeleted": UploadType.DELETED,
}
_OTHERS = frozenset(
    {
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        "Microsoft.EventGrid.SubscriptionDeletedEvent",
        *(
            f"Microsoft.Storage.{name}"
            for name in (
                "DirectoryCreated",
                "BlobTierChanged",
                "AsyncOperationInitiated",
                "BlobInventoryPolicyCompleted",
                "LifecyclePolicyCompleted",
                "LifecyclePolicyRunCompleted",
            )
        ),
    }
)
_BLOBS, _CONTAINERS = "/blobs/", "/containers/"


def read(message: Message, options: Options) -> Outcomes:
    """Read an event, or a list of them."""
    if any(name.lower() in {"ce_type", "ce-type"} for name, _ in message.headers):
        return [_read(_of_cloudevent(attributes_of(message)), options)]
    found = decoded(message.value)
    events = parts_of(found, "the message") if isinstance(found, list) else [found]
    return each(events, lambda event: _read(as_object(event, "an event"), options)) or [
        Skipped("it has no events")
    ]


def _of_cloudevent(envelope: Envelope) -> dict[str, Any]:
    data = object_of(envelope.data)
    return {
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "time": envelope.time,
        "subject": envelope.subject or _subject_of(at(data, "url")),
        "data": data,
    }


def _subject_of(url: Any) -> str:  # noqa: ANN401 - JSON
    """The subject that a blob's URL stands for; binary CloudEvents may lack it."""
    path = url.partition("://")[2].partition("/")[2].partition("?")[0] if isinstance(url, str) else ""
    container, _, blob = path.partition("/")
    return f"{_CONTAINERS}{container}{_BLOBS}{blob}"


def _read(event: dict[str, Any], options: Options) -> Outcome:
    if "specversion" in event:
        event = _of_cloudevent(opened(event))
    name = optional_text(event, "eventType") or text_at(event, "type")
    kind = _KINDS.get(name)
    if kind is None:
        if name in _OTHERS:
            return Skipped(f"{name.rpartition('.')[2]} changes no bytes")
        raise bad(f"the event's type is {shown(name)}; it is none of blobs that is known: narrow the rule")
    subject = text_at(event, "subject")
    container, blobs, key = subject.partition(_CONTAINERS)[2].partition(_BLOBS)
    if not (container and blobs and key):
        raise bad(f"`subject` is {shown(subject)}; …/containers/NAME/blobs/NAME is wanted")
    url, api = text_at(event, "data.url"), at(event, "data.api")
    if kind is UploadType.UPLOADED and (api == "CreateFile" or at(event, "data.contentLength") == 0):
        return Skipped("the file is empty as yet; its bytes come with FlushWithClose")
    one_version = kind is UploadType.DELETED and ("snapshot=" in url or "versionid=" in url.lower())
    if one_version and not options.removed_versions:
        return Skipped(ONE_VERSION)
    return Change(
        kind=kind,
        source=identity(optional_text(event, "source") or optional_text(event, "topic") or "azure"),
        id=identity(text_at(event, "id")),
        time=optional_text(event, "eventTime") or optional_text(event, "time"),
        sequencer=optional_text(event, "data.sequencer"),
        values={
            "container": container,
            "bucket": container,
            "key": key,
            "url": url.partition("?")[0],
            "size": number_at(event, "data.contentLength"),
            "etag": (optional_text(event, "data.eTag") or "").strip('"') or None,
            "content_type": at(event, "data.contentType"),
            "api": api,
        },
    )
