"""Users who share interests: the cosine of their decayed tag profiles.

The profiles are the rows of a sparse matrix, each of length 1. Decay makes everybody's weights smaller by one
and the same factor, which the length takes out again: so rows stay right as time goes by, and only users
whose images changed are read anew.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from streams.numbering import Names
from streams.user_index import Rows, UserIndex, decay, read_days

DAY_SECONDS = 86_400
SCORE_DECIMALS = 6
Profile = tuple[NDArray[np.int32], NDArray[np.float64]]  # numbers of tags, ascending; weights, of length 1


class SimilarUser(NamedTuple):
    """A user with a cosine above 0; `shared` are the tags of both, those that add most to it first."""

    user: str
    score: float
    shared: list[str]


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
        """Give that of nobody."""
        return cls(now, [], Names(), csr_array((0, 0)))

    def similar(self, weights: Mapping[str, float], *, user: str, limit: int, tags: int) -> list[SimilarUser]:
        """Give the users most similar to a profile, equal ones by name.

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


class Neighbours:
    """Keeps one tenant's neighbourhood: made when it is first asked for, made anew when it is too old.

    A making takes the names of the users who changed, in the event loop's thread, and reads their rows in
    another.
    """

    def __init__(self, index: UserIndex, tenant: str, *, half_life_days: float, max_age: float) -> None:
        """Prepare.

        Args:
            index: Where interests come from; nobody else may take this tenant's touched users.
            tenant: Whose users.
            half_life_days: In which an image loses half of its weight.
            max_age: Seconds after which a question starts a new making, if anything changed.
        """
        self._index = index
        self._tenant = tenant
        self._half_life_days = half_life_days
        self._max_age = max_age
        self._vocabulary = Names()
        self._made: Neighbourhood | None = None
        self._making: asyncio.Task[Neighbourhood] | None = None

    async def neighbourhood(self, now: float) -> Neighbourhood:
        """Give what there is; a question that finds it too old has it made anew for those that come later.

        Args:
            now: Seconds since the epoch.
        """
        if self._making is None and self._is_stale(now):
            self._making = asyncio.create_task(self._make(now))
        if self._made is not None:
            return self._made
        if self._making is None:  # nobody has interests
            return self.remade(Neighbourhood.empty(now), {}, now)
        return await asyncio.shield(self._making)

    def remade(self, old: Neighbourhood, touched: Mapping[str, Rows], now: float) -> Neighbourhood:
        """Give a neighbourhood in which the touched users are read anew; one at a time, in any thread.

        Args:
            old: The one before.
            touched: The rows of the users who changed since, from `UserIndex.take_touched`.
            now: Seconds since the epoch.
        """
        today = int(now // DAY_SECONDS)
        kept = [row for row, user in enumerate(old.users) if user not in touched]
        fresh = {user: profile for user, rows in touched.items() if (profile := self._profile(rows, today))}
        before = old.matrix[kept]
        sizes = np.concatenate((np.diff(before.indptr), [len(numbers) for numbers, _ in fresh.values()]))
        data = np.concatenate((before.data, *(weights for _, weights in fresh.values())))
        numbers = np.concatenate((before.indices, *(numbers for numbers, _ in fresh.values())))
        bounds = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        users = [*(old.users[row] for row in kept), *fresh]
        matrix = csr_array((data, numbers, bounds), shape=(len(users), len(self._vocabulary.names)))
        return Neighbourhood(now, users, self._vocabulary, matrix)

    def _is_stale(self, now: float) -> bool:
        too_old = self._made is None or now - self._made.made_at > self._max_age
        return too_old and self._index.is_touched(self._tenant)

    async def _make(self, now: float) -> Neighbourhood:
        touched = self._index.take_touched(self._tenant)
        old = self._made or Neighbourhood.empty(now)
        try:
            self._made = await asyncio.to_thread(self.remade, old, touched, now)
        except BaseException:
            self._index.touch(self._tenant, touched)
            raise  # whoever asks next tries again
        finally:
            self._making = None
        return self._made

    def _profile(self, rows: Rows, today: int) -> Profile | None:
        """Read a profile; seen from its newest day, lest the old ones vanish altogether."""
        days = [(min(day, today), tags) for day, tags in read_days(rows) if tags]
        newest = max((day for day, _ in days), default=0)
        weights: dict[int, float] = {}
        for day, tags in days:
            factor = decay(newest - day, self._half_life_days)
            for tag, count in tags.items():
                number = self._vocabulary.number(tag)
                weights[number] = weights.get(number, 0.0) + count * factor
        if not weights:
            return None
        numbers = np.array(sorted(weights), np.int32)
        values = np.array([weights[number] for number in numbers.tolist()])
        return numbers, values / np.linalg.norm(values)
