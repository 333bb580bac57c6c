import contextlib
import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway.rows import AT, asset_row, library_of

from streams.gateway.answers import Addresses
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError
from streams.gateway.search.parser import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, parse
from streams.gateway.search.queries import read_search, search_answer
from streams.gateway.search.search import run
from streams.gateway.search.tree import EVERYTHING, Every, Not, Range, Some, Term, Value

HOUR = 3_600_000
PICTURES = {
    "a/koala": asset_row(
        "a/koala", tags=["koala", "polo shirt"], bytes=500, width=100, context={"stage": "new"}
    ),
    "a/koala_2": asset_row("a/koala_2", tags=["Koala"], bytes=2_000_000, at=AT - 2 * HOUR, format="png"),
    "b/käfer": asset_row("b/käfer", tags=["käfer", 'ti"tle'], at=AT - 30 * 24 * HOUR, height=338),
    "b/x-1": asset_row(
        "b/x-1", at=AT - 400 * 24 * HOUR, context={"stage": "in review"}, asset_folder="shoes"
    ),
    "untold": asset_row("untold", tags=["koala"], told=False, at=AT - HOUR),
    "#raw/upload/notes.txt": asset_row(
        "notes.txt",
        resource_type="raw",
        public_id="notes.txt",
        tags=[],
        format=None,
        width=None,
        height=None,
        bytes=9,
    ).replace(b'"asset":{', b'"asset":{"tags":["koala"],'),
}
LIBRARY = library_of(PICTURES)
ALL = {"a/koala", "a/koala_2", "b/käfer", "b/x-1", "untold", "notes.txt"}


