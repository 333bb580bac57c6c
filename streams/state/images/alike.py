"""Groups of images that look alike, from their hashes alone. Pure; for any thread.

Two hashes that differ in three bits at most have one of their four parts of 16 bits in common. So only those
are compared that share a part: exact, and quick for a million images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_BITS = 3
MOST_PAIRS = 100_000_000
"""Pairs that are compared; a million images of all sorts have 30 million that share a part."""

_PARTS, _PART_BITS = MOST_BITS + 1, 16


class TooManyAlikeError(ValueError):
    """So many hashes have a part in common that comparing them would take too long."""


def groups(numbers: NDArray[np.uint64], distance: int) -> list[NDArray[np.intp]]:
    """Groups of two or more places, the largest first.

    In a group each has another from which it differs in so many bits at most.

    Args:
        numbers: The hash at each place.
        distance: Bits; 3 at most.

    Raises:
        TooManyAlikeError: See there.
    """
    hashes, which = np.unique(numbers, return_inverse=True)
    pairs = [*_pairs(hashes, distance)] if distance else []
    edges = np.concatenate([np.empty((2, 0), np.intp), *pairs], axis=1)
    graph = coo_array((np.ones(edges.shape[1], np.int8), (edges[0], edges[1])), shape=(len(hashes),) * 2)
    _, components = connected_components(graph, directed=False)
    of_each = components[which]
    order = np.argsort(of_each, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(of_each[order])) + 1) if len(order) else []
    return sorted((part for part in parts if len(part) > 1), key=lambda part: (-len(part), int(part[0])))


def _pairs(hashes: NDArray[np.uint64], distance: int) -> Iterator[NDArray[np.intp]]:
    """Pairs of different hashes that are near each other."""
    left = MOST_PAIRS
    for part in range(_PARTS):
        shared = (hashes >> np.uint64(part * _PART_BITS)) & np.uint64((1 << _PART_BITS) - 1)
        order = np.argsort(shared, kind="stable")
        shared, places = shared[order], np.arange(len(order))
        for gap in range(1, len(order)):
            places = places[: np.searchsorted(places, len(order) - gap)]
            places = places[shared[places] == shared[places + gap]]  # else none further on shares it either
            if not len(places):
                break
            left -= len(places)
            if left < 0:
                raise TooManyAlikeError
            first, second = order[places], order[places + gap]
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= distance
            yield np.stack([first[near], second[near]])
