"""`tagstream trends`, `images` and `users`: what they ask, what they print, what they say else."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click
import httpx
import msgspec
import numpy as np
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send
from rich.console import Console, RenderableType
from support.fakes import RULES, edit, record, tagged, upload
from support.web_client import query_app, serving

from model.embedding.codes import encode
from schemas.answers.images import FoundImages
from schemas.answers.trends import Answer, PartitionState, Window
from schemas.topics import TABLES
from schemas.uploads import UploadType
from streams.cli.ask.framing import warning_line
from streams.cli.ask.image_views import images_view
from streams.cli.ask.query_client import NoAnswerError, QueryClient
from streams.cli.charts import bar, printable, sparkline
from streams.cli.main import main
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Deleted, Done, Edited, Outcome
from streams.state.images.hashes import HashIndex
from streams.state.images.index import ImageIndex
from streams.state.trends.index import TrendIndex
from streams.state.users.index import UserIndex
from streams.state.users.similar import AllNeighbours
from streams.web.api.duplicates import DuplicateRoutes
from streams.web.api.images import ImageRoutes
from streams.web.api.parameters import wire_name
from streams.web.api.people import PeopleRoutes
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import Route
from streams.web.api.trends import TrendRoutes
from streams.web.api.users import UserRoutes

NOW = 1_795_521_600  # 2026-11-24T12:00:00Z
HOUR = 3600
NOBODY = "http://127.0.0.1:1"  # nothing listens there


@dataclass
class Fresh:
    """A state as the replica tells of it."""

    states: list[PartitionState] = field(
        default_factory=lambda: [
            PartitionState(
                0, ready=True, next_offset=40, lag=0, event_time=datetime(2026, 11, 24, 11, tzinfo=UTC)
            ),
            PartitionState(1, ready=True, next_offset=3, lag=1200),
        ]
    )
    complete: bool = True
    behind: list[int] = field(default_factory=list)

    def as_of(self) -> list[PartitionState]:
        return self.states


@dataclass
class Idle:
    """A worker without partitions."""

    status: str = "ready"
    units: dict[int, Any] = field(default_factory=dict)
    rules: None = None


class World:
    """The real indexes and routes, fed by real folds of events in memory."""

    def __init__(self) -> None:
        self.fresh = Fresh()
        self.rows: dict[str, dict[str, bytes]] = {table: {} for table in TABLES}
        trends, images, users = TrendIndex({0: self}), ImageIndex(), UserIndex()
        hashes = HashIndex()
        self._indexes = (trends, images, users, hashes)
        everybody = AllNeighbours(users, lambda: NOW)
        self.routes: list[Route] = [
            *TrendRoutes(trends, self.fresh, lambda: NOW, RetainedBuckets(RULES.retention, {})).routes(),
            *ImageRoutes(images, {0: self}, self.fresh).routes(),
            *DuplicateRoutes(hashes, {0: self}, self.fresh).routes(),
            *UserRoutes(everybody, images, {0: self}, self.fresh, lambda: NOW).routes(),
            *PeopleRoutes(everybody, images, self.fresh, lambda: NOW).routes(),
        ]
        self.asked: list[Request[Any, Any, Any]] = []
        self._events = 0

    def see(
        self,
        public_id: str,
        hours_ago: float,
        found: dict[str, float],
        user: str | None = "ann",
        *,
        phash: str | None = None,
        embedding: str | None = None,
        **data: Any,  # noqa: ANN401 - fields of the event
    ) -> None:
        """Fold one event: no tags mean a deletion."""
        self._events += 1
        at = int((NOW - hours_ago * HOUR) * 1000)
        kind = UploadType.UPLOADED if found else UploadType.DELETED
        event = upload(public_id, f"event-{self._events}", at=at, kind=kind, user_id=user, **data)
        looked = dataclasses.replace(tagged(event, **found), phash=phash, embedding=embedding)
        self._fold(looked if found else Deleted(event))

    def edit(self, public_id: str, **data: Any) -> None:  # noqa: ANN401 - fields of the event
        """Fold a person's edit."""
        self._events += 1
        event = edit(f"event-{self._events}", public_id=public_id, at=NOW * 1000, **data)
        self._fold(Edited(event, read_at=NOW * 1000))

    def _fold(self, outcome: Outcome) -> None:
        changes = Changes(self.rows)
        fold(changes, Done(record(self._events, timestamp=NOW * 1000), outcome), RULES)
        for table, key, value in changes.encoded():
            old = self.rows[table].pop(key, None)
            if value is not None:
                self.rows[table][key] = value
            for index in self._indexes:
                index.changed(0, table, key, old, value)

    @property
    def app(self) -> ASGIApp:
        app = query_app(Idle(), self.routes)

        async def note(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.asked.append(Request(scope))
            await app(scope, receive, send)

        return note


def busy_day() -> World:
    """koala: 6 images of 3 users in the last hours, 1 two days ago; sea on 4 of bob's and cid's."""
    world = World()
    for number, user in enumerate(("ann", "bob", "cid", "ann", "bob", "cid")):
        tags = {"koala": 0.9, "tree": 0.6 + number / 100, "mammal": 0.4}
        world.see(f"koala-{number}", number + 1, tags, user)
    world.see("koala-old", 48, {"koala": 0.95}, "dan")
    for number, user in enumerate(("bob", "bob", "cid", "cid")):
        world.see(f"holiday/sea {number}", 3, {"sea": 0.8, "sky/cloud": 0.7}, user, tags=["holiday"])
    world.see("gone", 5, {"sea": 0.9}, "eve")
    world.see("gone", 4, {}, "eve")
    world.see("zoo-1", 2, {"koala": 0.7, "zoo": 0.9}, None)
    return world


@pytest.fixture
def world() -> World:
    return busy_day()


@pytest.fixture
async def api(world: World) -> AsyncIterator[str]:
    async with serving(world.app) as port:
        yield f"http://127.0.0.1:{port}/"


async def say(api: str, *words: str) -> Result:
    """Run a command in a thread, while this one's loop serves the API."""
    environment = {"TAGSTREAM_API": api, "COLUMNS": "140"}
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)