def answer(expression: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The answer of a search."""
    body = orjson.dumps({"expression": expression, **more})
    search = read_search(Fields.of_json(body), AT)
    return search_answer(search, run(search.query, *LIBRARY.rows("demo")), 1, Addresses.of("http://h"))


def found(expression: str) -> set[str]:
    """The names of what is found."""
    return {each["public_id"] for each in answer(expression)["resources"]}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", ALL),
        ("*", ALL),
        ("tags=koala", {"a/koala", "untold", "notes.txt"}),
        ("tags:koala", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ("tags=shirt", set()),
        ("tags:shirt", {"a/koala"}),
        ('tags="polo shirt"', {"a/koala"}),
        (r"tags=polo\ shirt", {"a/koala"}),
        ('tags:"polo shirt"', {"a/koala"}),
        ('tags:"shirt polo"', set()),
        ("tags=k*", {"a/koala", "b/käfer", "untold", "notes.txt"}),
        ("tags=k*r", {"b/käfer"}),
        ("tags:ko*", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ('tags="k*"', set()),
        (r"tags=k\*", set()),
        ("tags:KÄFER", {"b/käfer"}),
        (r'tags="ti\"tle"', {"b/käfer"}),
        ("-tags:*", {"b/x-1"}),
        ("NOT tags:koala", {"b/käfer", "b/x-1"}),
        ("tags:(koala AND shirt)", {"a/koala"}),
        ("tags=(koala OR käfer)", {"a/koala", "b/käfer", "untold", "notes.txt"}),
        ("public_id=a/koala", {"a/koala"}),
        ("public_id:a/koala", {"a/koala", "a/koala_2"}),
        ("public_id:a/*", {"a/koala", "a/koala_2"}),
        ("public_id:x-1", {"b/x-1"}),
        ("folder=a", {"a/koala", "a/koala_2"}),
        ("filename:koala", {"a/koala", "a/koala_2"}),
        ("asset_folder=shoes", {"b/x-1"}),
        ("resource_type:image AND tags:koala", {"a/koala", "a/koala_2", "untold"}),
        ("resource_type=raw", {"notes.txt"}),
        ("format=png", {"a/koala_2"}),
        ("format:(png OR jpg) -tags=koala", {"a/koala_2", "b/käfer", "b/x-1"}),
        ("bytes>1m", {"a/koala_2"}),
        ("bytes>1mb OR bytes<=9", {"a/koala_2", "notes.txt"}),
        ("bytes>=1000 AND bytes<1k", {"b/käfer", "b/x-1"}),
        ("width:[100 TO 600}", {"a/koala"}),
        ("width:[* TO 600]", {"a/koala", "a/koala_2", "b/käfer", "b/x-1"}),
        ("width:{100 TO *]", {"a/koala_2", "b/käfer", "b/x-1"}),
        ("width=600", {"a/koala_2", "b/käfer", "b/x-1"}),
        ("aspect_ratio=3:4", {"a/koala_2", "b/x-1"}),
        ("pixels>400k", {"a/koala_2", "b/x-1"}),
        ("uploaded_at>1d", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ("uploaded_at<1d", {"b/käfer", "b/x-1"}),
        ("uploaded_at<1y", {"b/x-1"}),
        ("uploaded_at:1h", {"a/koala", "untold", "notes.txt"}),
        ("uploaded_at:[2m TO 2w]", {"b/käfer"}),
        ("created_at=2026-11-29", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ("created_at>2026-11-28", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ("created_at>=2026-11-29T21:24:05Z", {"a/koala", "notes.txt"}),
        ("created_at>2026-11-29T21:24:05Z", set()),
        ("created_at<2026-11-29", {"b/käfer", "b/x-1"}),
        ("created_at:[2025-01-01 TO 2026-10-31]", {"b/x-1", "b/käfer"}),
        ("created_at:[2025-01-01 TO 2026-10-30}", {"b/x-1"}),
        ("context.stage=new", {"a/koala"}),
        ("context.stage:review", {"b/x-1"}),
        ("context.stage:*", {"a/koala", "b/x-1"}),
        ("koala", {"a/koala", "a/koala_2", "untold", "notes.txt"}),
        ("koala png", {"a/koala_2"}),
        ("a/ko*2", {"a/koala_2"}),
        ("review", {"b/x-1"}),
        ("NOT (koala OR käfer)", {"b/x-1"}),
        ("tags=koala OR format=png AND bytes<1k", {"a/koala", "untold", "notes.txt"}),
        ("(tags=koala OR format=png) AND bytes>1k", {"a/koala_2"}),
        ("status:active", ALL),
        ("width > 100", {"a/koala_2", "b/käfer", "b/x-1"}),
    ],
)
def test_expressions(expression: str, names: set[str]) -> None:
    """What each finds, by hand."""
    assert found(expression) == names


def test_asset_ids() -> None:
    """Both operators find an asset by its id."""
    asset_id = answer("public_id=a/koala")["resources"][0]["asset_id"]
    assert found(f"asset_id={asset_id}") == found(f"asset_id:{asset_id}") == {"a/koala"}


def test_the_tree() -> None:
    """AND binds closer than OR, NOT closest; terms side by side are all meant."""

    def term(name: str, place: int) -> Term:
        return Term("", ":", Value(name), place)

    assert parse("a OR b c") == Some((term("a", 0), Every((term("b", 4), term("c", 6)))))
    assert parse("NOT a AND b") == Every((Not(term("a", 3)), term("b", 9)))
    assert parse("w:{1 TO 2]") == Term("w", ":", Range(Value("1"), Value("2"), False, True), 2)
    assert parse(" ") == EVERYTHING


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(", "its end"),
        ("a)", "is not expected"),
        ("a AND", "its end"),
        ("OR a", "'OR a' should be a value"),
        ("tags:", "its end should be a value"),
        ("tags:[a", "should be TO"),
        ("tags:[a b]", "should be TO"),
        ("width:[1 TO 2", "should be the range's end"),
        ("[1 TO 2]", "belongs behind a field"),
        ("width>[1 TO 2]", "belongs behind a field"),
        ('"a', "cannot be read"),
        ("a\\", "cannot be read"),
        ("colour:red", "Field 'colour' at character 8 is unknown; known are access_mode"),
        ("tags>a", "neither ranges nor comparisons"),
        ("tags:[a TO b]", "neither ranges nor comparisons"),
        ("width>wide", "is no number"),
        ("aspect_ratio=1:0", "is no number"),
        ("uploaded_at>soon", "is no time"),
        ("uploaded_at>2026-13-01", "is no time"),
        ("(" * (MAX_DEPTH + 2), "levels deep"),
        ("NOT " * (MAX_DEPTH + 2) + "a", "levels deep"),
        ("tags:" + "(" * (MAX_DEPTH + 2), "levels deep"),
        ("a " * (MAX_TERMS + 1), f"more than {MAX_TERMS} terms"),
        ("a" * (MAX_LENGTH + 1), "characters"),
    ],
)
def test_expressions_that_are_refused(expression: str, reason: str) -> None:
    """The refusal says where, what and why."""
    with pytest.raises(BadCallError, match=reason.replace("(", r"\(")):
        found(expression)


@given(expression=st.text(alphabet='ab:=<>()[]{}"\\*-+ \nANDORTO1', max_size=60) | st.text(max_size=40))
def test_any_text_as_an_expression(expression: str) -> None:
    """It is an expression, or the caller's fault."""
    with contextlib.suppress(BadCallError):
        assert found(expression) <= ALL


@given(data=st.data())
def test_any_expression_means_what_it_says(data: st.DataObject) -> None:
    """Whatever is made of terms, AND, OR, NOT and parentheses finds what sets of its terms' finds are."""
    terms = ["tags=koala", "tags:koala", "bytes>1k", "format=png", "width:[100 TO 600}", "koala", "-tags:*"]

    def built(depth: int) -> tuple[str, set[str]]:
        kind = data.draw(st.sampled_from(["term", "and", "or", "not"] if depth else ["term"]))
        if kind == "term":
            term = data.draw(st.sampled_from(terms))
            return term, found(term)
        left, one = built(depth - 1)
        if kind == "not":
            return f"NOT ({left})", ALL - one
        right, other = built(depth - 1)
        joined = one & other if kind == "and" else one | other
        return f"({left}) {kind.upper()} ({right})", joined

    expression, names = built(3)
    assert found(expression) == names


@pytest.mark.parametrize(
    "sort",
    [
        None,
        [{"public_id": "asc"}],
        [{"format": "desc"}, {"bytes": "asc"}],
        [{"width": "desc"}],
        [{"bytes": "1"}],
    ],
)
@pytest.mark.parametrize("most", [1, 2, 5])
def test_pages(sort: list[dict[str, str]] | None, most: int) -> None:
    """Together they are the whole list in its order, each asset once; the last one has no cursor."""
    asked: dict[str, Any] = {"sort_by": sort} if sort else {}
    whole = [each["public_id"] for each in answer(**asked)["resources"]]
    pages, cursor = [], ""
    while cursor is not None:
        page = answer(max_results=most, next_cursor=cursor, **asked)
        assert page["total_count"] == len(ALL)
        pages.append([each["public_id"] for each in page["resources"]])
        cursor = page.get("next_cursor")
    assert ([*itertools.chain(*pages)], {len(page) for page in pages[:-1]} <= {most}) == (whole, True)


def test_orders() -> None:
    """Newest first if nothing is said; what lacks a field comes last in both directions."""
    assert answer()["resources"][-1]["public_id"] == "b/x-1"
    names = [each["public_id"] for each in answer(sort_by=[{"public_id": "asc"}])["resources"]]
    assert names == sorted(ALL)
    for direction in ("asc", "desc"):
        hits = answer(sort_by=[{"width": direction}])["resources"]
        assert {each["public_id"] for each in hits[-2:]} == {"untold", "notes.txt"}


def test_cursors_of_another_question() -> None:
    """They are refused: their place is in another order."""
    cursor = answer(max_results=1, sort_by=[{"public_id": "asc"}])["next_cursor"]
    for asked in (
        {},
        {"sort_by": [{"public_id": "desc"}]},
        {"expression": "koala", "sort_by": [{"public_id": "asc"}]},
    ):
        with pytest.raises(BadCallError, match="next_cursor"):
            answer(next_cursor=cursor, **asked)


@given(cursor=st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_any_text_as_a_cursor(cursor: str) -> None:
    """It is refused."""
    if cursor:
        with pytest.raises(BadCallError, match="next_cursor"):
            answer(next_cursor=cursor)


def test_what_is_told_of_an_asset() -> None:
    """Tags and context on request, the context flat; what is never kept is empty."""
    usual = answer("public_id=a/koala")["resources"][0]
    assert not {"tags", "context", "image_metadata", "metadata"} & usual.keys()
    told = {"folder", "filename", "status", "uploaded_at", "aspect_ratio", "pixels", "url", "secure_url"}
    assert told <= usual.keys()
    more = answer("public_id=a/koala", with_field=["tags", "context", "image_metadata"])["resources"][0]
    assert (more["tags"], more["context"], more["image_metadata"]) == (
        ["koala", "polo shirt"],
        {"stage": "new"},
        {},
    )
    always = {"public_id", "asset_id", "created_at", "status", "type", "resource_type", "folder"}
    chosen = answer("public_id=a/koala", fields=["context"])["resources"][0]
    assert chosen.keys() == always | {"context"}


def test_aggregates() -> None:
    """All that match are counted, on whatever page they are."""
    buckets = [
        {"key": "tiny", "to": 500},
        {"key": "medium", "from": 501, "to": 1999},
        {"key": "big", "from": 2000},
    ]
    ranges = {"type": "bytes", "ranges": buckets}
    counts = answer(max_results=1, aggregate=["format", "resource_type", ranges])["aggregations"]
    assert counts == {
        "format": {"jpg": 3, "png": 1},
        "resource_type": {"image": 5, "raw": 1},
        "bytes": {"tiny": 2, "medium": 2, "big": 1},
    }


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"max_results": 501}, "max_results: use 1 to 500"),
        ({"max_results": "x"}, "max_results"),
        ({"sort_by": [{"colour": "asc"}]}, "sort_by 'colour' is unknown"),
        ({"sort_by": [{"bytes": "up"}]}, "must be asc or desc"),
        ({"sort_by": [{"bytes": "asc"}] * 9}, "at most 8"),
        ({"sort_by": [[["bytes"]]]}, "sort_by"),
        ({"aggregate": ["etag"]}, "aggregate 'etag' is unknown"),
        ({"aggregate": [{"type": "bytes"}]}, "ranges"),
        ({"aggregate": [{"type": "bytes", "ranges": [{"from": 1}]}]}, "needs a key"),
        ({"aggregate": [{"type": ["bytes"], "ranges": [{"from": 1}]}]}, "needs a type"),
        ({"aggregate": [["x"]]}, "aggregate"),
        ({"with_field": ["x"] * 100}, "100 items"),
        ({"expression": ["a", "b"]}, "expression is given 2 times"),
    ],
)
def test_searches_that_are_refused(asked: dict[str, Any], reason: str) -> None:
    """The refusal names parameter and rule."""
    with pytest.raises(BadCallError, match=reason):
        answer(**asked)


