"""Images, related tags and users over HTTP: whole answers, paging, and what is refused with which words."""

import base64
import csv
import io
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from support.image_rows import RULES, deleted_row, image_row
from support.web_client import client_of, query_app

from model.embedding.codes import encode
from schemas.answers import trends as answers
from streams.fold.rows import DAY_MS, ImageKey, InterestKey
from streams.state.images.hashes import Hashes, HashIndex, Place
from streams.state.images.index import ImageIndex
from streams.state.partition import PartitionState
from streams.state.users.index import UserIndex
from streams.state.users.similar import AllNeighbours
from streams.web.api.duplicates import DuplicateRoutes
from streams.web.api.images import ImageRoutes
from streams.web.api.kinds.cursors import encode_cursor
from streams.web.api.people import PeopleRoutes
from streams.web.api.users import UserRoutes

if TYPE_CHECKING:
    from aiohttp import ClientSession

TODAY = 20_000
DAY = 86_400


@dataclass
class Idle:
    """A worker that owns nothing."""

    status: str = "ready"
    units: dict[int, Any] = field(default_factory=dict)
    rules: None = None


@dataclass
class Fresh:
    """A state without a gap."""

    complete: bool = True
    behind: list[int] = field(default_factory=list)
    loading: list[int] = field(default_factory=list)

    def as_of(self) -> list[answers.PartitionState]:
        missing = [
            answers.PartitionState(number, ready=False, next_offset=0, lag=None) for number in self.loading
        ]
        return [answers.PartitionState(0, ready=True, next_offset=7, lag=0), *missing]


class Library:
    """Two partitions, the indexes that they feed, and a client of the routes."""

    def __init__(self) -> None:
        images, users, hashes = ImageIndex(), UserIndex(), HashIndex()
        self.now, self.fresh = float(TODAY * DAY), Fresh()
        neighbours = AllNeighbours(users, lambda: self.now)
        self.states = {number: PartitionState(number) for number in (0, 1)}
        for state in self.states.values():
            state.indexes += [images, users, hashes]
        routes = [
            *ImageRoutes(images, self.states, self.fresh).routes(),
            *DuplicateRoutes(hashes, self.states, self.fresh).routes(),
            *UserRoutes(neighbours, images, self.states, self.fresh, lambda: self.now).routes(),
            *PeopleRoutes(neighbours, images, self.fresh, lambda: self.now).routes(),
        ]
        self.app = query_app(Idle(), routes)
        self.client: ClientSession

    def put(self, public_id: str, row: bytes | None, *, partition: int = 0, tenant: str = "") -> None:
        self.states[partition].apply("images", ImageKey(tenant, public_id).encode(), row)

    def like(self, user: str, tags: dict[str, int], *, day: int = TODAY, partition: int = 0) -> None:
        row = orjson.dumps({"o": 0, "t": tags})
        self.states[partition].apply("interests", InterestKey("", user, day).encode(), row)

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        response = await self.client.get(path, params=parameters)
        assert response.status == 200, await response.text()
        return orjson.loads(await response.read())

    async def refused(self, path: str, status: int = 400) -> dict[str, str]:
        response = await self.client.get(path)
        assert response.status == status, await response.text()
        return orjson.loads(await response.read())


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    library = Library()
    for state in library.states.values():
        await state.build_indexes()
    async with client_of(library.app) as library.client:
        yield library


@pytest.fixture
def beach(library: Library) -> Library:
    library.put("a", image_row({"sea": 0.9, "sky": 0.6}, at=1_000, user="ann"))
    library.put("b", image_row({"sea": 0.7}, own=("dog",), at=2_000, user="bob"), partition=1)
    library.put("c/1, or 2", image_row({"sky": 0.8}, at=3_000, user=None, url=None))
    library.put("d", image_row({"sea": 0.5}, at=3_000), tenant="t")
    return library


def ids(answer: dict[str, Any]) -> list[str]:
    return [image["public_id"] for image in answer["images"]]