async def lines(api: str, *words: str) -> list[str]:
    """What a command prints, spaces apart and without its last line, the freshness."""
    result = await say(api, *words)
    assert result.exit_code == 0, result.stderr
    shown = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert shown[-1] == "counted up to 2026-11-24 11:00:00 UTC, 1,200 uploads wait"
    return shown[:-1]


def printed(view: RenderableType) -> str:
    console = Console(width=140, highlight=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def commands() -> dict[str, click.Command]:
    """The commands that ask, by their words."""
    found: dict[str, click.Command] = {}
    ask_nothing = ("images edit", "users forget")
    for group_name in ("trends", "images", "users"):
        group = main.get_command(click.Context(main), group_name)
        assert isinstance(group, click.Group)
        found |= {f"{group_name} {name}": command for name, command in group.commands.items()}
    return {words: command for words, command in found.items() if words not in ask_nothing}


ASKED = {
    "/trends/top": "trends top",
    "/trends/rising": "trends rising",
    "/trends/tags/{tag}": "trends show",
    "/trends/series": "trends lines",
    "/trends/compare": "trends compare",
    "/trends/tags/{tag}/related": "trends related",
    "/tags": "trends tags",
    "/images": "images list",
    "/images/{public_id}": "images show",
    "/images/{public_id}/duplicates": "images duplicates",
    "/images/{public_id}/similar": "images similar",
    "/duplicates": "images groups",
    "/tags/{tag}/users": "users of",
    "/users/{user_id}/tags": "users tags",
    "/users": "users list",
    "/tenants": "users tenants",
    "/users/{user_id}/interests": "users interests",
    "/users/{user_id}/similar": "users similar",
    "/users/{user_id}/feed": "users feed",
}


def test_every_question_has_a_command() -> None:
    """Each route has a command, and each of its parameters an option or argument; there are no others."""
    routes = World().routes
    assert ASKED.keys() == {route.path for route in routes}
    assert {*ASKED.values(), "trends overview"} == commands().keys()
    for route in routes:
        known = {parameter.name for parameter in commands()[ASKED[route.path]].params}
        assert known == {wire_name(field) for field in route.parameters} | {"api", "token", "as_json"}


@pytest.mark.parametrize("words", commands())
def test_help(words: str) -> None:
    """Each option explains itself, with its default."""
    result = CliRunner().invoke(main, [*words.split(), "--help"])
    assert result.exit_code == 0
    assert "TAGSTREAM_API" in result.stdout
    for parameter in commands()[words].params:
        assert not isinstance(parameter, click.Option) or parameter.help


@given(st.lists(st.integers(0, 10**9)), st.integers(1, 30))
def test_sparkline_law(counts: list[int], width: int) -> None:
    """At most so many characters; nothing is the lowest, anything is higher, the greatest is the highest."""
    whole = sparkline(counts)
    assert len(whole) == len(counts)
    assert all((level == "▁") == (count == 0) for level, count in zip(whole, counts, strict=True))
    assert not any(counts) or whole[counts.index(max(counts))] == "█"
    short = sparkline(counts, width)
    assert len(short) <= width
    assert ("▁" * len(short) == short) == (not any(counts))


def test_sparkline() -> None:
    """Heights start from zero; a long series is drawn by means, the newest stretch whole."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([700, 700]) == "██"
    assert sparkline([9, 0, 0, 2, 2], 3) == "█▁▃"
    assert sparkline([1], top=7) == "▂"
    assert sparkline([], 5) == ""


@given(st.floats(0, 1e9), st.floats(1e-9, 1e9), st.integers(1, 40))
def test_bar_law(value: float, top: float, width: int) -> None:
    """Never longer than its width, never nothing for something."""
    drawn = bar(value, top, width)
    assert len(drawn) <= width
    assert bool(drawn) == (value > 0)


def test_bar() -> None:
    """Whole characters and eighths of one."""
    assert [bar(value, 8, 2) for value in (0, 1, 4, 6, 8)] == ["", "▎", "█", "█▌", "██"]


def test_names_command_no_terminal() -> None:
    """Escape sequences and turned writing become visible; other alphabets and emoji stay."""
    assert printable("a\x1b]0;b\x07\u202ec\n") == "a�]0;b��c�"
    assert printable("grüne wiese 緑 🐨 👩\u200d👩") == "grüne wiese 緑 🐨 👩\u200d👩"


async def test_overview(api: str, world: World) -> None:
    """Without a command: top and rising of 24 hours, each tag with a sparkline."""
    shown = await lines(api, "trends")
    assert shown[0] == "Top tags, 24h: 2026-11-23 13:00 to 2026-11-24 13:00 UTC"
    assert "koala 7 ████████████████████ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▅▅▅▅█▅▁" in shown
    assert "zoo 1 ██▉ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁" in shown
    assert "Rising tags, 24h: 2026-11-23 13:00 to 2026-11-24 13:00 UTC" in shown
    assert "tree 6 1.0 25.0 62% 3 ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁██████▁" in shown
    assert [request.scope["query_string"].decode() for request in world.asked[:2]] == ["limit=10", "limit=10"]


async def test_overview_with_options(api: str, world: World) -> None:
    """Its options need no command either; as JSON it is two answers, and no sparkline is asked for."""
    result = await say(api, "trends", "--window", "7d", "--limit", "1", "--json")
    top, rising = (orjson.loads(line) for line in result.stdout.splitlines())
    assert top["tags"] == [{"tag": "koala", "count": 8}]
    assert top["window"]["name"] == rising["window"]["name"] == "7d"
    assert len(world.asked) == 2


async def test_top(api: str) -> None:
    """By uploaders the bars are of uploaders; sparklines of all add-ons do not stand beside one's counts."""
    shown = await lines(api, "trends", "top", "--window", "7d", "--by", "uploaders", "--limit", "3")
    assert shown[3:5] == [
        "koala 8 4 ████████████████████ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▁▁▁▁▁█",
        "tree 6 3 ███████████████ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█",
    ]
    assert shown[-1] == "uploaders are estimates, standard error 3.3%"
    assert "holiday 4 ████████████████████" in await lines(api, "trends", "top", "--add-on", "own")
    assert "no tags; a longer --window may have some" in await lines(api, "trends", "--window", "2020-01-01")


async def test_rising(api: str) -> None:
    """What it is held against, and how the floors are lowered where nothing rises."""
    shown = await lines(api, "trends", "rising", "--baseline", "24h")
    assert shown[0] == "Rising tags, 24h: 2026-11-23 13:00 to 2026-11-24 13:00 UTC"
    assert shown[-2].startswith(
        "held against 24h: 2026-11-22 13:00 to 2026-11-23 13:00 UTC; score: (observed"
    )
    empty = await lines(api, "trends", "rising", "--least-uses", "50")
    assert "--least-uses and --least-uploaders" in empty[1]


async def test_show(api: str) -> None:
    """A row per day with its hours in their places, totals, the split by add-on."""
    result = await say(api, "trends", "show", "koala", "--window", "7d")
    assert "2026-11-22       1  ▁▁▁▁▁▁▁▁▁▁▁▁▅▁▁▁▁▁▁▁▁▁▁▁" in result.stdout
    assert "2026-11-17       0               ▁▁▁▁▁▁▁▁▁▁▁" in result.stdout
    assert "8 images by about 4 uploaders; from imagga_tagging 8" in result.stdout
    assert "first seen 2026-11-22 12:00, last seen 2026-11-24 11:00 UTC" in result.stdout
    everything = await lines(api, "trends", "show", "koala", "--window", "all")
    assert "2026-11 8 ▂▁█" in everything
    minutes = await lines(api, "trends", "show", "koala", "--window", "2026-11-24T10")
    assert minutes[3:5] == [f"2026-11-24 10:00 2 █{'▁' * 29}", f"2026-11-24 10:30 0 {'▁' * 30}"]


@pytest.mark.parametrize("width", [1, 10])
async def test_hopeless_terminals(api: str, width: int) -> None:
    """Unreadable, but no traceback."""
    environment = {"TAGSTREAM_API": api, "COLUMNS": str(width)}
    for words in ("trends", "trends show koala", "images", "users ann"):
        result = await asyncio.to_thread(CliRunner().invoke, main, words.split(), env=environment)
        assert result.exit_code == 0, result.exception


@pytest.mark.parametrize("width", [80, 60])
async def test_narrow_terminals(api: str, width: int) -> None:
    """Charts give way: no line is wider than the terminal, and no figure or name is cut."""
    for words, needed in (
        ("trends", "holiday 4 "),
        ("trends compare", "koala 7 "),
        ("images", "koala-0 2026-11-24 "),
    ):
        environment = {"TAGSTREAM_API": api, "COLUMNS": str(width)}
        result = await asyncio.to_thread(CliRunner().invoke, main, words.split(), env=environment)
        assert max(map(len, result.stdout.splitlines())) <= width
        assert any(" ".join(line.split()).startswith(needed) for line in result.stdout.splitlines())


async def test_compare(api: str) -> None:
    """Both windows are named, both counts have bars of one scale, a tag without a past is new."""
    words = ("--a", "2026-11-24T11", "--b", "2026-11-22", "--tag", "koala", "--tag", "tree")
    shown = await lines(api, "trends", "compare", *words)
    assert shown[0].startswith(
        "a is 2026-11-24T11: 2026-11-24 11:00 to 2026-11-24 12:00 UTC; b is 2026-11-22: "
    )
    assert shown[3:5] == [
        "koala 1 ████████████████████ 1 ████████████████████ 24.00",
        "tree 1 ████████████████████ 0 new",
    ]


async def test_related(api: str) -> None:
    """Tags that come together, with the size of what they are counted in."""
    shown = await lines(api, "trends", "related", "koala", "--min-both", "1")
    assert shown[0] == "koala: on 8 of 12 images, together with"
    assert shown[3] == "tree 6 50.0% 75.0% 1.50 ████████████████████"
    assert "--min-both 1" in (await lines(api, "trends", "related", "zoo"))[1]


async def test_pages(api: str) -> None:
    """The cursor of the next page is printed, and leads there."""
    first = await lines(api, "trends", "tags", "--limit", "2")
    assert first[3:5] == ["holiday 4 ██████████", "koala 8 ████████████████████"]
    cursor = first[-1].removeprefix("more with --cursor ")
    assert (await lines(api, "trends", "tags", "--limit", "2", "--cursor", cursor))[3].startswith("sea 4")
    words = ("images", "--tag", "holiday", "--limit", "3")
    cursor = (await lines(api, *words))[-1].removeprefix("more with --cursor ")
    assert (await lines(api, *words, "--cursor", cursor))[3].startswith("holiday/sea 3")


async def test_images(api: str, world: World) -> None:
    """Every tag of --tag and --all, one of --any, none of --none; lists may be said in parts."""
    shown = await lines(api, "images")
    assert shown[0] == "12 images, all time"
    assert shown[3] == "koala-0 2026-11-24 11:00 ann koala 0.90 tree 0.60"
    words = (
        "--tag",
        "koala",
        "--any",
        "zoo,sea",
        "--any",
        "tree",
        "--none",
        "zoo",
        "--min-confidence",
        "0.64",
    )
    shown = await lines(api, "images", *words, "--since", "2026-11-24")
    assert [line.split()[0] for line in shown[3:]] == ["koala-4", "koala-5"]
    assert shown[0] == "2 images, range: 2026-11-24 00:00 to now UTC"
    assert world.asked[-1].query_params.getall("any") == ["zoo,sea,tree"]


async def test_images_that_look_alike(api: str, world: World) -> None:
    """Nearest first, with the bits that differ; and groups, the largest first."""
    for name, phash in {
        "one": "00000000000000ff",
        "copy": "00000000000000ff",
        "near": "00000000000000f8",
    }.items():
        world.see(name, 1, {"sea": 0.9}, phash=phash)
    shown = await lines(api, "images", "duplicates", "one")
    assert shown[0] == "one: 2 images like it"
    assert [line.split()[:2] for line in shown[3:]] == [["copy", "0"], ["near", "3"]]
    assert (await lines(api, "images", "duplicates", "koala-0"))[0].startswith(
        "koala-0: it has no perceptual"
    )
    shown = await lines(api, "images", "groups")
    assert shown[0] == "1 group of images that look alike"
    assert shown[3].split()[:2] == ["3", "copy"]


async def test_images_that_show_something_similar(api: str, world: World) -> None:
    """The most similar first; of an image that nobody looked at it is said that it has no embedding."""
    for place, name in enumerate(("one", "like", "unlike")):
        (text,) = encode(np.array([[4, 4 - place] * 32], np.float32))
        world.see(name, 1, {"sea": 0.9}, phash=f"{place:016x}", embedding=text)
    shown = await lines(api, "images", "similar", "one")
    assert shown[0] == "one: 2 images most like it"
    assert [line.split()[0] for line in shown[3:]] == ["like", "unlike"]
    assert (await lines(api, "images", "similar", "koala-0"))[0].startswith("koala-0: it has no embedding")


def test_wanted_tags_come_first() -> None:
    """Of many tags those that were asked for are shown, whatever their confidence."""
    world = World()
    world.see("busy", 1, {f"tag{number}": 0.9 for number in range(12)} | {"rare": 0.51})
    (route,) = (route for route in world.routes if route.path == "/images")
    answer = asyncio.run(_answer(route, FoundImages))
    assert "tag11" not in printed(images_view(answer))
    assert "rare 0.51  tag0 0.90" in printed(images_view(answer, {"rare"}))
    assert "tag7 0.90 and 5 more" in " ".join(printed(images_view(answer)).split())


async def _answer(route: Route, kind: type[msgspec.Struct]) -> Any:  # noqa: ANN401
    """An answer as it comes out at the other end of the wire."""
    return msgspec.json.decode(msgspec.json.encode(await route.handler(route.read({}))), type=kind)


async def test_image(api: str) -> None:
    """State, what each add-on said with what was assigned, and the history with its events."""
    shown = await lines(api, "images", "show", "holiday/sea 0")
    assert shown[0] == "holiday/sea 0"
    assert "tags holiday, sea, sky/cloud" in shown
    assert "imagga_tagging sea 0.80 ████████████████ yes" in shown
    assert "2026-11-24 09:00:00 image.uploaded event-8 imagga_tagging m 1 +holiday +sea +sky/cloud" in shown
    gone = await lines(api, "images", "show", "gone")
    assert gone[0] == "gone (deleted)"
    assert gone[-1] == "2026-11-24 08:00:00 image.deleted event-13 -sea"


async def test_an_image_that_people_edited(api: str, world: World) -> None:
    """What people said, who it was, and what it changed."""
    world.edit("holiday/sea 0", added=["beach"], removed=["sea"], by="eve")
    shown = await lines(api, "images", "show", "holiday/sea 0")
    assert "tags beach, holiday, sky/cloud" in shown
    assert "people +beach eve, -sea eve" in shown
    assert shown[-1].endswith("eve (image.tags-edited) event-15 +beach -sea")


async def test_users(api: str) -> None:
    """Interests, also without the command's name; who shares them; what of others' images matches."""
    shown = await lines(api, "users", "dan", "--half-life-days", "1")
    assert shown[0] == "Interests of dan"
    assert shown[3] == "koala 1 0.25 100.0% ████████████████████"
    assert shown[-1] == "1 tag; an image loses half of its weight in 1 days"
    assert (await lines(api, "users", "interests", "ann", "--limit", "1"))[-1].startswith("1 of 2 tags")
    similar = await lines(api, "users", "similar", "ann")
    assert similar[3:5] == ["dan 0.707 ██████████████▏ koala", "bob 0.632 ████████████▋ koala, tree"]
    feed = await lines(api, "users", "feed", "ann", "--seen", "koala-5", "--seen", "koala-4")
    assert feed[3] == "koala-2 2026-11-24 09:00 cid 0.760 ██████████ koala 0.90 tree 0.62"


@pytest.mark.parametrize("words", [words for words in commands() if words != "trends overview"])
async def test_json(api: str, words: str) -> None:
    """The answer as it came, on one line."""
    (path,) = (path for path, command in ASKED.items() if command == words)
    named = {"{tag}": "sky/cloud", "{public_id}": "holiday/sea 1", "{user_id}": "ann"}
    arguments = [value for name, value in named.items() if name in path]
    arguments += ["koala", "tree"] if words == "trends lines" else []
    for name, value in named.items():
        path = path.replace(name, quote(value, safe=""))
    result = await say(api, *words.split(), *arguments, "--json")
    async with httpx.AsyncClient(trust_env=False) as client:
        came = await client.get(api.rstrip("/") + path + ("?tag=koala&tag=tree" if "series" in path else ""))
    shown, expected = orjson.loads(result.stdout), came.json()
    for answer in (shown, expected):
        answer.pop("profiles_age_seconds", None)  # time goes by
    assert shown == expected
    assert result.stdout.endswith("}\n")
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "tag", ["sky/cloud", "..", ".", "a?b#c", "50% off", "[bold]x[/y]", "grüne wiese", "a+b"]
)
async def test_any_tag_can_be_asked_for(api: str, world: World, tag: str) -> None:
    """Tags are names: what means something in an address or to the terminal's library does not here."""
    world.see("odd", 1, {tag: 0.9}, "ann")
    assert (await lines(api, "trends", "show", tag))[0].startswith(f"{tag}, 24h")
    assert (await lines(api, "images", "--tag", tag))[3].startswith(
        f"odd 2026-11-24 11:00 ann 0.90 {tag} 0.90"
    )


