"""What a partition has of a user. It takes a look at each row: for a thread, which goes on meanwhile."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import orjson

from schemas.errors import BadEventError
from schemas.uploads import parse_upload
from streams.fold.changes import PartitionRows
from streams.fold.retries import record_of
from streams.fold.rows import ImageKey, InterestKey

AT_ONCE = 200  # images that one transaction forgets


class _Behind(msgspec.Struct):
    user: str | None = None


class _Owned(msgspec.Struct):
    user: str | None = None
    behind: _Behind | None = None
    told: dict[str, list[object]] = {}


_decode = msgspec.json.Decoder(_Owned).decode


@dataclass(frozen=True)
class UsersRows:
    """Keys of rows that are about a user.

    Attributes:
        images: Some of the images, `AT_ONCE` at most.
        retries: Uploads that wait.
        interests: The user's days.
        more: Whether there are other images.
    """

    images: tuple[str, ...] = ()
    retries: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    more: bool = False


def find_rows(rows: PartitionRows, tenant: str, user: str) -> UsersRows:
    """Find what is about a user."""
    images = list(_images(rows["images"], tenant, user, AT_ONCE + 1))
    days = [key for key in list(rows["interests"]) if InterestKey.decode(key)[:2] == (tenant, user)]
    waiting = tuple(_waiting(rows["retries"], tenant, user))
    return UsersRows(tuple(images[:AT_ONCE]), waiting, tuple(days), len(images) > AT_ONCE)


def _images(rows: Mapping[str, bytes], tenant: str, user: str, limit: int) -> Iterator[str]:
    told, found = orjson.dumps(user), 0
    for key, row in list(rows.items()):
        if told in row and ImageKey.decode(key).tenant == tenant and is_about(row, user):
            yield key
            found += 1
            if found == limit:
                return


def is_about(row: bytes, user: str) -> bool:
    """Whether an image is a user's, or was by what its row may come back to."""
    owned = _decode(row)
    told = owned.told.get("user") or [None]
    return user in (owned.user, owned.behind and owned.behind.user, told[0])


def _waiting(rows: Mapping[str, bytes], tenant: str, user: str) -> Iterator[str]:
    for key, row in list(rows.items()):
        try:
            data = parse_upload(record_of(row, 0)).data
        except BadEventError:
            continue
        if (data.tenant or "", data.user_id) == (tenant, user):
            yield key