def test_a_search_without_end_is_given_up() -> None:
    """Many phrases in many long tags take seconds for one asset alone; what is wanted is all but that."""
    rows = {f"k{number}": asset_row(f"k{number}", tags=["koala"]) for number in range(3)}
    search = read_search(Fields.of_pairs([("expression", "koala")]), AT)
    keys_and_rows = library_of(rows).rows("demo")
    assert run(search.query, *keys_and_rows).total == 3
    with pytest.raises(BadCallError, match="takes more than 0 s"):
        run(search.query, *keys_and_rows, longest=0.0)


def test_a_page_of_huge_assets_has_fewer() -> None:
    """An answer's size is bounded; the cursor leads to all of them."""
    tags = [f"{number:0250}" for number in range(1000)]
    rows = {f"k{number}": asset_row(f"k{number}", tags=tags) for number in range(100)}
    keys_and_rows, cursor, pages = library_of(rows).rows("demo"), "", []
    while cursor is not None:
        given = {"max_results": 500, "fields": ["public_id"], "next_cursor": cursor}
        search = read_search(Fields.of_json(orjson.dumps(given)), AT)
        told = search_answer(search, run(search.query, *keys_and_rows), 1, Addresses.of("http://h"))
        pages.append([each["public_id"] for each in told["resources"]])
        cursor = told.get("next_cursor")
    assert len(pages) == 2
    assert sorted(pages[0] + pages[1]) == sorted(rows)