async def test_tenants(api: str, world: World) -> None:
    """A tenant is passed on with each question, those for sparklines too."""
    world.see("roof", 1, {"roof": 0.9}, "ann", tenant="acme")
    shown = await lines(api, "trends", "top", "--tenant", "acme")
    assert shown[3:] == ["roof 1 ████████████████████ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁"]


async def test_token(api: str, world: World) -> None:
    """A token goes along as a bearer token, from the flag or the environment; without one nothing does."""
    await say(api, "trends", "tags", "--token", "s3cret")
    assert world.asked[-1].headers["authorization"] == "Bearer s3cret"
    environment = {"TAGSTREAM_API": api, "TAGSTREAM_TOKEN": "other"}
    await asyncio.to_thread(CliRunner().invoke, main, ["trends", "tags"], env=environment)
    assert world.asked[-1].headers["authorization"] == "Bearer other"
    await say(api, "trends", "tags")
    assert "authorization" not in world.asked[-1].headers


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("trends top --limit x", "limit 'x' must be a whole number from 1 to 1000, such as limit=1"),
        ("trends show unicorn", "no image has the tag 'unicorn'; /tags lists those there are"),
        (
            "images show nope",
            "no image 'nope' is known, and deleted ones only for a while; /images finds those",
        ),
        ("images --min-confidence 1", "min_confidence is about the confidence of wanted tags; say some in"),
        ("users eve", "no image with tags is by the user 'eve', or all are beyond their retention"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
async def test_reasons(api: str, words: str, reason: str, as_json: bool) -> None:  # noqa: FBT001 - a case
    """What the API refuses is one line with its reason, and exit code 1."""
    result = await say(api, *words.split(), *(["--json"] if as_json else []))
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"main {words.partition(' ')[0]} ")
    assert f": {reason}" in line


