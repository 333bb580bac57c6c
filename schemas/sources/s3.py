"""Notifications of S3's family: AWS, MinIO, Ceph, and servers that speak as one of them.

They differ in how keys are escaped and in what a sequencer counts. Sources: S3's "Event message structure",
MinIO's and Ceph's pages on bucket notifications.
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from schemas.sources.changes import ONE_VERSION, Change, Message, Options, Outcome, Outcomes, Skipped, each
from schemas.sources.values import (
    as_object,
    at,
    bad,
    decoded,
    identity,
    metadata,
    object_of,
    optional_text,
    parts_of,
    shown,
    text_at,
)
from schemas.uploads import UploadType

_CREATED = frozenset(
    {f"ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload", "Append")}
)
_REMOVED = frozenset(
    {
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:DeleteAllVersions",
        "ObjectRemoved:DeletionMarkerCreated",
        "LifecycleExpiration:Delete",
        "LifecycleExpiration:DeleteMarkerCreated",
        "ObjectLifecycle:Expiration:Current",
    }
)
_OF_ALL_VERSIONS = ("DeleteMarkerCreated", "DeletionMarkerCreated", "DeleteAllVersions", "Expiration:Current")
_OTHERS = frozenset(
    {
        *("ObjectTagging", "ObjectAcl", "ObjectRestore", "Replication", "IntelligentTiering"),
        *("ReducedRedundancyLostObject", "LifecycleTransition", "ObjectAccessed", "ObjectTransition", "ILM"),
        *("Scanner", "BucketCreated", "BucketRemoved", "ObjectSynced", "ObjectLifecycle", "TestEvent"),
    }
)
_OTHER_NAMES = re.compile(r"ObjectCreated:(Put|Delete)(Retention|LegalHold|Tagging)|ObjectRemoved:NoOP")
_ESCAPED = {"aws:s3": True, "minio:s3": True, "ceph:s3": False}
_HEX = re.compile(r"[0-9A-Fa-f]{1,64}")
_CEPH_DIGITS = 16


def read(message: Message, options: Options) -> Outcomes:
    """Read a notification: the changes of all its records."""
    found = _out_of_sns(object_of(message.value))
    if found.get("Event") == "s3:TestEvent":
        return [Skipped("a test of the notification's configuration")]
    if "Records" not in found:
        raise bad("`Records` is missing; a bucket's notification has them, see `source`")
    records = parts_of(found["Records"], "`Records`")
    return each(records, lambda record: _read(as_object(record, "a record"), options)) or [
        Skipped("it has no records")
    ]


def _out_of_sns(found: dict[str, Any]) -> dict[str, Any]:
    inner = found.get("Message")
    if found.get("Type") == "Notification" and isinstance(inner, str):
        return as_object(decoded(inner.encode(errors="replace")), "`Message`")
    return found


def _read(record: dict[str, Any], options: Options) -> Outcome:
    name = text_at(record, "eventName").removeprefix("s3:")
    if name not in _CREATED | _REMOVED:
        if name.partition(":")[0] in _OTHERS or _OTHER_NAMES.fullmatch(name):
            return Skipped(f"{name} changes no bytes")
        raise bad(f"`eventName` is {shown(name)}; none of a bucket's that is known: upgrade, or skip it")
    vendor = text_at(record, "eventSource")
    bucket = text_at(record, "s3.bucket.name")
    key = _key(text_at(record, "s3.object.key"), vendor, options)
    if key.endswith("/"):
        return Skipped("a folder's mark")
    version = optional_text(record, "s3.object.versionId")
    removes = name in _REMOVED
    one_version = removes and version not in {None, "null"} and not name.endswith(_OF_ALL_VERSIONS)
    if one_version and not options.removed_versions:
        return Skipped(ONE_VERSION)
    sequencer = _sequencer(at(record, "s3.object.sequencer"), vendor)
    time = optional_text(record, "eventTime")
    request = at(record, "responseElements.x-amz-request-id")
    region = at(record, "awsRegion") or ""
    return Change(
        kind=UploadType.DELETED if removes else UploadType.UPLOADED,
        source=identity(f"{vendor}.{region}.{bucket}"),
        id=identity(key, sequencer or f"{time}/{request}", name),
        time=time,
        sequencer=sequencer,
        values={
            "bucket": bucket,
            "key": key,
            "size": at(record, "s3.object.size"),
            "etag": at(record, "s3.object.eTag"),
            "version_id": version,
            "content_type": at(record, "s3.object.contentType"),
            "region": region,
            "principal": at(record, "userIdentity.principalId"),
            "opaque": at(record, "opaqueData"),
            "meta": metadata(at(record, "s3.object.userMetadata") or at(record, "s3.object.metadata")),
        },
    )


def _key(written: str, vendor: str, options: Options) -> str:
    escaped = _ESCAPED.get(vendor) if options.escaped is None else options.escaped
    if escaped is None:
        known = ", ".join(_ESCAPED)
        raise bad(
            f"`eventSource` is {shown(vendor)}; known are {known}: say escaped = true or false for others"
        )
    if not escaped:
        return written
    try:
        return unquote_to_bytes(written.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise bad(f"`s3.object.key` is {shown(written)}; its escapes are not UTF-8") from None


def _sequencer(written: Any, vendor: str) -> str | None:  # noqa: ANN401 - JSON
    if written is None or written == "":
        return None
    if not isinstance(written, str) or not _HEX.fullmatch(written):
        raise bad(f"`s3.object.sequencer` is {shown(written)}; up to 64 hexadecimal digits are wanted")
    if vendor != "ceph:s3" or len(written) != _CEPH_DIGITS:
        return written
    # Ceph writes its clock, seconds and nanoseconds, as the bytes lie in memory: the lowest first.
    raw = bytes.fromhex(written)
    return (raw[3::-1] + raw[7:3:-1]).hex()
