"""Questions about images that look alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from model.embedding.codes import decode
from schemas.answers.duplicates import (
    AlikeImage,
    AlikeImages,
    Duplicate,
    DuplicateGroup,
    Duplicates,
    SimilarImage,
    SimilarImages,
)
from streams.fold.rows import ImageKey, State
from streams.state.images.alike import MOST_BITS, TooManyAlikeError, groups
from streams.state.images.hashes import Hashes, HashIndex, Place
from streams.state.images.rows import ImageRow, find_image, find_url
from streams.web.access.errors import BadQuestionError
from streams.web.access.pricing import off_loop
from streams.web.api.freshness import Freshness, Provenance, not_found, provenance
from streams.web.api.parameters import NAME, Limit, Parameter, Tenant, whole_number
from streams.web.api.routes import Route

MOST_TOLD = 100  # images of a group
_ALIKE = 8  # bits: resized, recompressed, faded, with a caption or cropped a little
_COPIES = 3  # resized and recompressed ones alone
_HALF = 32  # bits: as many as differ between any two images


@dataclass(frozen=True, kw_only=True)
class DuplicatesQuestion:
    """Parameters of `GET /images/{public_id}/duplicates`."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    distance: Annotated[
        int, Parameter(whole_number(0, _HALF), "Bits in which hashes may differ.", default=_ALIKE)
    ]
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class SimilarQuestion:
    """Parameters of `GET /images/{public_id}/similar`."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class GroupsQuestion:
    """Parameters of `GET /duplicates`."""

    distance: Annotated[
        int, Parameter(whole_number(0, MOST_BITS), "Bits in which hashes may differ.", default=_COPIES)
    ]
    limit: Limit
    tenant: Tenant


class DuplicateRoutes:
    """Answers from the hashes of all images."""

    def __init__(self, index: HashIndex, states: Mapping[int, State], freshness: Freshness) -> None:
        """Prepare.

        Args:
            index: The hashes.
            states: Rows by partition; those that the index is fed from.
            freshness: How fresh they are.
        """
        self._index = index
        self._states = states
        self._freshness = freshness

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/images/{public_id}/duplicates", DuplicatesQuestion, Duplicates, self.duplicates),
            Route("/images/{public_id}/similar", SimilarQuestion, SimilarImages, self.similar),
            Route("/duplicates", GroupsQuestion, AlikeImages, self.groups),
        ]

    async def duplicates(self, question: DuplicatesQuestion) -> Duplicates:
        """Give the images that look like an image, nearest first: resized, recompressed or edited a little.

        Each is compared by its perceptual hash (`phash`): what differs in 8 of 64 bits at most is a copy of
        some sort, nearly always; images that have nothing to do with each other differ in some 32. Turned,
        mirrored and much cropped copies are not found. An image of a single colour has no hash.
        """
        common = provenance(self._freshness)
        itself, row = self._asked(common, question.tenant, question.public_id)
        if row.phash is None:
            return Duplicates(**common, public_id=question.public_id, phash=None, total=0, images=[])
        number, hashes = int(row.phash, 16), self._index.of(question.tenant)
        slots = await off_loop(hashes.within, number, question.distance)
        alike = [each for each in hashes.told(slots, number, question.distance) if each.place != itself]
        return Duplicates(
            **common,
            public_id=question.public_id,
            phash=row.phash,
            total=len(alike),
            images=[Duplicate(*self._told(each.place), each.distance) for each in alike[: question.limit]],
        )

    async def similar(self, question: SimilarQuestion) -> SimilarImages:
        """Give the images that show what is most like what an image shows, compared with all of the tenant's.

        Each is compared by its embedding: what the default classifier sees before it names anything, in 32
        bytes. So a dog is near other dogs, of its breed first, and a plate near plates, without a word for
        either. An image that classifier did not look at, or without a picture, has no embedding; nor has one
        of before there were embeddings, until it is looked at again.
        """
        common = provenance(self._freshness)
        itself, row = self._asked(common, question.tenant, question.public_id)
        packed = decode(row.embedding) if row.embedding else None
        if packed is None:
            return SimilarImages(**common, public_id=question.public_id, embedding=None, images=[])
        hashes = self._index.of(question.tenant)
        slots = await off_loop(hashes.similar, packed, question.limit + 1)
        similar = [each for each in hashes.told_similar(slots, packed) if each.place != itself]
        return SimilarImages(
            **common,
            public_id=question.public_id,
            embedding=row.embedding,
            images=[
                SimilarImage(*self._told(each.place), round(each.likeness, 4))
                for each in similar[: question.limit]
            ],
        )

    def _asked(self, common: Provenance, tenant: str, public_id: str) -> tuple[Place, ImageRow]:
        """The place of the image that is asked about, and its row."""
        found = find_image(self._states, tenant, public_id)
        if found is None or found[1].deleted:
            message = f"no image {public_id[:64]!r} is known; /images finds those there are"
            raise not_found(common, "unknown_image", message)
        partition, row = found
        return (partition, ImageKey(tenant, public_id).encode()), row

    async def groups(self, question: GroupsQuestion) -> AlikeImages:
        """Give groups of images that look alike, the largest first.

        In a group each image has another one whose hash differs in `distance` bits at most. Of a group of
        more than 100 images 100 are named.
        """
        common = provenance(self._freshness)
        hashes = self._index.of(question.tenant)
        try:
            total, found = await off_loop(self._groups, hashes, question.distance, question.limit)
        except TooManyAlikeError:
            message = "too many images are nearly alike for groups by similarity; say distance=0"
            raise BadQuestionError("too_many_alike", message) from None
        return AlikeImages(**common, total=total, groups=found)

    def _groups(self, hashes: Hashes, distance: int, limit: int) -> tuple[int, list[DuplicateGroup]]:
        """How many groups there are, and what is told of the first. For any thread."""
        numbers = hashes.known().copy()
        named = []
        for slots in groups(numbers, distance):
            places = [hashes.place(slot, int(numbers[slot])) for slot in slots.tolist()]
            if len(alive := [place for place in places if place is not None]) > 1:
                named.append(alive)
        named.sort(key=lambda places: (-len(places), min(key for _, key in places)))
        return len(named), [self._group(places) for places in named[:limit]]

    def _group(self, places: list[Place]) -> DuplicateGroup:
        first = sorted(places, key=lambda place: place[1])[:MOST_TOLD]
        return DuplicateGroup(len(places), [AlikeImage(*self._told(place)) for place in first])

    def _told(self, place: Place) -> tuple[str, str | None]:
        return ImageKey.decode(place[1]).public_id, find_url(self._states, *place)
