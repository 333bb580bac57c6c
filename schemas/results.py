"""What comes out: categorizations and tag-updates, in the shapes that Cloudinary's consumers know."""

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

CATEGORIZED = "tagstream.image.categorized"
TAGS_CHANGED = "tagstream.image.tags-changed"


class ScoredTag(msgspec.Struct, frozen=True):
    """A tag and how sure the tagger is of it, 0..1 with four decimals."""

    tag: str
    confidence: float


class AddOnResult(msgspec.Struct, frozen=True):
    """What one add-on says of an image, best tag first."""

    status: Literal["complete", "pending", "failed"]
    data: list[ScoredTag]


class Info(msgspec.Struct, frozen=True):
    """Cloudinary's `info` block."""

    categorization: dict[str, AddOnResult]


class ModelInfo(msgspec.Struct, frozen=True):
    """The model that made a result."""

    name: str
    version: str


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds spent on one image."""

    fetch: float
    decode: float
    inference: float
    total: float


class Cause(msgspec.Struct, frozen=True):
    """The event that led here."""

    source: str
    id: str
    type: str


class Categorization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every tag of an image with its confidence, per add-on."""

    public_id: str
    uploaded_at: str
    bytes: int
    width: int
    height: int
    format: str
    tags: list[str]
    info: Info
    model: ModelInfo
    timings_ms: Timings
    cause: Cause | None = None
    version: int | None = None
    user_id: str | None = None
    tenant: str | None = None
    etag: str | None = None
    url: str | None = None
    language: str | list[str] | None = None
    notification_url: str | None = None
    context: dict[str, object] | None = None


class ChangedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One image whose tags changed."""

    public_id: str
    added: list[str]
    removed: list[str]
    updated: list[str]
    resource_type: Literal["image"] = "image"
    type: Literal["upload"] = "upload"


class TagUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The tags assigned to an image: what came, what went, and what it has now."""

    resources: list[ChangedResource]
    tags: list[str]
    cause: Cause
    notification_type: Literal["resource_tags_changed"] = "resource_tags_changed"


def result_id(kind: str, source: str, event_id: str, add_ons: Iterable[str], model: str) -> str:
    """Give the id of a result: the same upload, add-ons and model give the same id again."""
    parts = "\x1f".join((kind, source, event_id, ",".join(add_ons), model))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