@pytest.mark.parametrize("words", ["trends show unicorn", "images show nope", "users eve"])
async def test_what_is_not_loaded_yet(api: str, world: World, words: str) -> None:
    """One line that says what is missing, and exit code 1: it is not known that there is no such thing."""
    world.fresh.complete = False
    world.fresh.states.append(PartitionState(2, ready=False, next_offset=0, lag=None))
    result = await say(api, *words.split())
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.endswith("not found so far, but partition 2 is still being loaded; ask again in a moment")


async def test_partitions_that_are_missing(api: str, world: World) -> None:
    """One line names the partitions that an answer lacks, and those that are behind."""
    world.fresh.complete, world.fresh.behind = False, [1, 2]
    world.fresh.states.append(PartitionState(2, ready=False, next_offset=0, lag=None))
    result = await say(api, "trends", "tags")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == [
        "incomplete without partition 2, still being loaded; partition 1 is behind, 1,200 uploads wait",
        "counted up to 2026-11-24 11:00:00 UTC, an unknown number of uploads wait",
    ]


def test_warnings() -> None:
    """Yellow where something is missing, nothing where nothing is."""

    def warning(states: list[PartitionState], behind: list[int], *, complete: bool) -> str | None:
        line = warning_line(
            Answer(window=Window("all", None, None), as_of=states, complete=complete, behind=behind)
        )
        assert line is None or line.style == "yellow"
        return None if line is None else line.plain

    ready = PartitionState(0, ready=True, next_offset=1, lag=1)
    missing = [PartitionState(number, ready=False, next_offset=0, lag=0) for number in (1, 2)]
    assert warning([ready], [], complete=True) is None
    assert warning([ready], [0], complete=True) == "partition 0 is behind, 1 upload waits"
    assert warning([ready, *missing], [1, 2], complete=False) == (
        "incomplete without partitions 1, 2, still being loaded"
    )
    assert "does not know the partitions yet" in (warning([], [], complete=False) or "")