async def test_a_whole_answer(beach: Library) -> None:
    """Each image comes with its tags, where it is, and how sure the wanted tags are."""
    answer = await beach.get("/images", all="sea", since="1970-01-01T00:00:02Z")
    assert answer == {
        "window": {"name": "range", "start": "1970-01-01T00:00:02Z", "end": None},
        "as_of": [{"partition": 0, "ready": True, "next_offset": 7, "lag": 0, "event_time": None}],
        "complete": True,
        "behind": [],
        "total": 1,
        "images": [
            {
                "public_id": "b",
                "uploaded_at": "1970-01-01T00:00:02Z",
                "user_id": "bob",
                "url": "http://h/1.jpg",
                "confidence": 0.7,
                "tags": [{"tag": "dog", "confidence": 1.0}, {"tag": "sea", "confidence": 0.7}],
            }
        ],
        "cursor": None,
    }


async def test_a_tag_is_found_by_its_name_in_any_language(beach: Library) -> None:
    """Wanted or not; a name that an image has as a tag is that tag, whatever it means elsewhere."""
    assert ids(await beach.get("/images", tag="Hund")) == ["b"]
    assert ids(await beach.get("/images", any="chien,sea")) == ["b", "a"]
    assert ids(await beach.get("/images", all="ciel")) == ["c/1, or 2", "a"]
    assert ids(await beach.get("/images", none="Himmel")) == ["b"]
    assert ids(await beach.get("/images", tag="Katze")) == []
    beach.put("e", image_row({"Hund": 0.9}, at=4_000, user="ann"))
    assert ids(await beach.get("/images", tag="Hund")) == ["e"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("", ["c/1, or 2", "b", "a"]),
        ("tag=sea", ["b", "a"]),
        ("tag=sea&order=confidence", ["a", "b"]),
        ("tag=sea&tag=sky", ["a"]),
        ("all=sea,dog", ["b"]),
        ("any=dog,sky", ["c/1, or 2", "b", "a"]),
        ("any=dog,sky&none=sea", ["c/1, or 2"]),
        ("tag=sea&min_confidence=0.71", ["a"]),
        ("user=ann", ["a"]),
        ("user=nobody", []),
        ("tag=unheard", []),
        ("any=unheard,dog", ["b"]),
        ("none=unheard,dog", ["c/1, or 2", "a"]),
        ("since=1970-01-01T00:00:02Z&until=1970-01-01T00:00:03Z", ["b"]),
        ("since=1970-01-01T01:00:03%2B01:00", ["c/1, or 2"]),
        ("until=1970-01-01", []),
        ("until=9999-12-31T23:59:59-23:00&tag=dog", ["b"]),
        ("tenant=t", ["d"]),
        ("tenant=nobody", []),
    ],
)
async def test_expressions(beach: Library, question: str, expected: list[str]) -> None:
    """Tags, times, users and tenants narrow the answer down."""
    assert ids(await beach.get(f"/images?{question}")) == expected


async def test_images_without_a_tag_are_found(beach: Library) -> None:
    """Those to which nothing was assigned; not those whose last tag went with them."""
    assert ids(await beach.get("/images", untagged="true")) == []
    beach.put("bare", image_row({}, at=9_000, user="ann"))
    beach.put("gone", deleted_row())
    assert ids(await beach.get("/images", untagged="true")) == ["bare"]
    assert ids(await beach.get("/images", untagged="true", user="bob")) == []
    assert ids(await beach.get("/images", untagged="true", tag="sea")) == []


