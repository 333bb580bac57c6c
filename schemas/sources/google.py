"""CloudEvents of Google Cloud Storage, in structured or binary mode.

An object's generation is its version: what removes an older one removes nothing else.
Source: google-cloudevents' `google.events.cloud.storage.v1`.
"""

from schemas.sources.changes import Change, Message, Options, Outcomes, Skipped
from schemas.sources.cloud_events import attributes_of
from schemas.sources.values import at, bad, metadata, number_at, object_of, shown, text_at
from schemas.uploads import UploadType

_PREFIX = "google.cloud.storage.object.v1."
_KINDS = {
    "finalized": UploadType.UPLOADED,
    "deleted": UploadType.DELETED,
    "archived": UploadType.DELETED,  # it is no longer the live version
}


def read(message: Message, _options: Options) -> Outcomes:
    """Read one event."""
    envelope = attributes_of(message)
    name = envelope.type or ""
    if not name.startswith(_PREFIX):
        raise bad(f"`type` is {shown(name)}; {_PREFIX}* are read")
    kind = _KINDS.get(name.removeprefix(_PREFIX))
    if kind is None:
        if name == f"{_PREFIX}metadataUpdated":
            return [Skipped("metadataUpdated changes no bytes")]
        raise bad(f"`type` is {shown(name)}; known are {', '.join(_KINDS)} and metadataUpdated: upgrade")
    data = object_of(envelope.data)
    bucket, key = text_at(data, "bucket"), text_at(data, "name")
    if key.endswith("/"):
        return [Skipped("a folder's mark")]
    version = number_at(data, "generation")
    if version is None and kind is UploadType.DELETED:
        raise bad("`generation` is missing; without it nobody knows what is removed")
    return [
        Change(
            kind=kind,
            source=envelope.source or "",
            id=envelope.id or "",
            time=envelope.time,
            version=version,
            values={
                "bucket": bucket,
                "key": key,
                "size": at(data, "size"),
                "etag": at(data, "etag"),
                "md5": at(data, "md5Hash"),
                "version_id": at(data, "generation"),
                "content_type": at(data, "contentType"),
                "meta": metadata(at(data, "metadata")),
            },
        )
    ]
