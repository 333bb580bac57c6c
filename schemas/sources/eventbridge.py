"""S3's events by way of Amazon EventBridge. Keys are not escaped there.

Source: S3's "EventBridge event message structure".
"""

from schemas.sources.changes import ONE_VERSION, Change, Message, Options, Outcomes, Skipped
from schemas.sources.values import at, bad, identity, object_of, optional_text, shown, text_at
from schemas.uploads import UploadType

_KINDS = {"Object Created": UploadType.UPLOADED, "Object Deleted": UploadType.DELETED}
_MARKED = "Delete Marker Created"


def read(message: Message, options: Options) -> Outcomes:
    """Read one event."""
    event = object_of(message.value)
    if at(event, "source") != "aws.s3":
        raise bad(f"`source` is {shown(at(event, 'source'))}; events of aws.s3 are read: narrow the rule")
    name = text_at(event, "detail-type")
    kind = _KINDS.get(name)
    if kind is None:
        if name.startswith("Object "):
            return [Skipped(f"{name} changes no bytes")]
        raise bad(f"`detail-type` is {shown(name)}; it is none of a bucket's: narrow the rule")
    bucket, key = text_at(event, "detail.bucket.name"), text_at(event, "detail.object.key")
    if key.endswith("/"):
        return [Skipped("a folder's mark")]
    version = optional_text(event, "detail.object.version-id")
    deletion = at(event, "detail.deletion-type")
    one_version = kind is UploadType.DELETED and version not in {None, "null"} and deletion != _MARKED
    if one_version and not options.removed_versions:
        return [Skipped(ONE_VERSION)]
    return [
        Change(
            kind=kind,
            source=identity("aws.s3", at(event, "region") or "", bucket),
            id=identity(text_at(event, "id")),
            time=optional_text(event, "time"),
            sequencer=optional_text(event, "detail.object.sequencer"),
            values={
                "bucket": bucket,
                "key": key,
                "size": at(event, "detail.object.size"),
                "etag": at(event, "detail.object.etag"),
                "version_id": version,
                "region": at(event, "region"),
                "account": at(event, "account"),
                "principal": at(event, "detail.requester"),
            },
        )
    ]
