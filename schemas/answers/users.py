"""Answers about users and their interests."""

from typing import Annotated

import msgspec

from schemas.answers.trends import Answer, UtcDatetime
from schemas.results import ScoredTag

Meta = msgspec.Meta
UserId = Annotated[str, Meta(description="As it was asked for.")]


class Interest(msgspec.Struct, frozen=True):
    """A user's interest in a tag."""

    tag: str
    weight: Annotated[float, Meta(description="Images with the tag, each halved per half-life of its age.")]
    share: Annotated[float, Meta(description="Of the weights of all the user's tags, 0 to 1.")]
    images: Annotated[int, Meta(description="Images with the tag, not decayed.")]


class UserInterests(Answer, frozen=True, kw_only=True):
    """A user's tag profile."""

    user_id: UserId
    half_life_days: Annotated[float, Meta(description="Days in which an image loses half of its weight.")]
    total_tags: Annotated[int, Meta(description="Tags in the profile, those beyond `limit` too.")]
    interests: Annotated[list[Interest], Meta(description="Strongest first, equal ones by name.")]


class SimilarUser(msgspec.Struct, frozen=True):
    """A user who shares interests."""

    user_id: str
    score: Annotated[float, Meta(description="Cosine of the two profiles, 0 to 1.")]
    shared_tags: Annotated[
        list[str], Meta(description="At most ten, those that add most to the score first.")
    ]


class SimilarUsers(Answer, frozen=True, kw_only=True):
    """Users who share a user's interests."""

    user_id: UserId
    method: Annotated[str, Meta(description="How the score is made.")]
    half_life_days: Annotated[float, Meta(description="Days in which an image loses half of its weight.")]
    profiles_as_of: Annotated[
        UtcDatetime, Meta(description="When the others' profiles were read; the user's own is of now.")
    ]
    profiles_age_seconds: Annotated[float, Meta(description="How long ago that is.")]
    users: Annotated[list[SimilarUser], Meta(description="Most similar first, equal ones by name.")]


class FeedImage(msgspec.Struct, frozen=True):
    """An image of somebody else that matches a user's interests."""

    public_id: str
    uploaded_at: Annotated[UtcDatetime, Meta(description="Event time of its upload.")]
    user_id: str | None
    url: Annotated[str | None, Meta(description="Where it was fetched; null where that is not kept.")]
    score: Annotated[float, Meta(description="How well it matches, 0 to 1.")]
    because: Annotated[list[str], Meta(description="Its tags that the user likes, weightiest first.")]
    tags: Annotated[
        list[ScoredTag],
        Meta(description="All its tags; confidence: the highest of any add-on, 1 if it came with the image."),
    ]


class UserFeed(Answer, frozen=True, kw_only=True):
    """Images of others for a user."""

    user_id: UserId
    method: Annotated[str, Meta(description="How the images are chosen.")]
    half_life_days: Annotated[float, Meta(description="Days in which an image loses half of its weight.")]
    images: Annotated[list[FeedImage], Meta(description="Best match first, equal ones newest first.")]


class TagUser(msgspec.Struct, frozen=True):
    """A user with a tag."""

    user_id: str
    images: Annotated[int, Meta(description="The user's images with the tag, in the window.")]
    score: Annotated[
        float | None,
        Meta(description="The tag's part of the user's interests, 0 to 1; null where uploads are counted."),
    ]


class TagUsers(Answer, frozen=True, kw_only=True):
    """Users of a tag."""

    tag: Annotated[str, Meta(description="The tag that was meant.")]
    by: Annotated[str, Meta(description="What the order is by: uploads or interest.")]
    users: Annotated[list[TagUser], Meta(description="Those with most first, equal ones by name.")]


class UserTag(msgspec.Struct, frozen=True):
    """A tag of a user's images."""

    tag: str
    images: Annotated[int, Meta(description="The user's images with the tag, in the window.")]


class UserTags(Answer, frozen=True, kw_only=True):
    """The tags of a user's images in a window."""

    user_id: UserId
    images: Annotated[int, Meta(description="All of the user's images in the window.")]
    tags: Annotated[list[UserTag], Meta(description="Most frequent first, equal ones by name.")]


class ListedUser(msgspec.Struct, frozen=True):
    """A user in a list."""

    user_id: str
    images: Annotated[int, Meta(description="The user's images.")]


class UserList(Answer, frozen=True, kw_only=True):
    """Users by name."""

    users: Annotated[list[ListedUser], Meta(description="By name, in the order of its characters.")]
    cursor: Annotated[str | None, Meta(description="Say it to get the next rows; null: there are none.")]


class ListedTenant(msgspec.Struct, frozen=True):
    """A tenant in a list."""

    tenant: Annotated[str, Meta(description="Empty: images without a tenant.")]
    images: Annotated[int, Meta(description="The tenant's images.")]
    users: Annotated[int, Meta(description="Users with images.")]


class TenantList(Answer, frozen=True, kw_only=True):
    """Tenants by name."""

    tenants: Annotated[list[ListedTenant], Meta(description="By name, in the order of its characters.")]
