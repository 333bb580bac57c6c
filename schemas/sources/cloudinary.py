"""Notifications that Cloudinary posts, as a bridge puts them into Kafka.

Source: Cloudinary's "Webhook notifications".
"""

from typing import Any

from schemas.sources.changes import Change, Message, Options, Outcome, Outcomes, Skipped, each
from schemas.sources.values import (
    as_object,
    at,
    bad,
    identity,
    merged,
    number_at,
    object_of,
    optional_text,
    parts_of,
    shown,
    text_at,
)
from schemas.uploads import UploadType

_OTHERS = frozenset(
    {
        *("eager", "explicit", "explode", "multi", "sprite", "generate_archive", "info", "moderation"),
        *(
            "moderation_summary",
            "resource_tags_changed",
            "resource_context_changed",
            "access_control_changed",
        ),
        *("resource_metadata_changed", "resource_display_name_changed", "create_folder", "delete_folder"),
        *("move_or_rename_asset_folder", "restore_asset_version", "publish", "report", "error", "analysis"),
        *("delete_by_token", "bulk_delete", "related_assets", "unrelated_assets", "background_removal"),
    }
)
_GOING = frozenset({"delete_by_token", "bulk_delete"})  # they say not of what


def read(message: Message, _options: Options) -> Outcomes:
    """Read one notification."""
    found = object_of(message.value)
    name = text_at(found, "notification_type")
    if name == "upload":
        return [_uploaded(found)]
    if name == "delete":
        resources = at(found, "resources")
        if isinstance(resources, dict):  # by type of asset
            resources = [each for some in resources.values() if isinstance(some, list) for each in some]
        if resources is None:
            resources = [found]
        parts = parts_of(resources, "`resources`")
        return each(parts, lambda item: _deleted(as_object(item, "a resource"), found))
    if name == "rename":
        return _renamed(found)
    if name in _OTHERS - _GOING:
        return [Skipped(f"{name} changes no bytes")]
    raise bad(
        f"`notification_type` is {shown(name)}; known are upload, delete, rename: upgrade, or leave it out"
    )


def _uploaded(found: dict[str, Any]) -> Outcome:
    if (other := _other_kind(found)) is not None:
        return other
    return _change(UploadType.UPLOADED, found, found, text_at(found, "public_id"))


def _deleted(resource: dict[str, Any], found: dict[str, Any]) -> Outcome:
    if (other := _other_kind(resource)) is not None:
        return other
    return _change(UploadType.DELETED, resource, found, text_at(resource, "public_id"))


def _renamed(found: dict[str, Any]) -> list[Outcome]:
    if (other := _other_kind(found)) is not None:
        return [other]
    gone, come = text_at(found, "from_public_id"), text_at(found, "to_public_id")
    named = merged(found, {"public_id": come})
    return [
        _change(UploadType.DELETED, found, found, gone, versioned=False),
        _change(UploadType.UPLOADED, named, found, come),
    ]


def _other_kind(asset: dict[str, Any]) -> Skipped | None:
    kind = at(asset, "resource_type") or "image"
    return None if kind == "image" else Skipped(f"a {kind!s:.20}, no image")


def _change(
    kind: UploadType, asset: dict[str, Any], found: dict[str, Any], public_id: str, *, versioned: bool = True
) -> Change:
    request = at(found, "request_id") or at(found, "asset_id") or at(asset, "asset_id")
    version = number_at(asset, "version") if versioned else None
    time = optional_text(found, "timestamp")
    return Change(
        kind=kind,
        source="cloudinary",
        id=identity(request, time, version, kind, public_id),
        time=time or optional_text(asset, "created_at"),
        version=version,
        values=merged(asset, {"public_id": public_id}),
    )
