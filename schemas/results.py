"""What comes out: categorizations and tag-updates, in the shapes that Cloudinary's consumers know."""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from schemas.assets import Asset, ResourceType

CATEGORIZED = "tagstream.image.categorized"
TAGS_CHANGED = "tagstream.image.tags-changed"

_TimeText = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Milliseconds = Annotated[float, msgspec.Meta(ge=0)]


class ScoredTag(msgspec.Struct, frozen=True):
    """A tag and how sure the tagger is of it."""

    tag: str
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1, description="0 to 1, four decimals.")]


class ReportedTag(ScoredTag, frozen=True, omit_defaults=True):
    """A tag in a result."""

    probability: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=1)] | None,
        msgspec.Meta(
            description="How likely the tag is, calibrated, where that differs from its confidence: general "
            "tags are discounted. Absent for tags that rules made.",
        ),
    ] = None
    names: Annotated[
        dict[str, str] | None,
        msgspec.Meta(description="The tag in each language that the upload asks for, as it names them."),
    ] = None
    untranslated: Annotated[
        list[str] | None,
        msgspec.Meta(description="Those of the languages in which only the tag itself could be given."),
    ] = None


class ReadWord(msgspec.Struct, frozen=True):
    """A word that stands in an image."""

    word: Annotated[str, msgspec.Meta(max_length=32, description="As it is written there.")]
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1, description="0 to 1, four decimals.")]


class ModelInfo(msgspec.Struct, frozen=True):
    """The model that made a result."""

    name: str
    version: str


class AddOnResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one add-on says of an image."""

    status: Annotated[
        Literal["complete", "pending", "failed"],
        msgspec.Meta(description="`failed`: this add-on alone could not; `error` says why."),
    ]
    data: Annotated[list[ReportedTag], msgspec.Meta(description="Best tag first; empty if it failed.")]
    model: Annotated[ModelInfo | None, msgspec.Meta(description="The model behind it.")] = None
    error: Annotated[str | None, msgspec.Meta(description="Why it failed, in short.")] = None
    words: Annotated[
        Annotated[list[ReadWord], msgspec.Meta(max_length=32)] | None,
        msgspec.Meta(
            description="Of an add-on that reads: the words in the image, those of the largest line first. "
            "They are no tags, unless the operator wants them to be."
        ),
    ] = None


class Info(msgspec.Struct, frozen=True):
    """Cloudinary's `info` block."""

    categorization: Annotated[
        dict[str, AddOnResult], msgspec.Meta(description="For each add-on that was asked for, by its name.")
    ]


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds spent on one image."""

    fetch: _Milliseconds
    decode: _Milliseconds
    inference: _Milliseconds
    total: Annotated[
        _Milliseconds, msgspec.Meta(description="From reading the event to its tags, with waits.")
    ]


class Cause(msgspec.Struct, frozen=True):
    """The event that led here."""

    source: Annotated[
        str, msgspec.Meta(description="Who published it; `kafka:` and the topic for a plain JSON event.")
    ]
    id: Annotated[str, msgspec.Meta(description="With `source`, the upload's idempotency key.")]
    type: str


class Categorization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every tag of an image with its confidence, per add-on."""

    public_id: Annotated[str, msgspec.Meta(description="Identity of the image.")]
    uploaded_at: Annotated[_TimeText, msgspec.Meta(description="Event time of the upload, RFC 3339, UTC.")]
    bytes: Annotated[_Count, msgspec.Meta(description="Size of the image as it was fetched.")]
    width: Annotated[_Count, msgspec.Meta(description="Pixels.")]
    height: Annotated[_Count, msgspec.Meta(description="Pixels.")]
    format: Annotated[str, msgspec.Meta(description="Found in the bytes, such as jpg or png.")]
    tags: Annotated[list[str], msgspec.Meta(description="What the image is tagged with now.")]
    info: Info
    model: Annotated[ModelInfo, msgspec.Meta(description="The model behind the first add-on.")]
    timings_ms: Timings
    rules: Annotated[
        str | None, msgspec.Meta(description="Hash of the rules that named and assigned its tags.")
    ] = None
    cause: Annotated[Cause | None, msgspec.Meta(description="The upload event.")] = None
    version: Annotated[int | None, msgspec.Meta(description="The upload's.")] = None
    user_id: Annotated[str | None, msgspec.Meta(description="Whose upload it was.")] = None
    tenant: Annotated[str | None, msgspec.Meta(description="Whose user that is.")] = None
    etag: Annotated[
        str | None,
        msgspec.Meta(description="The upload's; where it gave none, BLAKE3 of the bytes, 128 bits."),
    ] = None
    phash: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")] | None,
        msgspec.Meta(
            description="Perceptual hash, 64 bits as hexadecimal digits: in images that look alike few bits "
            "differ. Left out for an image of one colour."
        ),
    ] = None
    embedding: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]{44}$")] | None,
        msgspec.Meta(
            description="What the default classifier sees in it, 33 bytes as base64: a version, then 64 "
            "numbers of 4 bits, 8 for zero. The smaller the angle between two, the more alike is what the "
            "images show."
        ),
    ] = None
    url: Annotated[
        str | None, msgspec.Meta(description="Where the image was fetched from; left out for a data URL.")
    ] = None
    language: Annotated[str | list[str] | None, msgspec.Meta(description="The upload's.")] = None
    unknown_languages: Annotated[
        list[str] | None, msgspec.Meta(description="Those of them in which no names are known at all.")
    ] = None
    notification_url: Annotated[str | None, msgspec.Meta(description="The upload's.")] = None
    context: Annotated[dict[str, Any] | None, msgspec.Meta(description="The upload's.")] = None
    asset: Annotated[
        Asset | None, msgspec.Meta(description="What is known of the image's bytes, where it was told.")
    ] = None