@pytest.mark.parametrize("words", commands())
def test_an_api_that_is_away(words: str) -> None:
    """Exit code 78; the line says where it was looked for, and how to say another place."""
    arguments = ["x"] if any(isinstance(it, click.Argument) for it in commands()[words].params) else []
    result = CliRunner().invoke(main, [*words.split(), *arguments, "--api", NOBODY])
    assert (result.exit_code, result.stdout) == (78, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"main {words}: no query API at {NOBODY} (")
    assert line.endswith("or say where one is with --api or TAGSTREAM_API")


@pytest.mark.parametrize("api", ["ftp://host", "http://", "http://[::1", "", "http://ä b"])
def test_an_api_that_cannot_be(api: str) -> None:
    """What is no URL is said back, with one that is."""
    result = CliRunner().invoke(main, ["trends", "--api", api])
    assert result.exit_code == 78
    assert f"{api!r} is no URL of a query API" in result.stderr
    assert "such as http://127.0.0.1:6066" in result.stderr


def test_what_a_client_keeps_to_itself() -> None:
    """Passwords in the URL and tokens stay out of what is printed; a scheme may be left out."""
    assert QueryClient("http://ann:pass@host:1/path/").url == "http://host:1/path"
    assert QueryClient("localhost:6066").url == "http://localhost:6066"
    with pytest.raises(NoAnswerError, match="the token holds") as caught:
        QueryClient(NOBODY, "se\ncret")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (web.Response(text="<html>", content_type="text/html"), 78, "with 200 and text/html"),
        (web.json_response({"tags": []}), 78, "is no query API of this version: it answers /tags with 200"),
        (web.Response(status=502, text="bad gateway"), 78, "with 502"),
        (web.Response(status=302, headers={"location": NOBODY}), 78, "with 302"),
        (
            web.json_response({"error": "e", "reason": "this worker\x1b[2J does not follow"}, status=503),
            1,
            "this worker�[2J",
        ),
        (
            web.json_response({"error": "e", "reason": "expired"}, status=401),
            78,
            "(401: expired); say one with --token",
        ),
        (web.json_response({"error": "e", "reason": "not your tenant"}, status=403), 1, ": not your tenant"),
        (web.Response(status=403), 78, "does not let you in (403); say one with --token or TAGSTREAM_TOKEN"),
    ],
    ids=["html", "other JSON", "gateway", "redirect", "closed", "token", "tenant", "forbidden"],
)
async def test_other_answers(answer: web.Response, code: int, said: str) -> None:
    """Whatever listens there: no traceback, a line that tells what came back."""

    async def handler(_request: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with TestServer(app) as server:
        result = await say(str(server.make_url("/")), "trends", "tags")
    assert result.exit_code == code
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


async def test_users_of_tags_and_tags_of_users(api: str) -> None:
    """Who likes a tag, what a user's images show, several tags side by side, and who there is."""
    assert (await lines(api, "users", "of", "koala", "--by", "uploads"))[0] == "Users of koala, by uploads"
    assert (await lines(api, "users", "tags", "ann", "--window", "all"))[0].startswith("Tags of ann")
    assert "ann" in " ".join(await lines(api, "users", "list"))
    assert (await lines(api, "users", "tenants"))[0] == "Tenants"
    shown = await lines(api, "trends", "lines", "koala", "tree", "--window", "24h")
    assert shown[0].startswith("Tags by the hour")
    assert [line.split()[0] for line in shown[3:5]] == ["koala", "tree"]
