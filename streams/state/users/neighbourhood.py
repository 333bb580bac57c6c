"""Users who share interests: the cosine of their decayed tag profiles.

The profiles are the rows of a sparse matrix, each of length 1. Decay makes everybody's weights smaller by one
and the same factor, which the length takes out again: so rows stay right as time goes by, and only users
whose images changed are read anew.

Profiles are read many at a time: names become numbers, and everything after that is arrays, so that a making
leaves the interpreter to the event loop most of the time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from streams.state.numbering import Names
from streams.state.users.index import Rows, decays, read_tags

SCORE_DECIMALS = 6
_LEAST_NAMES = 1000  # of a vocabulary; below that it is not worth making anew


class SimilarUser(NamedTuple):
    """A user with a cosine above 0; `shared` are the tags of both, those that add most to it first."""

    user: str
    score: float
    shared: list[str]


class Profiles(NamedTuple):
    """Profiles of some users.

    Attributes:
        users: User by row.
        matrix: Users x tags, weights of length 1 in each row.
    """

    users: list[str]
    matrix: Any  # scipy has no types


@dataclass(frozen=True)
class Neighbourhood:
    """Everybody's profile as of one moment.

    Attributes:
        made_at: That moment, in seconds since the epoch.
        users: User by row.
        vocabulary: Numbers of the tags; those that are new since are beyond the matrix.
        matrix: Users x tags, weights of length 1 in each row.
    """

    made_at: float
    users: list[str]
    vocabulary: Names
    matrix: Any  # scipy has no types

    @classmethod
    def empty(cls, now: float) -> "Neighbourhood":
        """The neighbourhood of nobody."""
        return cls(now, [], Names(), csr_array((0, 0)))

    def similar(self, weights: Mapping[str, float], *, user: str, limit: int, tags: int) -> list[SimilarUser]:
        """The users most similar to a profile, equal ones by name.

        Args:
            weights: The profile by tag, of any length.
            user: Whose profile it is: left out.
            limit: How many users at most.
            tags: How many shared tags are named at most.
        """
        asked = np.zeros(self.matrix.shape[1])
        length = math.hypot(*weights.values())  # hypot: squares of old weights would vanish
        for tag, weight in weights.items():
            number = self.vocabulary.ids.get(tag)
            if number is not None and number < len(asked) and length:
                asked[number] = weight / length
        scores = np.round(self.matrix @ asked, SCORE_DECIMALS)
        best = sorted(self._candidates(scores, limit + 1), key=lambda row: (-scores[row], self.users[row]))
        others = [row for row in best if self.users[row] != user][:limit]
        return [
            SimilarUser(self.users[row], float(scores[row]), self._shared(row, asked, tags)) for row in others
        ]

    def without(self, users: frozenset[str]) -> Profiles:
        """The profiles of all but some users."""
        kept = [row for row, user in enumerate(self.users) if user not in users]
        if len(kept) == len(self.users):
            return Profiles(self.users, self.matrix)
        return Profiles([self.users[row] for row in kept], self.matrix[kept])

    def _candidates(self, scores: NDArray[np.float64], number: int) -> list[int]:
        some = np.flatnonzero(scores > 0)
        if len(some) > number:
            among = scores[some]
            some = some[among >= np.partition(among, len(among) - number)[len(among) - number]]
        rows: list[int] = some.tolist()
        return rows

    def _shared(self, row: int, asked: NDArray[np.float64], number: int) -> list[str]:
        place = slice(self.matrix.indptr[row], self.matrix.indptr[row + 1])
        numbers = self.matrix.indices[place]
        parts = self.matrix.data[place] * asked[numbers]
        shared = sorted(
            (-part, self.vocabulary.names[tag]) for tag, part in zip(numbers, parts, strict=True) if part > 0
        )
        return [name for _, name in shared[:number]]


def gathered(parts: Sequence[Profiles], vocabulary: Names, now: float) -> Neighbourhood:
    """Make a neighbourhood of at least one part, each user being in one of them.

    Where most names of the vocabulary are of tags that nobody has any more, it gets one of its own.
    """
    sizes = np.concatenate([np.diff(part.matrix.indptr) for part in parts])
    bounds = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
    data = np.concatenate([part.matrix.data for part in parts])
    numbers = np.concatenate([part.matrix.indices for part in parts])
    users = list(chain.from_iterable(part.users for part in parts))
    used = np.unique(numbers)
    if len(vocabulary.names) > max(_LEAST_NAMES, 2 * len(used)):
        vocabulary, numbers = Names(vocabulary.names[tag] for tag in used), np.searchsorted(used, numbers)
    matrix = csr_array((data, numbers, bounds), shape=(len(users), len(vocabulary.names)))
    return Neighbourhood(now, users, vocabulary, matrix)


def read_profiles(rows: Mapping[str, Rows], vocabulary: Names, today: int, half_life_days: float) -> Profiles:
    """Read profiles; users without tags have none.

    Each is seen from its own newest day, lest the old ones vanish altogether.

    Args:
        rows: By user.
        vocabulary: Numbers of the tags; new ones are added.
        today: In days since the epoch; days that are still to come count like today.
        half_life_days: In which an image loses half of its weight.
    """
    owners, days, counts = read_tags(rows)
    if not counts:
        return Profiles([], csr_array((0, len(vocabulary.names))))
    users, starts = np.unique(owners, return_index=True)  # owners are ascending
    sizes = np.diff(np.append(starts, len(owners)))
    days = np.minimum(days, today)
    ages = np.repeat(np.maximum.reduceat(days, starts), sizes) - days
    tags = list(chain.from_iterable(counts))
    images = np.fromiter(chain.from_iterable(map(dict.values, counts)), np.float64, len(tags))
    lengths = np.fromiter(map(len, counts), np.int64, len(counts))
    weights = images * np.repeat(decays(ages, half_life_days), lengths)
    numbers = vocabulary.numbers(tags)
    bounds = np.concatenate(([0], np.cumsum(np.add.reduceat(lengths, starts))))
    matrix = csr_array((weights, numbers, bounds), shape=(len(users), len(vocabulary.names)))
    matrix.sum_duplicates()
    norms = np.sqrt(np.add.reduceat(matrix.data**2, matrix.indptr[:-1]))
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr))
    names = list(rows)
    return Profiles([names[user] for user in users.tolist()], matrix)
