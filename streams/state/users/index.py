"""What users are interested in: the tags of their images, recent ones counting more.

`changed` belongs to the event loop's thread and takes microseconds: rows are kept as they are, and read when
somebody asks. It knows neither Kafka nor HTTP, and reads no clock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.fold.rows import InterestKey, split_tenants
from streams.state.loading import Loading

TABLE = "interests"
HALF_LIFE_DAYS = 14.0
_PARTITION_BITS = 24  # of a place; the day is above them
_NOTHING_LEFT = 1100.0  # half-lives


class _Row(msgspec.Struct, gc=False):
    t: dict[str, int]


class Interest(NamedTuple):
    """A user's interest in a tag; `images` are counted as they are, in `weight` they decay."""

    tag: str
    weight: float
    images: int


_decode = msgspec.json.Decoder(_Row).decode
Rows = dict[int, bytes]  # by place: the day, and the partition that counted it


class Tags(NamedTuple):
    """What rows of several users say: of each row its user's place, its day, and images by tag."""

    owners: NDArray[np.int64]
    days: NDArray[np.int64]
    counts: list[dict[str, int]]


class UserIndex:
    """The interests of all users of all tenants; the rows of all partitions together.

    Attributes:
        table: Whose rows it is fed with.
    """

    table = TABLE

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Rows]] = {}
        self._touched: dict[str, set[str]] = {}
        self._places: dict[int, int] = {}

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.partition.PartitionState`."""
        if table != TABLE:
            return
        tenant, user, day = InterestKey.decode(key)
        users, place = self._users.setdefault(tenant, {}), self._place(day, partition)
        if new is not None:
            users.setdefault(user, {})[place] = new
        elif user in users:
            users[user].pop(place, None)
            if not users[user]:
                del users[user]
        if not users:
            del self._users[tenant]
        self._touched.setdefault(tenant, set()).add(user)

    def loading(self, partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        return _UserLoading(self, partition)

    def take(self, partition: int, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        """Take in many rows of a partition."""
        for tenant, places, names in split_tenants(keys):
            users, touched = self._users.setdefault(tenant, {}), self._touched.setdefault(tenant, set())
            for place, name in zip(places, names, strict=True):
                day, _, user = name.partition(":")
                users.setdefault(user, {})[self._place(int(day), partition)] = rows[place]
                touched.add(user)

    def _place(self, day: int, partition: int) -> int:
        place = day << _PARTITION_BITS | partition
        return self._places.setdefault(place, place)  # one number for all users, not one each

    def knows(self, tenant: str, user: str) -> bool:
        """Whether a user has interests."""
        return user in self._users.get(tenant, {})

    def interests(self, tenant: str, user: str, *, now_day: int, half_life_days: float) -> list[Interest]:
        """A user's interests, strongest first, equal ones by tag.

        A tag weighs the sum, over the days, of its images times 2 ** (-age in days / half-life); days that
        are still to come count like today.

        Args:
            tenant: Whose user it is.
            user: Who; unknown ones have no interests.
            now_day: Today, in days since the epoch.
            half_life_days: In which an image loses half of its weight.
        """
        weights: dict[str, float] = {}
        images: dict[str, int] = {}
        for day, tags in read_days(self._users.get(tenant, {}).get(user, {})):
            factor = decay(max(now_day - day, 0), half_life_days)
            for tag, count in tags.items():
                weights[tag] = weights.get(tag, 0.0) + count * factor
                images[tag] = images.get(tag, 0) + count
        found = [Interest(tag, weight, images[tag]) for tag, weight in weights.items()]
        return sorted(found, key=lambda interest: (-interest.weight, interest.tag))

    def rows(self, tenant: str, users: Iterable[str]) -> dict[str, Rows]:
        """The rows of users as they are now and will be; no rows: the user has gone."""
        known = self._users.get(tenant, {})
        return {user: known.get(user, {}) for user in users}

    def has_users(self, tenant: str) -> bool:
        """Whether any user of a tenant has interests."""
        return tenant in self._users

    def take_touched(self, tenant: str) -> set[str]:
        """Take the users that changed since they were taken last."""
        return self._touched.pop(tenant, set())

    def touch(self, tenant: str, users: Iterable[str]) -> None:
        """Let users count as changed."""
        self._touched.setdefault(tenant, set()).update(users)

    def touched_tenants(self) -> list[str]:
        """The tenants whose users changed since they were taken last."""
        return list(self._touched)


class _UserLoading:
    """Rows on their way into the index; as they are only kept, they go in at once."""

    def __init__(self, index: UserIndex, partition: int) -> None:
        self._index = index
        self._partition = partition

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        self._index.take(self._partition, keys, rows)

    def sort(self) -> None:
        """Nothing to put in order."""

    def finish(self) -> Iterator[None]:
        return iter(())


def read_days(rows: Rows) -> Iterable[tuple[int, dict[str, int]]]:
    """Read the images by tag of each day; a day comes once per partition. Safe in any thread."""
    for place, row in list(rows.items()):
        yield place >> _PARTITION_BITS, _decode(row).t


def read_tags(users: Mapping[str, Rows]) -> Tags:
    """Read the rows of many users. Safe in any thread; rows without tags are left out."""
    held = [dict(rows) for rows in users.values()]  # copied at one go each: rows come and go meanwhile
    counts = [_decode(row).t for row in chain.from_iterable(map(dict.values, held))]
    places = np.fromiter(chain.from_iterable(held), np.int64, len(counts))
    owners = np.repeat(np.arange(len(held)), [*map(len, held)])
    some = np.fromiter(map(bool, counts), np.bool_, len(counts))
    return Tags(owners[some], places[some] >> _PARTITION_BITS, [*filter(None, counts)])


def decay(age_days: int, half_life_days: float) -> float:
    """What is left of a weight of 1."""
    return float(2.0 ** -min(age_days / half_life_days, _NOTHING_LEFT))


def decays(ages: NDArray[np.int64], half_life_days: float) -> NDArray[np.float64]:
    """What is left of weights of 1, by their ages in days."""
    return np.exp2(-np.minimum(ages / half_life_days, _NOTHING_LEFT))
