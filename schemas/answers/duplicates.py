"""Answers about images that look alike."""

from typing import Annotated

import msgspec

from schemas.answers.trends import Answer

Meta = msgspec.Meta


class AlikeImage(msgspec.Struct, frozen=True):
    """An image of a group."""

    public_id: Annotated[str, Meta(description="Identity of the image.")]
    url: Annotated[str | None, Meta(description="Where it was fetched; null where that is not kept.")]


class Duplicate(AlikeImage, frozen=True):
    """An image that looks like the one that was asked about."""

    distance: Annotated[int, Meta(description="Bits in which the hashes differ: 0 to 64.")]


class Duplicates(Answer, frozen=True, kw_only=True):
    """Images that look like one."""

    public_id: Annotated[str, Meta(description="As it was asked for.")]
    phash: Annotated[
        str | None,
        Meta(description="Its hash; null: it has none, as it was not looked at or has one colour."),
    ]
    total: Annotated[int, Meta(description="Images within the distance.")]
    images: Annotated[list[Duplicate], Meta(description="Nearest first, equal ones by public id.")]


class SimilarImage(AlikeImage, frozen=True):
    """An image that shows something similar to the one that was asked about."""

    similarity: Annotated[float, Meta(description="Of the embeddings, up to 1: the cosine between them.")]


class SimilarImages(Answer, frozen=True, kw_only=True):
    """Images that show something similar to one."""

    public_id: Annotated[str, Meta(description="As it was asked for.")]
    embedding: Annotated[
        str | None,
        Meta(description="Its embedding; null: it has none, and so nothing is similar to it."),
    ]
    images: Annotated[list[SimilarImage], Meta(description="The most similar first.")]


class DuplicateGroup(msgspec.Struct, frozen=True):
    """Images that look alike."""

    count: Annotated[int, Meta(description="Images in the group.")]
    images: Annotated[list[AlikeImage], Meta(description="By public id, 100 at most.")]


class AlikeImages(Answer, frozen=True, kw_only=True):
    """Groups of images that look alike."""

    total: Annotated[int, Meta(description="Groups that there are.")]
    groups: Annotated[list[DuplicateGroup], Meta(description="The largest first.")]
