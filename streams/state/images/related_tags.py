"""Tags that come together."""

import heapq
from typing import NamedTuple

import numpy as np

from streams.state.images.view import View

BY_LIFT, BY_BOTH = "lift", "both"


class RelatedTag(NamedTuple):
    """A tag B beside a tag A.

    Attributes:
        both: Images that have A and B.
        support: Their share of all images.
        confidence: Share of A's images that have B.
        lift: How many times more often A's images have B than all images do.
    """

    tag: str
    both: int
    support: float
    confidence: float
    lift: float


def related_tags(
    view: View, tag: str, *, limit: int, min_both: int = 1, order: str = BY_LIFT
) -> list[RelatedTag] | None:
    """The tags that come with a tag on at least `min_both` images; None where no image has it.

    The measures are those of association rules: Brin, Motwani, Ullman, Tsur, "Dynamic itemset counting and
    implication rules for market basket data", SIGMOD 1997. Lift overrates rare tags: the floor is against
    that.
    """
    number = view.tag(tag)
    if number is None or not view.counts[number]:
        return None
    slots, _ = view.postings(number)
    _, together, _ = view.tags_of(slots[view.alive(slots)])
    both = np.bincount(together, minlength=len(view.counts))
    both[number] = 0
    enough = np.flatnonzero(both >= max(min_both, 1))
    score = both[enough] / view.counts[enough] if order == BY_LIFT else both[enough].astype(float)
    if len(enough) > limit:
        threshold = np.partition(score, len(score) - limit)[len(score) - limit]
        enough = enough[score >= threshold]
    related = [_related(view, number, int(other), int(both[other])) for other in enough]
    return heapq.nsmallest(limit, related, key=lambda it: (-getattr(it, order), -it.both, it.tag))


def _related(view: View, tag: int, other: int, both: int) -> RelatedTag:
    confidence = both / int(view.counts[tag])
    return RelatedTag(
        tag=view.library.tags.names[other],
        both=both,
        support=both / view.live,
        confidence=confidence,
        lift=both * view.live / (int(view.counts[tag]) * int(view.counts[other])),
    )
