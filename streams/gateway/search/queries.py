"""Searches as they are asked for, and their answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from streams.gateway.answers import Addresses, found_answer
from streams.gateway.cursors import decode_cursor, encode_cursor
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.asset_fields import (
    COUNTED_BY,
    COUNTED_IN_RANGES,
    SORTED_BY,
    TextField,
    field_of,
)
from streams.gateway.search.matching import needle_of, test_of
from streams.gateway.search.parser import parse
from streams.gateway.search.search import Aggregate, Bucket, Page, Query, SortKey

MAX_RESULTS = 500
DEFAULT_RESULTS = 50
MAX_SORT_KEYS = 8
MAX_AGGREGATES = 8
MAX_BUCKETS = 64
MAX_NAMES = 64
NEWEST_FIRST = (SortKey("created_at", descending=True),)
_DIRECTIONS = {"asc": False, "desc": True, "1": False, "-1": True}


@dataclass(frozen=True)
class Search:
    """A search as it is asked for.

    Attributes:
        question: Its expression and its order: cursors belong to it.
        with_field: Names of fields that are told besides the usual.
        fields: Names of the only fields that are told besides the names; None: the usual.
    """

    query: Query
    question: str
    with_field: frozenset[str]
    fields: frozenset[str] | None


def read_search(fields: Fields, now: int) -> Search:
    """Read a search.

    Args:
        fields: The request's.
        now: Milliseconds since the epoch.

    Raises:
        BadCallError: Something of it is none, or exceeds a limit.
    """
    expression = fields.given("expression") or ""
    sort = _sort_of(fields) or NEWEST_FIRST
    question = msgspec.json.encode([expression, sort]).decode()
    cursor, tree = fields.text("next_cursor"), parse(expression)
    query = Query(
        test=test_of(tree, now),
        sort=sort,
        most=fields.whole_number("max_results", 1, MAX_RESULTS, DEFAULT_RESULTS),
        needle=needle_of(tree),
        after=None if cursor is None else decode_cursor(cursor, question, _kinds(sort)),
        aggregates=tuple(map(_aggregate, _listed(fields, "aggregate", MAX_AGGREGATES))),
    )
    chosen = fields.array("fields", most=MAX_NAMES)
    with_field = fields.array("with_field", most=MAX_NAMES) or ()
    return Search(query, question, frozenset(with_field), frozenset(chosen) if chosen else None)


def search_answer(search: Search, page: Page, milliseconds: int, at: Addresses) -> dict[str, Any]:
    """Give the answer of a search.

    Args:
        search: What was asked for.
        page: What was found.
        milliseconds: How long it took.
        at: Where assets are served.
    """
    hits = [found_answer(found, at, search.with_field, search.fields) for found in page.hits]
    answer: dict[str, Any] = {"total_count": page.total, "time": milliseconds, "resources": hits}
    if page.last is not None:
        answer["next_cursor"] = encode_cursor(page.last, search.question)
    if search.query.aggregates:
        answer["aggregations"] = page.counts
    return answer


def _sort_of(fields: Fields) -> tuple[SortKey, ...]:
    keys = []
    for item in _listed(fields, "sort_by", MAX_SORT_KEYS):
        for name, direction in item.items() if isinstance(item, dict) else [(item, "desc")]:
            down = _DIRECTIONS.get(str(direction).lower())
            if not isinstance(name, str) or name not in SORTED_BY:
                raise BadCallError(
                    f"sort_by {shown(name)!r} is unknown; known are {', '.join(sorted(SORTED_BY))}"
                )
            if down is None:
                raise BadCallError(f"sort_by {name} {shown(direction)!r} must be asc or desc")
            keys.append(SortKey(name, down))
    return tuple(keys)


def _kinds(sort: Sequence[SortKey]) -> list[type | tuple[type, ...]]:
    none = type(None)
    kinds: list[type | tuple[type, ...]] = [
        (str, none) if isinstance(field_of(key.field), TextField) else (int, float, none) for key in sort
    ]
    return [*kinds, str]


def _listed(fields: Fields, name: str, most: int) -> list[Any]:
    """A list of texts or of objects; one alone need not be a list."""
    field = fields.get(name)
    if field is None:
        return []
    value = field.value if field.value is not None else fields.array(name)
    items = value if isinstance(value, list) else [value]
    if len(items) > most:
        raise BadCallError(f"{name} has {len(items)} items; at most {most} are accepted")
    return [item for item in items if item not in ("", None)]


def _aggregate(item: Any) -> Aggregate:  # noqa: ANN401 - JSON
    if isinstance(item, dict):
        name, ranges = item.get("type"), item.get("ranges")
        if (
            str(name) not in COUNTED_IN_RANGES
            or not isinstance(ranges, list)
            or not 0 < len(ranges) <= MAX_BUCKETS
        ):
            known = ", ".join(sorted(COUNTED_IN_RANGES))
            raise BadCallError(
                f"aggregate {shown(item)} needs a type of {known}, and 1 to {MAX_BUCKETS} ranges"
            )
        return Aggregate(str(name), tuple(map(_bucket, ranges)))
    if not isinstance(item, str) or item not in COUNTED_BY:
        raise BadCallError(f"aggregate {shown(item)!r} is unknown; known are {', '.join(sorted(COUNTED_BY))}")
    return Aggregate(item)


def _bucket(item: Any) -> Bucket:  # noqa: ANN401 - JSON
    try:
        read = msgspec.convert(item, _Range)
    except msgspec.ValidationError:
        raise BadCallError(f"range {shown(item)} needs a key, and numbers in from and to") from None
    return Bucket(read.key, read.first, read.last)


class _Range(msgspec.Struct, rename={"first": "from", "last": "to"}):
    key: str
    first: float | None = None
    last: float | None = None
