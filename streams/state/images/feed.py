"""Images that match a user's interests.

Candidates are the newest images of each of the user's strongest tags. A candidate scores the sum, over its
tags, of the user's weight for the tag times the tag's confidence on the image. The best come first, whether
or not they resemble each other.
"""

import heapq
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.state.images.library import CONFIDENCE_STEPS
from streams.state.images.search import Tags, fitting, newest, tags_size
from streams.state.images.view import Slots, View

TOP_TAGS = 20
CANDIDATES = 200  # per tag, besides those that were seen


class Match(NamedTuple):
    """An image that matches; `because` are its tags that the user likes, those that count most first."""

    key: str
    partition: int
    at: int
    user: str | None
    score: float
    tags: Tags
    because: list[str]


def feed(
    view: View, weights: Mapping[str, float], *, user: str, limit: int, seen: Collection[str] = ()
) -> list[Match]:
    """The best matches: so many, or fewer if their tags are too long for one answer.

    Args:
        view: The library.
        weights: The user's interests by tag, as shares of 1.
        user: Whose images are left out.
        limit: How many at most.
        seen: Row keys of images that are left out.
    """
    slots = _candidates(view, weights, user, CANDIDATES + len(seen))
    slots = slots[[view.library.keys[slot] not in seen for slot in slots.tolist()]] if seen else slots
    if not len(slots):
        return []
    scores = _scores(view, weights, slots)
    if len(slots) > limit:
        enough = scores >= np.partition(scores, len(scores) - limit)[len(scores) - limit]
        slots, scores = slots[enough], scores[enough]
    keys = view.library.keys
    best = heapq.nsmallest(
        limit,
        zip(scores.tolist(), slots.tolist(), strict=True),
        key=lambda it: (-it[0], -int(view.at[it[1]]), keys[it[1]], int(view.partition[it[1]])),
    )
    matches = (_match(view, weights, slot, score) for score, slot in best)
    return fitting(matches, lambda match: tags_size(match.tags))


def _candidates(view: View, weights: Mapping[str, float], user: str, number: int) -> Slots:
    own = view.user(user)
    found = [np.empty(0, np.intp)]
    for name in heapq.nsmallest(TOP_TAGS, weights, key=lambda tag: (-weights[tag], tag)):
        tag = view.tag(name)
        if tag is not None:
            slots, _ = view.postings(tag)
            keep = view.alive(slots)
            if own is not None:
                keep &= view.owner[slots] != own
            found.append(newest(view, slots[keep], number))
    return np.unique(np.concatenate(found))


def _scores(view: View, weights: Mapping[str, float], slots: Slots) -> NDArray[np.float64]:
    by_number = np.zeros(len(view.counts))
    for name, weight in weights.items():
        tag = view.tag(name)
        if tag is not None:
            by_number[tag] = weight
    lengths, tags, confidences = view.tags_of(slots)
    shares = by_number[tags] * confidences / CONFIDENCE_STEPS
    scores: NDArray[np.float64] = np.add.reduceat(shares, np.cumsum(lengths) - lengths)
    return np.round(scores, 6)


def _match(view: View, weights: Mapping[str, float], slot: int, score: float) -> Match:
    tags = view.described_tags(slot)
    liked = sorted(
        (tag for tag in tags if tag[0] in weights), key=lambda tag: (-weights[tag[0]] * tag[1], tag[0])
    )
    return Match(
        view.library.keys[slot],
        int(view.partition[slot]),
        int(view.at[slot]),
        view.user_of(slot),
        score,
        tags,
        [name for name, _ in liked],
    )
