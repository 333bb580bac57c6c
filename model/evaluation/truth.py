"""What is true of each photo, and which tags are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from model.tagger.vocabulary import Entry


@dataclass(frozen=True)
class Truth:
    """Which tags are true of which photo. Arrays are bool, shape (photos, tags).

    Attributes:
        positive: The tag is true of the photo.
        judged: It counts for or against the tagger.
    """

    positive: NDArray[np.bool_]
    judged: NDArray[np.bool_]

    def of(self, photos: NDArray[np.bool_]) -> Truth:
        """The part for some photos; `photos` is bool, shape (photos,)."""
        return Truth(self.positive[photos], self.judged[photos])


def implied_tags(entries: Sequence[Entry], classes: int) -> NDArray[np.bool_]:
    """Which tag implies which: bool, shape (tags, tags), row implies column.

    A tag implies those that stand for all of its classes and more; of two for the same classes, the one with
    the greater discount factor (bald eagle) implies the other (eagle).
    """
    members = np.zeros((len(entries), classes), np.float32)
    for row, entry in enumerate(entries):
        members[row, list(entry.classes)] = 1
    sizes = members.sum(axis=1)
    factors = np.array([entry.discount for entry in entries])
    inside = members @ members.T == sizes[:, None]
    above = (sizes[None, :] > sizes[:, None]) | (factors[None, :] < factors[:, None])
    implied: NDArray[np.bool_] = inside & above
    return implied


def truth_of(
    named: Sequence[Collection[int]],
    implied: NDArray[np.bool_],
    *,
    every_tag: bool,
    only: Collection[int] = (),
) -> Truth:
    """Derive what is true and what is judged from the tags that rows name.

    Args:
        named: For each photo the indexes of its tags.
        implied: From :func:`implied_tags`.
        every_tag: Judge all tags, instead of those that some row names or implies.
        only: Judge no others than these; empty for no such limit.
    """
    positive = np.zeros((len(named), len(implied)), np.bool_)
    judged = np.zeros_like(positive)
    for photo, tags in enumerate(named):
        rows = list(tags)
        positive[photo, rows] = True
        positive[photo] |= implied[rows].any(axis=0)
        judged[photo] = ~_finer(positive[photo], implied)
    if not every_tag:
        judged &= positive.any(axis=0)
    if only:
        judged &= np.isin(np.arange(len(implied)), list(only))
    return Truth(positive, judged)


def _finer(positive: NDArray[np.bool_], implied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find what is finer than the finest that is known: bool, shape (tags,)."""
    true = np.flatnonzero(positive)
    finest = true[~implied[np.ix_(true, true)].any(axis=0)]
    finer: NDArray[np.bool_] = implied[:, finest].any(axis=1) & ~positive
    return finer
