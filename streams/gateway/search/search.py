"""Goes over the assets of a cloud: which ones match, in what order, how many, and a page of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from streams.gateway.assets.library_asset import LibraryAsset, library_asset
from streams.gateway.requests.problems import BadCallError
from streams.gateway.search.asset_fields import FIELDS, TextField
from streams.gateway.search.candidates import Candidate, candidate_of
from streams.gateway.search.matching import Test

Place = tuple[Any, ...]
MOST_COUNTED = 1000  # texts of an aggregate
MOST_BYTES = 16_000_000  # of the rows of a page: an asset may have a thousand long tags
LONGEST = 30.0  # seconds: an expression can ask for hours of work


class SortKey(NamedTuple):
    """What assets are sorted by."""

    field: str
    descending: bool


class Bucket(NamedTuple):
    """A range of numbers that is counted under a name; None: it has no bound there."""

    key: str
    first: float | None
    last: float | None


@dataclass(frozen=True)
class Aggregate:
    """What is counted: a field's texts, or its numbers in ranges."""

    field: str
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        needle: Bytes that the row of every match holds; empty: none are known.
        sort: By these, and by the asset's id in the end.
        most: Assets of a page; fewer where theirs are huge.
        after: The place of the last asset of the page before; None: it is the first page.
    """

    test: Test
    sort: tuple[SortKey, ...]
    most: int
    needle: bytes = b""
    after: Place | None = None
    aggregates: tuple[Aggregate, ...] = ()


class Page(NamedTuple):
    """What was found.

    Attributes:
        total: Assets that match, on all pages.
        hits: Those of this page.
        last: The place of the last of them, if more follow.
        counts: By aggregate, by text or bucket.
    """

    total: int
    hits: list[LibraryAsset]
    last: Place | None
    counts: dict[str, dict[str, int]]


class Match(NamedTuple):
    """An asset that matches.

    Attributes:
        place: Its values of what is sorted by, and its id.
        number: Its number among all assets.
    """

    place: Place
    number: int


def run(query: Query, keys: Sequence[str], rows: Sequence[bytes], longest: float = LONGEST) -> Page:
    """Search. It looks at every asset, so it belongs into a thread.

    Raises:
        BadCallError: It takes longer than so many seconds.
    """
    matches, counts = _matches(query, keys, rows, longest)
    ordered = in_order(matches, query.sort)
    start = 0 if query.after is None else _first_after(ordered, query.sort, query.after)
    hits = _fitting(ordered[start : start + query.most], rows)
    more = start + len(hits) < len(ordered)
    return Page(
        total=len(ordered),
        hits=[library_asset(keys[hit.number], rows[hit.number]) for hit in hits],
        last=hits[-1].place if more and hits else None,
        counts={each.field: _top(counted) for each, counted in zip(query.aggregates, counts, strict=True)},
    )


def _fitting(hits: list[Match], rows: Sequence[bytes]) -> list[Match]:
    """Give so many that an answer has room for, and one at least."""
    size = 0
    for place, hit in enumerate(hits):
        size += len(rows[hit.number])
        if size > MOST_BYTES and place:
            return hits[:place]
    return hits


def _matches(
    query: Query, keys: Sequence[str], rows: Sequence[bytes], longest: float
) -> tuple[list[Match], list[Counter[str]]]:
    test, needle, sort = query.test, query.needle, query.sort
    values = [value_of(each.field) for each in sort]
    counts = [Counter[str]({bucket.key: 0 for bucket in each.buckets}) for each in query.aggregates]
    matches = []
    until = time.monotonic() + longest
    for index, row in enumerate(rows):
        if time.monotonic() > until:
            raise BadCallError(f"The search takes more than {longest:g} s; use fewer or simpler terms")
        if needle and needle not in row:
            continue
        found = candidate_of(keys[index], row)
        if test(found):
            place = (*(value(found) for value in values), found.asset.asset_id)
            matches.append(Match(place, index))
            for each, counted in zip(query.aggregates, counts, strict=True):
                counted.update(_counted(each, found))
    return matches, counts


def in_order(matches: Iterable[Match], sort: Sequence[SortKey]) -> list[Match]:
    """Give matches in an order; those that lack a field come last, whatever the direction."""
    ordered = sorted(matches, key=lambda match: match.place[-1])
    for part, key in reversed(list(enumerate(sort))):
        known = [match for match in ordered if match.place[part] is not None]
        unknown = [match for match in ordered if match.place[part] is None]
        known.sort(key=lambda match, part=part: match.place[part], reverse=key.descending)  # type: ignore[misc]
        ordered = known + unknown
    return ordered


def _first_after(ordered: Sequence[Match], sort: Sequence[SortKey], after: Place) -> int:
    """The number of assets that are not behind a place."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if _is_behind(ordered[middle].place, after, sort):
            high = middle
        else:
            low = middle + 1
    return low


def _is_behind(place: Place, after: Place, sort: Sequence[SortKey]) -> bool:
    for mine, theirs, key in zip(place, after, sort, strict=False):
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            return mine is None
        return bool(mine < theirs) if key.descending else bool(mine > theirs)
    return bool(place[-1] > after[-1])


def value_of(name: str) -> Callable[[Candidate], Any]:
    """Give what reads a field: a text or a number, or None."""
    field = FIELDS[name]
    if not isinstance(field, TextField):
        return field.number
    texts = field.texts

    def first(found: Candidate) -> str | None:
        known = texts(found)
        return known[0] if known else None

    return first


def _counted(aggregate: Aggregate, found: Candidate) -> list[str]:
    """Under which names a match counts."""
    field = FIELDS[aggregate.field]
    if isinstance(field, TextField):
        return field.texts(found)
    number = field.number(found)
    return [] if number is None else [each.key for each in aggregate.buckets if _holds(each, number)]


def _holds(bucket: Bucket, number: float) -> bool:
    return (bucket.first is None or number >= bucket.first) and (bucket.last is None or number <= bucket.last)


def _top(counted: Counter[str]) -> dict[str, int]:
    return dict(counted.most_common(MOST_COUNTED))