class ChangedResource(msgspec.Struct, frozen=True, kw_only=True):
    """One image whose tags changed."""

    public_id: Annotated[str, msgspec.Meta(description="Identity of the image.")]
    added: Annotated[list[str], msgspec.Meta(description="Tags that came.")]
    removed: Annotated[list[str], msgspec.Meta(description="Tags that went.")]
    updated: Annotated[list[str], msgspec.Meta(description="Always empty; Cloudinary's consumers expect it.")]
    resource_type: Annotated[ResourceType, msgspec.Meta(description="That of its asset.")] = "image"
    type: Annotated[str, msgspec.Meta(description="That of its asset.")] = "upload"


class TagUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The tags assigned to an image: what came, what went, and what it has now.

    Of an asset that no add-on is asked for, and of its deletion, it tells also where no tag has changed.
    """

    resources: Annotated[list[ChangedResource], msgspec.Meta(description="One image.")]
    tags: Annotated[list[str], msgspec.Meta(description="What the image is tagged with now.")]
    cause: Cause
    tenant: Annotated[
        str | msgspec.UnsetType, msgspec.Meta(description="Of the image; absent where it has none.")
    ] = msgspec.UNSET
    notification_type: Literal["resource_tags_changed"] = "resource_tags_changed"
    categorized: Annotated[
        Literal[False] | msgspec.UnsetType,
        msgspec.Meta(description="false: the event asked for no add-on, so no categorization tells of it."),
    ] = msgspec.UNSET
    asset: Annotated[
        Asset | msgspec.UnsetType,
        msgspec.Meta(description="What is known of the bytes, where it was told; of a deletion: what was."),
    ] = msgspec.UNSET
    notification_url: Annotated[str | msgspec.UnsetType, msgspec.Meta(description="The event's.")] = (
        msgspec.UNSET
    )


def result_id(kind: str, source: str, event_id: str, add_ons: Iterable[str], model: str) -> str:
    """Id of a result: the same upload, add-ons and models lead to the same id again."""
    parts = "\x1f".join((kind, source, event_id, ",".join(add_ons), model))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
