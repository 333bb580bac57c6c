"""Questions about users: what they are interested in, who shares that, and what they may like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from schemas.answers.users import FeedImage, Interest, SimilarUser, SimilarUsers, UserFeed, UserInterests
from schemas.times import utc_datetime
from streams.fold.rows import ImageKey, State
from streams.state.images.feed import CANDIDATES, TOP_TAGS, Match, feed
from streams.state.images.index import ImageIndex
from streams.state.images.rows import find_url
from streams.state.images.search import fitting
from streams.state.images.view import View
from streams.state.users import index as user_index
from streams.state.users.similar import AllNeighbours
from streams.web.access.pricing import off_loop
from streams.web.api.freshness import Freshness, Provenance, not_found, provenance
from streams.web.api.images import scored
from streams.web.api.parameters import NAME, Limit, Parameter, Tenant, number
from streams.web.api.routes import Route

Clock = Callable[[], float]  # seconds since the epoch
MAX_SEEN = 100
SHARED_TAGS = 10
DAY_SECONDS = 86_400
COSINE = "cosine of the decayed tag profiles"
MATCHING = (
    "sum over an image's tags of the user's share times the tag's confidence; candidates are the "
    f"{CANDIDATES} newest images of each of the user's {TOP_TAGS} strongest tags"
)

User = Annotated[str, Parameter(NAME, "Whose interests.", required=True)]
HalfLife = Annotated[
    float | None,
    Parameter(
        number(0.01, 3650), "Days in which an image loses half of its weight. Absent: as the worker is set."
    ),
]


@dataclass(frozen=True, kw_only=True)
class InterestsQuestion:
    """Parameters of `GET /users/{user_id}/interests`."""

    user_id: User
    half_life_days: HalfLife
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class SimilarQuestion:
    """Parameters of `GET /users/{user_id}/similar`."""

    user_id: User
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class FeedQuestion:
    """Parameters of `GET /users/{user_id}/feed`."""

    user_id: User
    half_life_days: HalfLife
    seen: Annotated[
        tuple[str, ...],
        Parameter(NAME, "Public id of an image that the user has seen; it is left out.", most=MAX_SEEN),
    ]
    limit: Limit
    tenant: Tenant


class UserRoutes:
    """Answers from the two indexes."""

    def __init__(
        self,
        neighbours: AllNeighbours,
        images: ImageIndex,
        states: Mapping[int, State],
        freshness: Freshness,
        clock: Clock,
        *,
        half_life_days: float = user_index.HALF_LIFE_DAYS,
    ) -> None:
        """Prepare.

        Args:
            neighbours: Interests, and everybody's profiles, which somebody else keeps fresh.
            images: The library.
            states: Rows by partition; those that the library is fed from.
            freshness: How fresh they are.
            clock: Gives the present moment.
            half_life_days: Where a question names none.
        """
        self._users = neighbours.index
        self._neighbours = neighbours
        self._images = images
        self._states = states
        self._freshness = freshness
        self._clock = clock
        self._half_life_days = half_life_days

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/users/{user_id}/interests", InterestsQuestion, UserInterests, self.interests),
            Route("/users/{user_id}/similar", SimilarQuestion, SimilarUsers, self.similar),
            Route("/users/{user_id}/feed", FeedQuestion, UserFeed, self.feed),
        ]

    async def interests(self, question: InterestsQuestion) -> UserInterests:
        """Give the tags of a user's images, recent ones counting more.

        A tag weighs the sum, over its images, of 2 to the power of -(age in days / half-life).
        """
        common = provenance(self._freshness)
        half_life_days = question.half_life_days or self._half_life_days
        found = await self._interests(question.tenant, question.user_id, half_life_days, common)
        total = sum(interest.weight for interest in found) or 1.0
        return UserInterests(
            **common,
            user_id=question.user_id,
            half_life_days=half_life_days,
            total_tags=len(found),
            interests=[
                Interest(each.tag, each.weight, each.weight / total, each.images)
                for each in found[: question.limit]
            ],
        )

    async def similar(self, question: SimilarQuestion) -> SimilarUsers:
        """Give the users who share a user's interests.

        The score is the cosine of the two decayed tag profiles: 1 for the same interests in the same
        proportion, 0 for none in common. The profile of the user who is asked about is of now; the others'
        are of `profiles_as_of`, read anew about once a minute. Until they have been read for the first time,
        `complete` is false, and a user who is known has nobody; one who is not is answered with 503.
        """
        tenant, user, common = question.tenant, question.user_id, provenance(self._freshness)
        weights = {
            interest.tag: interest.weight
            for interest in await self._interests(tenant, user, self._half_life_days, common)
        }
        now = self._clock()
        around = await self._neighbours.of(tenant).neighbourhood(now, wait=common["complete"])
        found = await off_loop(around.similar, weights, user=user, limit=question.limit, tags=SHARED_TAGS)
        return SimilarUsers(
            **common,
            user_id=user,
            method=COSINE,
            half_life_days=self._half_life_days,
            profiles_as_of=utc_datetime(int(around.made_at * 1000)),
            profiles_age_seconds=round(max(now - around.made_at, 0.0), 3),
            users=[SimilarUser(*each) for each in found],
        )

    async def feed(self, question: FeedQuestion) -> UserFeed:
        """Give images of others that match a user's interests.

        The worker does not know what was shown to whom: say in `seen` what is not wanted again. An answer
        whose images have very many or very long tags, or very long addresses, ends before `limit`, after
        about a megabyte; it has one image at least, if there is any.
        """
        tenant, user, common = question.tenant, question.user_id, provenance(self._freshness)
        half_life_days = question.half_life_days or self._half_life_days
        found = await self._interests(tenant, user, half_life_days, common)
        total = sum(interest.weight for interest in found) or 1.0
        images = await off_loop(
            self._feed,
            self._images.view(tenant),
            {interest.tag: interest.weight / total for interest in found},
            user=user,
            limit=question.limit,
            seen={ImageKey(tenant, public_id).encode() for public_id in question.seen},
        )
        return UserFeed(
            **common,
            user_id=user,
            method=MATCHING,
            half_life_days=half_life_days,
            images=images,
        )

    def _feed(
        self, view: View, weights: Mapping[str, float], *, user: str, limit: int, seen: set[str]
    ) -> list[FeedImage]:
        """Find images, and what is told of them. For any thread."""
        matches = feed(view, weights, user=user, limit=limit, seen=seen)
        return fitting((self._feed_image(match) for match in matches), lambda image: len(image.url or ""))

    async def _interests(
        self, tenant: str, user: str, half_life_days: float, known: Provenance
    ) -> list[user_index.Interest]:
        if not self._users.knows(tenant, user):
            message = f"no image with tags is by the user {user[:64]!r}, or all are beyond their retention"
            raise not_found(known, "unknown_user", message)
        today = int(self._clock() // DAY_SECONDS)
        return await off_loop(
            self._users.interests, tenant, user, now_day=today, half_life_days=half_life_days
        )

    def _feed_image(self, match: Match) -> FeedImage:
        return FeedImage(
            public_id=ImageKey.decode(match.key).public_id,
            uploaded_at=utc_datetime(match.at),
            user_id=match.user,
            url=find_url(self._states, match.partition, match.key),
            score=match.score,
            because=match.because,
            tags=scored(match.tags),
        )
