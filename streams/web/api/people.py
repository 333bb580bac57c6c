"""Questions that go from tags to users and back, and lists of users and tenants."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nsmallest
from typing import Annotated

import numpy as np

from schemas.answers.users import (
    ListedTenant,
    ListedUser,
    TagUser,
    TagUsers,
    TenantList,
    UserList,
    UserTag,
    UserTags,
)
from streams.state.images.index import ImageIndex
from streams.state.images.library import NOBODY
from streams.state.images.view import Slots, View
from streams.state.users.similar import AllNeighbours
from streams.web.access.callers import EVERY_TENANT
from streams.web.access.pricing import off_loop
from streams.web.api.freshness import Freshness, not_found, provenance
from streams.web.api.kinds.cursors import NamePage, encode_cursor
from streams.web.api.parameters import NAME, PREFIX, Limit, Parameter, Tenant, one_of
from streams.web.api.routes import Route
from streams.web.api.trend_questions import AnyWindow, From, Since, To
from streams.web.api.windows import Span, asked_span

Clock = Callable[[], float]  # seconds since the epoch
UPLOADS, INTEREST = "uploads", "interest"


@dataclass(frozen=True, kw_only=True)
class TagUsersQuestion:
    """Parameters of `GET /tags/{tag}/users`."""

    tag: Annotated[str, Parameter(NAME, "The tag.", required=True)]
    by: Annotated[
        str,
        Parameter(
            one_of(INTEREST, UPLOADS),
            "How much of their interests it is, or how many images.",
            default=INTEREST,
        ),
    ]
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class UserTagsQuestion:
    """Parameters of `GET /users/{user_id}/tags`."""

    user_id: Annotated[str, Parameter(NAME, "Whose images.", required=True)]
    window: AnyWindow
    from_: From
    since: Since
    to: To
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class UsersQuestion:
    """Parameters of `GET /users`."""

    prefix: Annotated[str, Parameter(PREFIX, "How the names begin.", default="")]
    limit: Limit
    cursor: NamePage
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class TenantsQuestion:
    """Parameters of `GET /tenants`."""

    tenant: Annotated[str, Parameter(PREFIX, "Which one; `*`: all.", default=EVERY_TENANT)]


class PeopleRoutes:
    """Answers from the library of images, and from everybody's profiles."""

    def __init__(
        self, neighbours: AllNeighbours, images: ImageIndex, freshness: Freshness, clock: Clock
    ) -> None:
        self._neighbours = neighbours
        self._images = images
        self._freshness = freshness
        self._clock = clock

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/tags/{tag}/users", TagUsersQuestion, TagUsers, self.tag_users),
            Route("/users/{user_id}/tags", UserTagsQuestion, UserTags, self.user_tags),
            Route("/users", UsersQuestion, UserList, self.users),
            Route("/tenants", TenantsQuestion, TenantList, self.tenants, every_tenant=True),
        ]

    async def tag_users(self, question: TagUsersQuestion) -> TagUsers:
        """Give the users of a tag: who likes cats.

        `by=uploads` counts images that have the tag now. `by=interest` goes by the users' decayed profiles,
        made about once a minute: the score is the cosine of a profile and the tag, 1 where somebody has
        nothing else.
        """
        view, common = self._images.view(question.tenant), provenance(self._freshness)
        numbers = await off_loop(view.spellings, question.tag)
        if not numbers:
            message = f"no image has the tag {question.tag[:64]!r}; /tags lists those there are"
            raise not_found(common, "unknown_tag", message)
        images = await off_loop(_owners, view, numbers)
        if question.by == UPLOADS:
            best = nsmallest(question.limit, images.items(), key=lambda item: (-item[1], item[0]))
            users = [TagUser(user, count, None) for user, count in best]
        else:
            now, names = self._clock(), view.library.tags.names
            around = await self._neighbours.of(question.tenant).neighbourhood(now, wait=common["complete"])
            weights = {names[number]: 1.0 for number in numbers}
            found = await off_loop(around.similar, weights, user="", limit=question.limit, tags=1)
            users = [TagUser(each.user, images[each.user], each.score) for each in found]
        return TagUsers(**common, tag=view.library.tags.names[numbers[0]], by=question.by, users=users)

    async def user_tags(self, question: UserTagsQuestion) -> UserTags:
        """Give the tags of a user's images in a window, the most frequent first.

        It counts the images as they are now, by their event times: nothing of it is ever no longer kept.
        """
        view, span = self._images.view(question.tenant), asked_span(question, self._clock())
        common = provenance(self._freshness, span.as_answered())
        number = view.user(question.user_id)
        if number is None:
            message = f"no image is by the user {question.user_id[:64]!r}; /users lists those there are"
            raise not_found(common, "unknown_user", message)
        images, tags = await off_loop(_tags_of, view, number, span, question.limit)
        return UserTags(**common, user_id=question.user_id, images=images, tags=tags)

    async def users(self, question: UsersQuestion) -> UserList:
        """List the users who have images, by name, with how many."""
        view = self._images.view(question.tenant)
        after = None if question.cursor is None else str(question.cursor[0])
        found = await off_loop(_listed, view, question.prefix, after, question.limit + 1)
        page = found[: question.limit]
        more = len(found) > len(page)
        last = encode_cursor([page[-1].user_id]) if more else None
        return UserList(**provenance(self._freshness), users=page, cursor=last)

    async def tenants(self, question: TenantsQuestion) -> TenantList:
        """List the tenants who have images, by name; all of them for callers who may ask about each."""
        known = sorted(self._images.libraries)
        names = known if question.tenant == EVERY_TENANT else [question.tenant]
        views = {name: self._images.view(name) for name in names}
        found = [
            ListedTenant(name, view.live, len(await off_loop(_all_owners, view)))
            for name, view in views.items()
            if view.live
        ]
        return TenantList(**provenance(self._freshness), tenants=found)


def _count_owners(view: View, slots: Slots) -> Counter[str]:
    owners, counts = np.unique(view.owner.take(slots), return_counts=True)
    names = view.library.users.names
    pairs = zip(owners.tolist(), counts.tolist(), strict=True)
    return Counter({names[owner]: count for owner, count in pairs if owner != NOBODY})


def _all_owners(view: View) -> Counter[str]:
    """Every user's number of images. For any thread."""
    return _count_owners(view, view.all_slots())


def _owners(view: View, tags: list[int]) -> Counter[str]:
    """By user how many images have one of some tags. For any thread."""
    slots = np.unique(np.concatenate([view.postings(tag)[0] for tag in tags]))
    return _count_owners(view, slots[view.alive(slots)])


def _tags_of(view: View, user: int, span: Span, limit: int) -> tuple[int, list[UserTag]]:
    """How many images a user has in a span, and their tags. For any thread."""
    slots = view.all_slots()
    slots = slots[view.owner.take(slots) == user]
    if not span.is_all:
        at = view.at.take(slots)
        slots = slots[(at >= span.start * 1000) & (at < span.end * 1000)]
    numbers, counts = np.unique(view.tags_of(slots)[1], return_counts=True)
    names = view.library.tags.names
    pairs = [(-count, names[number]) for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)]
    return len(slots), [UserTag(tag, -count) for count, tag in nsmallest(limit, pairs)]


def _listed(view: View, prefix: str, after: str | None, limit: int) -> list[ListedUser]:
    """Users by name, with how many images they have. For any thread."""
    found = (
        (user, images)
        for user, images in _all_owners(view).items()
        if user.startswith(prefix) and (after is None or user > after)
    )
    return [ListedUser(*each) for each in nsmallest(limit, found)]
