"""Searching a view of the library: boolean tag expressions, and pages in a stable order."""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from streams.state.images.library import CONFIDENCE_STEPS
from streams.state.images.view import Slots, View

NEWEST, CONFIDENT = "newest", "confidence"

# A rank holds a confidence (14 bits) above an event time (49 bits): the calendar's milliseconds fit.
_TIME_BITS = 49
_TIME_ZERO = 1 << (_TIME_BITS - 1)
_SAMPLE = 1024

PAGE_CHARACTERS = (
    1_000_000  # of all tags on a page, which are encoded at once: a thousand images with twenty each
)
_AROUND_A_TAG = 32  # what an answer says of a tag besides its name

T = TypeVar("T")
Tags = list[tuple[str, float]]

Confidences = NDArray[np.uint16]
Ranks = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ImageQuery:
    """Which images are wanted, and in which order.

    Attributes:
        all_of: Tags that an image must have, each with at least `min_confidence`.
        any_of: Tags of which it must have at least one, likewise.
        none_of: Tags that it must not have, however weakly.
        since: Earliest event time in milliseconds.
        until: First event time that is too late.
        min_confidence: 0 to 1.
        user: Whose images.
        untagged: Only images without any tag.
        order: `newest`, or `confidence`: that of the wanted tags, the weakest of `all_of` and the best of
            `any_of`.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    min_confidence: float = 0.0
    user: str | None = None
    untagged: bool = False
    order: str = NEWEST

    @property
    def wants_tags(self) -> bool:
        """Whether a tag is wanted: only then do images match with a confidence."""
        return bool(self.all_of or self.any_of)


class SortKey(NamedTuple):
    """Where an image stands in an order: higher ranks first, equal ones by key, then by partition."""

    rank: int
    key: str
    partition: int


class Hit(NamedTuple):
    """An image that matches; `confidence` is that of the wanted tags, None where none is."""

    place: SortKey
    at: int
    user: str | None
    confidence: float | None
    tags: Tags


class Page(NamedTuple):
    """A page of hits, how many images match altogether, and whether more come after the page."""

    hits: list[Hit]
    total: int
    more: bool


def search(view: View, query: ImageQuery, *, limit: int, after: SortKey | None = None) -> Page:
    """The hits that come after a place: so many, or fewer if their tags are too long for one page.

    The order does not depend on what else is in the library. So a reader who goes on after the last hit sees
    every matching image once, whichever others come, change or go meanwhile; an image that itself changes
    takes its new place.
    """
    slots, confidences = _matching(view, query)
    ranks = _ranks(view, slots, confidences if query.order == CONFIDENT else None)
    chosen = _first(view, slots, ranks, limit + 1, after)
    found = (
        Hit(
            SortKey(int(ranks[n]), view.library.keys[slots[n]], int(view.partition[slots[n]])),
            int(view.at[slots[n]]),
            view.user_of(int(slots[n])),
            int(confidences[n]) / CONFIDENCE_STEPS if query.wants_tags else None,
            view.described_tags(int(slots[n])),
        )
        for n in chosen[:limit]
    )
    hits = fitting(found, lambda hit: tags_size(hit.tags))
    return Page(hits, len(slots), len(chosen) > len(hits))


def fitting(found: Iterable[T], size: Callable[[T], int]) -> list[T]:
    """The first of what was found, as far as it fits a page, and the very first in any case.

    An image may have a thousand long tags, and a page a thousand images: together hundreds of megabytes.
    """
    kept: list[T] = []
    room = PAGE_CHARACTERS
    for each in found:
        room -= size(each)
        if kept and room < 0:
            break
        kept.append(each)
    return kept


def tags_size(tags: Tags) -> int:
    """About how many characters tags take in an answer."""
    return sum(len(name) + _AROUND_A_TAG for name, _ in tags)


def newest(view: View, slots: Slots, number: int) -> Slots:
    """The newest of some slots, in no order; of those of one moment any."""
    if len(slots) <= number:
        return slots
    at = view.at.take(slots)
    oldest = nth_greatest(at, number)
    newer = slots[at > oldest]
    return np.concatenate((newer, slots[at == oldest][: number - len(newer)]))


def nth_greatest(values: NDArray[Any], number: int) -> Any:  # noqa: ANN401 - an element of `values`
    """The n-th greatest of at least so many values.

    A sample tells where to look, so that only the few greatest are put in order.
    """
    sample = np.sort(values[:: len(values) // _SAMPLE + 1])
    guess = sample[-min(len(sample), 2 * number * len(sample) // len(values) + 8)]
    greatest = values[values >= guess]
    if len(greatest) < number:
        greatest = values
    return np.partition(greatest, len(greatest) - number)[len(greatest) - number]


def _matching(view: View, query: ImageQuery) -> tuple[Slots, Confidences]:
    """The slots that match and the confidences of their wanted tags, 0 where none is."""
    least = math.ceil(round(query.min_confidence * CONFIDENCE_STEPS, 6))
    found = _wanted(view, query, least)
    if found is None:
        return np.empty(0, np.intp), np.empty(0, np.uint16)
    slots, confidences = found
    keep = view.alive(slots)
    for name in query.none_of:
        if tags := view.spellings(name):
            keep &= ~_spread(view, tags, 0)[slots].astype(bool)
    if query.untagged:
        keep &= view.untagged(slots)
    if query.user is not None:
        user = view.user(query.user)
        keep &= view.owner.take(slots) == (-2 if user is None else user)
    if query.since is not None:
        keep &= view.at.take(slots) >= query.since
    if query.until is not None:
        keep &= view.at.take(slots) < query.until
    return (slots, confidences) if keep.all() else (slots[keep], confidences[keep])


def _wanted(view: View, query: ImageQuery, least: int) -> tuple[Slots, Confidences] | None:
    """The slots, dead ones too, that have the wanted tags; None where a tag rules all out."""
    required = [view.spellings(name) for name in query.all_of]
    some = [tag for name in query.any_of for tag in view.spellings(name)]
    if not all(required) or (query.any_of and not some):
        return None
    postings = sorted((_union(view, tags, least) for tags in required), key=lambda found: len(found[0]))
    if some:
        postings.append(_union(view, some, least))
    if not postings:
        slots = view.all_slots()
        return slots, np.zeros(len(slots), np.uint16)
    slots, confidences = postings[0]
    for other in postings[1:]:
        spread = np.zeros(view.size, np.uint16)
        spread[other[0]] = other[1]
        there = spread[slots]
        both = there > 0
        slots, confidences = slots[both], np.minimum(confidences[both], there[both])
    return slots, confidences


def _union(view: View, tags: list[int], least: int) -> tuple[Slots, Confidences]:
    """The slots that have one of the tags, and the best confidence of those."""
    if len(tags) == 1:
        return view.postings(tags[0], least)
    spread = _spread(view, tags, least)
    slots = np.flatnonzero(spread)
    return slots, spread[slots]


def _spread(view: View, tags: list[int], least: int) -> Confidences:
    """By slot the best confidence of some tags, 0 where there is none."""
    spread = np.zeros(view.size, np.uint16)
    for tag in tags:
        slots, confidences = view.postings(tag, least)
        spread[slots] = np.maximum(spread[slots], confidences)
    return spread


def _ranks(view: View, slots: Slots, confidences: Confidences | None) -> Ranks:
    ranks: NDArray[Any] = view.at.take(slots) + _TIME_ZERO
    if confidences is not None:
        ranks += confidences.astype(np.int64) << _TIME_BITS
    return ranks


def _first(view: View, slots: Slots, ranks: Ranks, number: int, after: SortKey | None) -> list[int]:
    """The indices of the first so many slots after a place, in order."""

    def place(n: int) -> tuple[int, str, int]:
        return (-int(ranks[n]), view.library.keys[slots[n]], int(view.partition[slots[n]]))

    left = np.ones(len(slots), np.bool_) if after is None else ranks <= after.rank
    if after is not None:
        passed = (-after.rank, after.key, after.partition)
        for n in np.flatnonzero(ranks == after.rank).tolist():
            left[n] = place(n) > passed
        among = ranks[left]
    else:
        among = ranks
    if len(among) > number:
        left &= ranks >= nth_greatest(among, number)
    return heapq.nsmallest(number, np.flatnonzero(left).tolist(), key=place)
