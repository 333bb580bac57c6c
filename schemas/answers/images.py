"""Answers about images and the tags that come together on them."""

from typing import Annotated

import msgspec

from schemas.answers.trends import Answer, UtcDatetime
from schemas.results import Cause, ModelInfo, ReadWord, ScoredTag

Meta = msgspec.Meta


class FoundImage(msgspec.Struct, frozen=True):
    """An image that matches."""

    public_id: str
    uploaded_at: Annotated[UtcDatetime, Meta(description="Event time of its upload.")]
    user_id: str | None
    url: Annotated[str | None, Meta(description="Where it was fetched; null where that is not kept.")]
    confidence: Annotated[
        float | None,
        Meta(
            description="That of the wanted tags: the weakest of `tag` and `all`, the best of `any`, "
            "whichever is less; null where none is wanted."
        ),
    ]
    tags: Annotated[
        list[ScoredTag],
        Meta(description="All its tags; confidence: the highest of any add-on, 1 if it came with the image."),
    ]


class FoundImages(Answer, frozen=True, kw_only=True):
    """Images that match a tag expression."""

    total: Annotated[int, Meta(description="Images that match, on all pages together.")]
    images: Annotated[list[FoundImage], Meta(description="In the order asked for, equal ones by public id.")]
    cursor: Annotated[str | None, Meta(description="Say it to get the next images; null: there are none.")]


class TagOrigin(msgspec.Struct, frozen=True):
    """One who gave an image a tag."""

    source: Annotated[
        str, Meta(description="An add-on; `own`: it came with the image; `people`: a person added it.")
    ]
    cause: Annotated[Cause, Meta(description="The event that made it so.")]
    confidence: Annotated[float | None, Meta(description="Of an add-on, by the rules.")] = None
    model: Annotated[ModelInfo | None, Meta(description="Of an add-on.")] = None
    rules: Annotated[
        str | None, Meta(description="Of an add-on: hash of the rules that assigned the tag.")
    ] = None
    by: Annotated[str | None, Meta(description="Of people: who, as far as they said.")] = None


class AssignedTag(msgspec.Struct, frozen=True):
    """A tag that an image has."""

    tag: str
    sources: Annotated[
        list[str],
        Meta(description="The add-ons that gave it; `own`: it came with the image; `people`: one added it."),
    ]
    origins: Annotated[list[TagOrigin], Meta(description="More about each of the sources.")]


class TagEdit(msgspec.Struct, frozen=True):
    """What a person said last of a tag."""

    tag: str
    added: Annotated[bool, Meta(description="Whether it belongs on the image; false: it was taken away.")]
    at: Annotated[UtcDatetime, Meta(description="Event time of the edit.")]
    by: Annotated[str | None, Meta(description="Who, as far as they said.")]
    cause: Cause


class TagChange(msgspec.Struct, frozen=True):
    """A change of an image's tags."""

    at: Annotated[UtcDatetime, Meta(description="Event time of its cause.")]
    cause: Cause
    model: Annotated[
        ModelInfo | None,
        Meta(description="That of the first of the `taggers`; null for a deletion or an edit."),
    ]
    added: list[str]
    removed: list[str]
    rules: Annotated[
        str | None,
        Meta(description="Hash of the rules that held; null for a deletion or an edit, or if it is old."),
    ]
    by: Annotated[str | None, Meta(description="Of an edit: who, as far as they said.")] = None
    taggers: Annotated[
        dict[str, ModelInfo],
        Meta(description="The add-ons that looked, each with its model; none if the change is old."),
    ] = {}
    added_by: Annotated[
        dict[str, list[str]],
        Meta(
            description="The `added` tags by who gave them: an add-on, `own` or `people`; a tag may be from "
            "several. Nothing if the change is old."
        ),
    ] = {}


class ImageState(Answer, frozen=True, kw_only=True):
    """What is known of an image."""

    public_id: Annotated[str, Meta(description="As it was asked for.")]
    user_id: Annotated[str | None, Meta(description="Whose upload it is.")]
    uploaded_at: Annotated[UtcDatetime, Meta(description="Event time of the event that made this state.")]
    version: Annotated[int | None, Meta(description="The version that its event named.")]
    url: Annotated[str | None, Meta(description="Where it was fetched; null where that is not kept.")]
    deleted: Annotated[bool, Meta(description="Whether it was deleted; its history stays.")]
    tags: Annotated[list[AssignedTag], Meta(description="Its tags.")]
    edits: Annotated[
        list[TagEdit],
        Meta(description="What people said of its tags, which no tagger and no upload undoes; oldest first."),
    ]
    scores: Annotated[
        dict[str, list[ScoredTag]],
        Meta(description="What each add-on said last, below the threshold too; best first."),
    ]
    before_rules: Annotated[
        dict[str, list[ScoredTag]],
        Meta(description="The same before any rules, of each add-on of which rules made something else."),
    ] = msgspec.field(default_factory=dict)
    model: Annotated[ModelInfo | None, Meta(description="The model behind `scores`; null for a deletion.")]
    rules: Annotated[
        str | None,
        Meta(description="Hash of the rules behind `scores`; null for a deletion, or if it is old."),
    ]
    failed: Annotated[
        dict[str, str],
        Meta(
            description="Add-ons that failed when it was last looked at, and why; their last `scores` hold."
        ),
    ]
    words: Annotated[
        dict[str, list[ReadWord]],
        Meta(description="What each add-on that reads found in it; those that found nothing are left out."),
    ]
    cause: Annotated[
        Cause, Meta(description="The upload, deletion or re-tag that made this state, but for the `edits`.")
    ]
    partition: Annotated[int, Meta(description="The source partition that has it.")]
    history: Annotated[list[TagChange], Meta(description="The last changes of its tags, oldest first.")]


class RelatedTag(msgspec.Struct, frozen=True):
    """A tag that comes together with the one asked about."""

    tag: str
    both: Annotated[int, Meta(description="Images that have both.")]
    support: Annotated[float, Meta(description="Their share of all images.")]
    confidence: Annotated[float, Meta(description="Their share of the images that have the tag asked about.")]
    lift: Annotated[
        float,
        Meta(description="How many times more often it is on those images than on images in general."),
    ]


class RelatedTags(Answer, frozen=True, kw_only=True):
    """Tags that come together with a tag."""

    tag: Annotated[str, Meta(description="As it was asked for.")]
    images: Annotated[int, Meta(description="Images that have it.")]
    all_images: Annotated[int, Meta(description="Images altogether.")]
    related: Annotated[list[RelatedTag], Meta(description="In the order asked for.")]