async def test_pages(library: Library) -> None:
    """Cursors lead through all images in order, though others come and go; a tenant's too."""
    for number in range(10):
        library.put(f"i{number}", image_row({"sea": 0.5}, at=number // 3), tenant="t")
    shown, parameters = [], {"tag": "sea", "limit": 3, "tenant": "t"}
    answer = await library.get("/images", **parameters)
    shown += ids(answer)
    library.put("i9", None, tenant="t")
    library.put("new", image_row({"sea": 0.5}, at=99), tenant="t")
    library.put("i5", deleted_row(), tenant="t")
    while answer["cursor"]:
        answer = await library.get("/images", **parameters, cursor=answer["cursor"])
        shown += ids(answer)
    assert shown == ["i9", "i6", "i7", "i8", "i3", "i4", "i0", "i1", "i2"]


async def test_pages_of_the_longest_names(library: Library) -> None:
    """A cursor fits however long the names of image and tenant are, in bytes too."""
    tenant, names = "\N{KOALA}" * 255, ["\N{TIGER}" * 255, "\N{PALM TREE}" * 255, "\N{CACTUS}" * 255]
    for at, name in enumerate(names):
        library.put(name, image_row({"sea": 0.5}, at=at), tenant=tenant)
    shown, cursor = list[str](), {}
    for _ in names:
        answer = await library.get("/images", tenant=tenant, limit=1, **cursor)
        shown, cursor = shown + ids(answer), {"cursor": answer["cursor"]}
    assert shown == names[::-1]
    assert cursor == {"cursor": None}


LONG_TAGS = {f"{number:04}{'x' * 251}": 0.5 for number in range(1000)}  # as many and as long as they may be


async def pages(library: Library, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    answers = [await library.get("/images", limit=1000, **parameters)]
    while answers[-1]["cursor"]:
        answers.append(await library.get("/images", limit=1000, **parameters, cursor=answers[-1]["cursor"]))
    return answers


@pytest.mark.parametrize("order", ["newest", "confidence"])
async def test_pages_of_many_long_tags(library: Library, order: str) -> None:
    """A page ends after about a megabyte; the next one goes on behind it."""
    row = image_row({"sea": 0.5} | LONG_TAGS)
    for number in range(30):
        library.put(f"i{number:02}", row, partition=number % 2)
    answers = await pages(library, tag="sea", order=order)
    assert [it for answer in answers for it in ids(answer)] == [f"i{number:02}" for number in range(30)]
    assert [len(answer["images"]) for answer in answers] == [3] * 10
    assert {answer["total"] for answer in answers} == {30}
    assert max(len(orjson.dumps(answer)) for answer in answers) < 1_200_000
    assert all(len(image["tags"]) == 1001 for answer in answers for image in answer["images"])


async def test_pages_of_long_addresses(library: Library) -> None:
    """Addresses fill a page as well."""
    for number in range(100):
        row = image_row({"sea": 0.5}, url=f"http://h/{number}?{'x' * 65_000}")
        library.put(f"i{number:02}", row)
    answers = await pages(library)
    assert [it for answer in answers for it in ids(answer)] == [f"i{number:02}" for number in range(100)]
    assert [len(answer["images"]) for answer in answers] == [15] * 6 + [10]


async def test_a_page_has_one_image_at_least(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little fits a page, the pages come to an end."""
    monkeypatch.setattr("streams.state.images.search.PAGE_CHARACTERS", 1)
    for name in "abc":
        library.put(name, image_row({"sea": 0.5}))
    assert [ids(answer) for answer in await pages(library)] == [["a"], ["b"], ["c"]]
    library.like("bob", {"sea": 1})
    assert ids(await library.get("/users/bob/feed")) == ["a"]


async def test_cursor_of_another_question(beach: Library) -> None:
    """A cursor goes with its question; limit alone may change."""
    cursor = (await beach.get("/images", any="sea,sky", limit=1))["cursor"]
    assert ids(await beach.get("/images", any="sea,sky", limit=5, cursor=cursor)) == ["b", "a"]
    problem = await beach.refused(f"/images?any=sea&limit=1&cursor={cursor}")
    assert problem["error"] == "invalid_cursor"
    assert "another question" in problem["reason"]


@pytest.mark.parametrize("rank", [-1, 2**63, 10**40])
async def test_forged_cursors_are_refused(beach: Library, rank: int) -> None:
    """A cursor that no answer can have had is a bad question, not a crash."""
    cursor = (await beach.get("/images", limit=1))["cursor"]
    owner = orjson.loads(base64.urlsafe_b64decode(cursor + "=="))[0]
    problem = await beach.refused(f"/images?cursor={encode_cursor([owner, rank, 'a', 0])}")
    assert problem["error"] == "invalid_cursor"


@pytest.mark.parametrize(
    ("question", "code", "words"),
    [
        ("order=confidence", "invalid_order", "say some in tag, all or any"),
        ("min_confidence=0.5&none=sea", "invalid_min_confidence", "say some in tag, all or any"),
        ("tag=sea&min_confidence=2", "invalid_min_confidence", "a number from 0 to 1"),
        ("tag=sea&min_confidence=nan", "invalid_min_confidence", "a number from 0 to 1"),
        ("since=last+week", "invalid_since", "ISO 8601"),
        ("all=a,,b", "invalid_all", "separated by commas"),
        ("any=" + ",".join("abcdefghijklmnopqrstu"), "invalid_any", "at most 20 names"),
        ("cursor=!", "invalid_cursor", "`cursor` of the previous answer"),
        ("tags=sea", "unknown_parameter", "known: tag, all, any, none"),
        ("untagged=yes", "invalid_untagged", "one of false, true"),
        ("limit=0", "invalid_limit", "from 1 to 1000"),
    ],
)
async def test_bad_questions(beach: Library, question: str, code: str, words: str) -> None:
    """A breach of a rule is answered with the rule."""
    problem = await beach.refused(f"/images?{question}")
    assert problem["error"] == code
    assert words in problem["reason"]


async def test_image_state(beach: Library) -> None:
    """An image's state and history name event, add-on, model and version."""
    answer = await beach.get("/images/b")
    cause = {"source": "kafka:image.uploads", "id": "image.uploads/0/2000", "type": "image.uploaded"}
    model = {"name": "m", "version": "1"}
    assert {name: answer[name] for name in ("public_id", "user_id", "version", "partition", "deleted")} == {
        "public_id": "b",
        "user_id": "bob",
        "version": 3,
        "partition": 1,
        "deleted": False,
    }
    own = {"source": "own", "confidence": None, "model": None, "rules": None, "by": None}
    found = {"source": "imagga_tagging", "confidence": 0.7, "model": model, "rules": RULES, "by": None}
    assert answer["tags"] == [
        {"tag": "dog", "sources": ["own"], "origins": [{**own, "cause": cause}]},
        {"tag": "sea", "sources": ["imagga_tagging"], "origins": [{**found, "cause": cause}]},
    ]
    assert answer["edits"] == []
    assert answer["scores"] == {"imagga_tagging": [{"tag": "sea", "confidence": 0.7}]}
    assert answer["before_rules"] == {}
    assert (answer["model"], answer["rules"], answer["cause"]) == (model, RULES, cause)
    change = {"at": "1970-01-01T00:00:02Z", "cause": cause, "model": model, "rules": RULES}
    change |= {"taggers": {"imagga_tagging": model}, "added_by": {"own": ["dog"], "imagga_tagging": ["sea"]}}
    assert answer["history"] == [{**change, "added": ["dog", "sea"], "removed": [], "by": None}]


async def test_what_a_tagger_said_before_rules_is_told(beach: Library) -> None:
    """Of add-ons of which rules made something else."""
    row = orjson.loads(image_row({"ocean": 0.7}, at=1)) | {"raw": {"imagga_tagging": [["sea", 0.7]]}}
    beach.put("ruled", orjson.dumps(row))
    answer = await beach.get("/images/ruled")
    assert answer["scores"] == {"imagga_tagging": [{"tag": "ocean", "confidence": 0.7}]}
    assert answer["before_rules"] == {"imagga_tagging": [{"tag": "sea", "confidence": 0.7}]}


async def test_image_names_of_all_kinds(beach: Library) -> None:
    """A public id may hold slashes, if they are encoded; a tenant's image is not another's."""
    assert (await beach.get("/images/c%2F1%2C%20or%202"))["url"] is None
    assert (await beach.get("/images/d?tenant=t"))["user_id"] == "ann"
    problem = await beach.refused("/images/d", 404)
    assert problem == {
        "error": "unknown_image",
        "reason": "no image 'd' is known, and deleted ones only for a while; /images finds those there are",
    }


async def test_deleted_image(beach: Library) -> None:
    """A deleted image is found no more, but its state says who deleted it."""
    beach.put("a", deleted_row())
    assert ids(await beach.get("/images")) == ["c/1, or 2", "b"]
    answer = await beach.get("/images/a")
    assert (answer["deleted"], answer["tags"], answer["model"], answer["rules"]) == (True, [], None, None)
    assert answer["history"][-1]["cause"]["type"] == "image.deleted"


async def test_image_in_two_partitions(beach: Library) -> None:
    """Of two rows of one public id the newest is told."""
    beach.put("a", image_row({"cat": 0.9}, at=9_000), partition=1)
    answer = await beach.get("/images/a")
    assert (answer["partition"], answer["tags"][0]["tag"]) == (1, "cat")


async def test_related_tags(library: Library) -> None:
    """Tags that come together are told with their measures; rare pairs are left out."""
    for number in range(8):
        tags = {"sea": 0.9, "sky": 0.5} if number < 5 else {"sky": 0.5, "dog": 0.4}
        library.put(f"i{number}", image_row(tags | ({"boat": 0.3} if number < 2 else {})))
    answer = await library.get("/trends/tags/sea/related", min_both=2)
    assert (answer["tag"], answer["images"], answer["all_images"]) == ("sea", 5, 8)
    assert answer["related"] == [
        {"tag": "boat", "both": 2, "support": 0.25, "confidence": 0.4, "lift": 1.6},
        {"tag": "sky", "both": 5, "support": 0.625, "confidence": 1.0, "lift": 1.0},
    ]
    assert [it["tag"] for it in (await library.get("/trends/tags/sea/related"))["related"]] == ["sky"]
    by_both = await library.get("/trends/tags/sea/related", min_both=1, order="both", limit=1)
    assert [it["tag"] for it in by_both["related"]] == ["sky"]
    assert (await library.get("/trends/tags/Himmel/related"))["tag"] == "sky"
    assert (await library.refused("/trends/tags/cat/related", 404))["error"] == "unknown_tag"


NOT_THERE = [
    "/images/koala",
    "/trends/tags/cat/related",
    "/users/zoe/interests",
    "/users/zoe/similar",
    "/users/zoe/feed",
]


@pytest.mark.parametrize("path", NOT_THERE)
async def test_what_is_not_loaded_is_not_denied(beach: Library, path: str) -> None:
    """503, which partitions are missing and when to come back; 404 once the whole state is here."""
    beach.fresh.complete = False
    for loading, lacks in (([1, 2], "partitions 1, 2 are"), ([2], "partition 2 is"), ([], "the state is")):
        beach.fresh.loading = loading
        async with beach.client.get(path) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
            problem = await answer.json()
        assert problem == {
            "error": "loading",
            "reason": f"not found so far, but {lacks} still being loaded; ask again in a moment",
        }
    assert (await beach.get("/images/a"))["complete"] is False
    beach.fresh.complete = True
    assert (await beach.refused(path, 404))["error"].startswith("unknown_")


async def test_a_tag_that_is_found_while_its_partition_is_loaded(
    beach: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is what was loaded when it was looked for: the rest may come meanwhile."""

    def come(*_: object, **__: object) -> None:
        beach.fresh.complete = True

    beach.fresh.complete = False
    monkeypatch.setattr("streams.web.api.images.related_tags", come)
    assert (await beach.refused("/trends/tags/cat/related", 503))["error"] == "loading"


async def test_interests(library: Library) -> None:
    """Weights decay by the half-life that is asked for; shares are of the whole profile."""
    library.like("ann", {"sea": 2, "sky": 1})
    library.like("ann", {"sea": 4}, day=TODAY - 14, partition=1)
    answer = await library.get("/users/ann/interests", limit=1)
    assert (answer["half_life_days"], answer["total_tags"]) == (14.0, 2)
    assert answer["interests"] == [{"tag": "sea", "weight": 4.0, "share": 0.8, "images": 6}]
    answer = await library.get("/users/ann/interests", half_life_days=7)
    assert [it["weight"] for it in answer["interests"]] == [3.0, 1.0]
    for path in ("interests", "similar", "feed"):
        assert (await library.refused(f"/users/zoe/{path}", 404))["error"] == "unknown_user"


async def test_similar_users_say_their_age(library: Library) -> None:
    """Users who share interests come with score and shared tags; the answer says how old the others are."""
    library.like("ann", {"sea": 3, "sky": 4})
    library.like("bob", {"sea": 1})
    library.like("cem", {"dog": 1})
    answer = await library.get("/users/ann/similar")
    assert answer["users"] == [{"user_id": "bob", "score": 0.6, "shared_tags": ["sea"]}]
    assert answer["profiles_age_seconds"] == 0
    library.now += 30
    library.like("ann", {"dog": 1})
    answer = await library.get("/users/ann/similar")
    assert answer["profiles_age_seconds"] == 30
    assert [it["user_id"] for it in answer["users"]] == ["cem"]  # the user's own profile is of now


async def test_feed(library: Library) -> None:
    """Images of others come by weight times confidence, say why, and leave out what was seen."""
    library.like("ann", {"sea": 3, "sky": 1})
    library.put("own", image_row({"sea": 1.0}, user="ann"))
    library.put("best", image_row({"sea": 0.8, "sky": 0.4}, user="bob"))
    library.put("good", image_row({"sky": 0.9, "dog": 0.9}, user=None, at=TODAY * DAY_MS), partition=1)
    library.put("none", image_row({"dog": 0.9}, user="bob"))
    answer = await library.get("/users/ann/feed")
    assert [(it["public_id"], it["score"], it["because"]) for it in answer["images"]] == [
        ("best", 0.7, ["sea", "sky"]),
        ("good", 0.225, ["sky"]),
    ]
    assert "newest" in answer["method"]
    assert ids(await library.get("/users/ann/feed", seen="best")) == ["good"]


async def test_a_feed_of_many_long_tags(library: Library) -> None:
    """It ends after about a megabyte; who has seen that gets more."""
    library.like("ann", {"sea": 1})
    row = image_row({"sea": 0.5} | LONG_TAGS, user="bob")
    for number in range(20):
        library.put(f"i{number:02}", row)
    first = ids(await library.get("/users/ann/feed", limit=1000))
    assert first == [f"i{number:02}" for number in range(3)]
    seen = "&".join(f"seen={name}" for name in first)
    assert ids(await library.get(f"/users/ann/feed?limit=1000&{seen}")) == [
        f"i{number:02}" for number in range(3, 6)
    ]


async def test_a_feed_of_long_addresses(library: Library) -> None:
    """Addresses fill it as well."""
    library.like("ann", {"sea": 1})
    for number in range(100):
        library.put(str(number), image_row({"sea": 0.5}, user="bob", url=f"http://h/{'x' * 65_000}"))
    assert len(ids(await library.get("/users/ann/feed", limit=1000))) == 15


async def test_routes_are_documented(library: Library) -> None:
    """The OpenAPI document has each route with its parameters."""
    paths = (await library.get("/openapi.json"))["paths"]
    assert {
        "/images",
        "/images/{public_id}",
        "/trends/tags/{tag}/related",
        "/users/{user_id}/interests",
        "/users/{user_id}/similar",
        "/users/{user_id}/feed",
    } <= paths.keys()
    names = [parameter["name"] for parameter in paths["/images"]["get"]["parameters"]]
    assert names[:4] == ["tag", "all", "any", "none"]


async def test_images_that_look_alike(library: Library) -> None:
    """Nearest first, in all partitions, of one tenant; what is deleted is not among them."""
    library.put("a", image_row(phash="00000000000000ff"))
    library.put("copy", image_row(phash="00000000000000ff", url=None), partition=1)
    library.put("near", image_row(phash="00000000000000f0"))
    library.put("far", image_row(phash="ffffffff000000ff"))
    library.put("theirs", image_row(phash="00000000000000ff"), tenant="t")
    library.put("plain", image_row())
    found = await library.get("/images/a/duplicates")
    assert (found["phash"], found["total"]) == ("00000000000000ff", 2)
    assert found["images"] == [
        {"public_id": "copy", "url": None, "distance": 0},
        {"public_id": "near", "url": "http://h/1.jpg", "distance": 4},
    ]
    assert ids(await library.get("/images/a/duplicates", limit=1)) == ["copy"]
    assert ids(await library.get("/images/a/duplicates", distance=32)) == ["copy", "near", "far"]
    library.put("copy", deleted_row(), partition=1)
    assert ids(await library.get("/images/a/duplicates")) == ["near"]
    plain = await library.get("/images/plain/duplicates")
    assert (plain["phash"], plain["total"], plain["images"]) == (None, 0, [])
    assert (await library.refused("/images/nothing/duplicates", 404))["error"] == "unknown_image"
    assert (await library.refused("/images/copy/duplicates", 404))["error"] == "unknown_image"
    assert (await library.refused("/images/a/duplicates?distance=33"))["error"] == "invalid_distance"


async def test_images_that_show_something_similar(library: Library) -> None:
    """The most similar first, in all partitions, of one tenant; what is deleted is not among them."""

    def row(*numbers: int) -> bytes:
        (text,) = encode(np.array([numbers * 16], np.float32))
        return image_row(phash=f"{abs(hash(numbers)):016x}"[-16:], embedding=text)

    library.put("a", row(1, 2, 3, 4))
    library.put("same", row(1, 2, 3, 4), partition=1)
    library.put("near", row(1, 2, 3, 3))
    library.put("far", row(5, 1, 0, 1))
    library.put("opposite", row(-1, -2, -3, -4))
    library.put("theirs", row(1, 2, 3, 4), tenant="t")
    library.put("plain", image_row(phash="0" * 16))
    found = await library.get("/images/a/similar")
    assert ids(found) == ["same", "near", "far"]
    assert found["images"][0] == {"public_id": "same", "url": "http://h/1.jpg", "similarity": 1.0}
    assert 0.9 < found["images"][1]["similarity"] < 1
    assert found["embedding"] == (await library.get("/images/same/similar"))["embedding"]
    assert ids(await library.get("/images/a/similar", limit=1)) == ["same"]
    library.put("same", deleted_row(), partition=1)
    assert ids(await library.get("/images/a/similar")) == ["near", "far"]
    plain = await library.get("/images/plain/similar")
    assert (plain["embedding"], plain["images"]) == (None, [])
    assert (await library.refused("/images/nothing/similar", 404))["error"] == "unknown_image"
    assert (await library.refused("/images/same/similar", 404))["error"] == "unknown_image"


async def test_groups_of_images_that_look_alike(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest first; an image that is like no other is in none. All of it is done off the event loop."""
    looked, place = set[threading.Thread](), Hashes.place

    def noted(self: Hashes, slot: int, number: int) -> Place | None:
        looked.add(threading.current_thread())
        return place(self, slot, number)

    monkeypatch.setattr(Hashes, "place", noted)
    for name, number in {"a": 0, "b": 1, "c": 3, "x": 15 << 60, "y": 15 << 60, "alone": 2**40 - 1}.items():
        library.put(name, image_row(phash=f"{number:016x}"))
    found = await library.get("/duplicates")
    assert found["total"] == 2
    assert [(group["count"], ids(group)) for group in found["groups"]] == [
        (3, ["a", "b", "c"]),
        (2, ["x", "y"]),
    ]
    assert threading.main_thread() not in looked
    exact = await library.get("/duplicates", distance=0)
    assert [ids(group) for group in exact["groups"]] == [["x", "y"]]
    assert len((await library.get("/duplicates", limit=1))["groups"]) == 1
    assert (await library.refused("/duplicates?distance=4"))["error"] == "invalid_distance"


async def found(library: Library, query: str) -> list[str]:
    response = await library.client.get(f"/images?{query}")
    answer: Any = await response.json()
    assert response.status == 200, answer
    return sorted(image["public_id"] for image in answer["images"])


async def test_lists_of_tags(library: Library) -> None:
    """Blanks around commas do not count, one behind a backslash is within, and lists may come again."""
    library.put("a", image_row({"sea": 0.9, "sky, blue": 0.6}, at=1_000))
    library.put("b", image_row({"sea": 0.9}, at=2_000))
    assert await found(library, "all=sea%20,%20sky%5C,%20blue") == ["a"]
    assert await found(library, "all=sea&all=sky%5C,%20blue") == ["a"]
    assert await found(library, "any=nothing&any=sky%5C,%20blue,none") == ["a"]
    assert await found(library, "all=sea&none=cat&none=sky%5C,%20blue") == ["b"]
    refused = await library.refused("/images?" + "&".join(f"all=t{n}" for n in range(20)) + "&tag=x")
    assert refused["error"] == "invalid_all"


async def test_spellings_are_one(library: Library) -> None:
    """Case and composition do not matter where tags are matched; images keep theirs."""
    library.put("a", image_row({"Café": 0.9}, at=1_000))
    library.put("b", image_row({"café": 0.8}, at=2_000))
    library.put("c", image_row({"cafe\u0301": 0.7}, at=3_000))
    library.put("d", image_row({"tea": 0.7}, at=4_000))
    for name in ("CAFÉ", "café", "cafe%CC%81"):
        assert await found(library, f"tag={name}") == ["a", "b", "c"]
        assert await found(library, f"none={name}") == ["d"]
        assert await found(library, f"any={name},tea") == ["a", "b", "c", "d"]


async def test_images_without_a_tag(library: Library) -> None:
    """They are found by `untagged=true`."""
    library.put("a", image_row({"sea": 0.9}, at=1_000))
    library.put("b", image_row({}, at=2_000))
    assert await found(library, "untagged=true") == ["b"]
    assert await found(library, "untagged=false") == ["a", "b"]
    assert (await library.refused("/images?untagged=maybe"))["error"] == "invalid_untagged"


async def test_public_ids_with_slashes(library: Library) -> None:
    """A name's slashes may be written as they are; the routes below a name stay what they are."""
    library.put("2026/11/a b.jpg", image_row({"sea": 0.9}, at=1_000))
    for path in ("/images/2026/11/a%20b.jpg", "/images/2026%2F11%2Fa%20b.jpg"):
        assert (await library.get(path))["public_id"] == "2026/11/a b.jpg"
    about = await library.get("/images/2026/11/a%20b.jpg/duplicates")
    assert (about["complete"], "history" in about) == (True, False)
    refused = await library.refused("/users/a/b/interests", 404)
    assert "'a/b'" in refused["reason"]


async def test_answers_as_tables(library: Library) -> None:
    """`format=csv` gives the list, its cursor in a header; what a spreadsheet would run is quoted."""
    library.put("a", image_row({"=1+1": 0.9, "sky": 0.6}, at=1_000, user="ann"))
    library.put("b", image_row({"sea": 0.9}, at=2_000))
    response = await library.client.get("/images?format=csv&limit=1")
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["tagstream-complete"] == "true"
    first = list(csv.DictReader(io.StringIO(await response.text())))
    cursor = response.headers["tagstream-cursor"]
    response = await library.client.get(f"/images?format=csv&limit=1&cursor={cursor}")
    second = list(csv.DictReader(io.StringIO(await response.text())))
    assert [row["public_id"] for row in first + second] == ["b", "a"]
    assert second[0]["tags"] == "'=1+1;sky"
    assert second[0]["uploaded_at"] == "1970-01-01T00:00:01Z"
    assert (await library.refused("/images?format=xml"))["error"] == "invalid_format"
    assert (await library.refused("/images/a?format=csv"))["error"] == "invalid_format"


async def test_users_of_a_tag(library: Library) -> None:
    """Who likes cats: by how many images they have of them, or by how much of their interests that is."""
    for number in range(3):
        library.put(f"a{number}", image_row({"cat": 0.9, "sea": 0.8}, at=1_000, user="ann"))
    library.put("b", image_row({"Cat": 0.9}, at=1_000, user="bob"))
    library.put("c", image_row({"sea": 0.9}, at=1_000, user="cleo"))
    library.like("ann", {"cat": 3, "sea": 3})
    library.like("bob", {"Cat": 1})
    library.like("cleo", {"sea": 1})
    answer = await library.get("/tags/CAT/users", by="uploads")
    assert [(user["user_id"], user["images"]) for user in answer["users"]] == [("ann", 3), ("bob", 1)]
    answer = await library.get("/tags/sea/users")
    assert [(user["user_id"], round(user["score"], 2)) for user in answer["users"]] == [
        ("cleo", 1.0),
        ("ann", 0.71),
    ]
    assert (await library.refused("/tags/dog/users", 404))["error"] == "unknown_tag"


async def test_tags_of_a_user_in_a_window(library: Library) -> None:
    """The tags of the user's images in a stretch of time, most frequent first."""
    now = TODAY * DAY * 1000
    library.put("a", image_row({"sea": 0.9, "sky": 0.8}, at=now - 3_600_000, user="ann"))
    library.put("b", image_row({"sea": 0.9}, at=now - 7_200_000, user="ann"))
    library.put("c", image_row({"dog": 0.9}, at=now - 30 * DAY * 1000, user="ann"))
    answer = await library.get("/users/ann/tags", window="24h")
    assert (answer["images"], answer["tags"]) == (
        2,
        [{"tag": "sea", "images": 2}, {"tag": "sky", "images": 1}],
    )
    assert (await library.get("/users/ann/tags", window="all", limit=1))["images"] == 3
    assert (await library.refused("/users/bob/tags", 404))["error"] == "unknown_user"


async def test_lists_of_users_and_tenants(library: Library) -> None:
    """By name, page by page, with how many images each has."""
    for user in ("bob", "ann", "amy"):
        library.put(f"of-{user}", image_row({"sea": 0.9}, at=1_000, user=user))
    library.put("nobody's", image_row({"sea": 0.9}, at=1_000, user=None))
    library.put("other", image_row({"sea": 0.9}, at=1_000, user="zoe"), tenant="acme")
    first = await library.get("/users", limit=2)
    second = await library.get("/users", limit=2, cursor=first["cursor"])
    assert [user["user_id"] for user in first["users"] + second["users"]] == ["amy", "ann", "bob"]
    assert second["cursor"] is None
    assert [user["user_id"] for user in (await library.get("/users", prefix="a"))["users"]] == ["amy", "ann"]
    assert (await library.get("/tenants"))["tenants"] == [
        {"tenant": "", "images": 4, "users": 3},
        {"tenant": "acme", "images": 1, "users": 1},
    ]
    assert (await library.refused("/images?tenant=*"))["error"] == "invalid_tenant"
