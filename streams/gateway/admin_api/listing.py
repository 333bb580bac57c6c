"""Lists of assets: what is asked for, and how it is told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.gateway.answers import Addresses, Json, listed_answer
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.cursors import decode_cursor, encode_cursor
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.candidates import Candidate
from streams.gateway.search.matching import Test, needle_of
from streams.gateway.search.search import Page, Query, SortKey
from streams.gateway.search.tree import Term, Value
from streams.gateway.search.values import moment_of

DEFAULT_RESULTS = 10
MAX_RESULTS = 500
MAX_IDS = 100
MAX_FIELDS = 64
_DESCENDING = {"desc": True, "-1": True, "asc": False, "1": False}


@dataclass(frozen=True)
class Told:
    """What is told of each asset of a list.

    Attributes:
        fields: Names of the only fields besides the names; None: the usual.
    """

    tags: bool
    context: bool
    metadata: bool
    fields: frozenset[str] | None

    @classmethod
    def of(cls, given: Fields) -> "Told":
        """Read what a request asks for."""
        fields = given.array("fields", most=MAX_FIELDS)
        return cls(
            tags=given.flag("tags"),
            context=given.flag("context"),
            metadata=given.flag("metadata"),
            fields=frozenset(fields) if fields else None,
        )

    def answer(self, found: LibraryAsset, at: Addresses) -> Json:
        """Give one asset of the list."""
        return listed_answer(
            found,
            at,
            with_tags=self.tags,
            with_context=self.context,
            with_metadata=self.metadata,
            fields=self.fields,
        )


@dataclass(frozen=True)
class Listing:
    """A list as it is asked for; cursors belong to its question."""

    query: Query
    question: str
    told: Told

    def answer(self, page: Page, at: Addresses) -> Json:
        """Give a page of the list."""
        answer: dict[str, Any] = {"resources": [self.told.answer(found, at) for found in page.hits]}
        if page.last is not None:
            answer["next_cursor"] = encode_cursor(page.last, self.question)
        return answer


@dataclass(frozen=True)
class Chosen:
    """Which assets a list is of.

    Attributes:
        question: Tells it from others, for cursors.
        needle: Bytes that the row of each holds; empty: none are known.
    """

    test: Test
    question: str
    needle: bytes = b""

    def and_(self, other: "Chosen") -> "Chosen":
        """Give those that are of both."""
        mine, theirs = self.test, other.test
        needle = max(self.needle, other.needle, key=len)
        return Chosen(
            lambda found: mine(found) and theirs(found), f"{self.question}\n{other.question}", needle
        )


def of_type(resource_type: str, kind: str) -> Chosen:
    """Choose by type; an empty delivery type means all of them."""

    def test(found: Candidate) -> bool:
        asset = found.asset
        return asset.resource_type == resource_type and (not kind or asset.type == kind)

    return Chosen(test, f"type {resource_type} {kind}")


def of_prefix(prefix: str) -> Chosen:
    """Choose by what public ids begin with."""
    return Chosen(lambda found: found.public_id.startswith(prefix), f"prefix {prefix}")


def of_tag(tag: str) -> Chosen:
    """Choose by a tag."""
    needle = needle_of(Term("tags", "=", Value(tag, quoted=True))) if "\\" not in tag else b""
    return Chosen(lambda found: tag in found.tags, f"tag {tag}", needle)


def of_context(key: str, value: str | None) -> Chosen:
    """Choose by a key of the context, and its value unless that is None."""

    def test(found: Candidate) -> bool:
        known = found.asset.context.get(key)
        return known is not None and (value is None or known == value)

    return Chosen(test, f"context {key} {value!r}")


def of_asset_folder(folder: str) -> Chosen:
    """Choose by folder, in which folders below it are not included."""
    return Chosen(lambda found: (found.asset.asset_folder or "") == folder, f"folder {folder}")


def listing(given: Fields, chosen: Chosen, now: int) -> Listing:
    """Read which part of a list is asked for, in what order.

    Args:
        given: The request's fields.
        chosen: Of what the list is.
        now: Milliseconds since the epoch.

    Raises:
        BadCallError: A parameter breaks its rule.
    """
    descending = _direction(given)
    if (start := given.text("start_at")) is not None:
        chosen = chosen.and_(_from(start, descending=descending, now=now))
    question = f"{chosen.question}\n{descending}"
    cursor = given.text("next_cursor")
    query = Query(
        test=chosen.test,
        sort=(SortKey("created_at", descending), SortKey("public_id", descending)),
        most=given.whole_number("max_results", 1, MAX_RESULTS, DEFAULT_RESULTS),
        needle=chosen.needle,
        after=None if cursor is None else decode_cursor(cursor, question, (int, str, str)),
    )
    return Listing(query, question, Told.of(given))


def _direction(given: Fields) -> bool:
    text = given.text("direction") or "desc"
    descending = _DESCENDING.get(text.lower())
    if descending is None:
        raise BadCallError(f"Invalid value {shown(text)} for parameter direction: use asc or desc")
    return descending


def _from(start: str, *, descending: bool, now: int) -> Chosen:
    at = moment_of(Value(_iso(start), quoted=True), "start_at", now).start

    def test(found: Candidate) -> bool:
        created = found.asset.created_at
        return created <= at if descending else created >= at

    return Chosen(test, f"start {start}")


def _iso(text: str) -> str:
    """A date as Node's SDK writes it, which is JavaScript's own way, in the form of all others."""
    try:
        moment = datetime.strptime(text.partition(" (")[0], "%a %b %d %Y %H:%M:%S GMT%z")
    except ValueError:
        return text
    return moment.isoformat()
