"""`tagstream trends`, `images` and `users` as processes that ask a real worker behind a real broker."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
import pytest_asyncio
from support.cluster import Cluster

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

TAGSTREAM = Path(sys.executable).with_name("tagstream")
OF_THE_MOMENT = {"window", "as_of", "baseline", "profiles_as_of", "profiles_age_seconds"}
KOALA, SEA, ZOO = {"koala": 0.9, "tree": 0.7}, {"sea": 0.8, "sky/cloud": 0.6}, {"koala": 0.6, "zoo": 0.95}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was printed, spaces apart."""
        return [" ".join(line.split()) for line in self.out.splitlines()]

    def has(self, start: str) -> bool:
        return any(line.startswith(start) for line in self.lines)


@dataclass(frozen=True)
class Asker:
    """Runs commands against one worker."""

    url: str

    async def run(self, words: str, *more: str) -> Ended:
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        process = await asyncio.create_subprocess_exec(
            *(str(TAGSTREAM), *words.split(), *more),
            env={**environment, "TAGSTREAM_API": self.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(self.url + path)).json()


def event(
    public_id: str, hours_ago: float, photo: dict[str, float], user: str | None, own: list[str] | None = None
) -> UploadData:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    url = f"data:application/json,{quote(orjson.dumps(photo))}"
    return UploadData(
        public_id=public_id,
        url=url,
        user_id=user,
        uploaded_at=at.isoformat(),
        auto_tagging=0.5,
        event_id=f"{public_id}@{hours_ago}",
        tags=own,
    )


def thirty() -> list[UploadData]:
    """12 koalas of four users, 10 seas of two, 5 zoos of nobody, one of them re-tagged, one image deleted."""
    events = [event(f"koala-{number}", 0.5, KOALA, f"u{number % 4}") for number in range(12)]
    events += [event(f"beach/{number}", 0.5, SEA, f"u{2 + number % 2}", ["holiday"]) for number in range(10)]
    events += [event(f"zoo-{number}", 30, ZOO, None) for number in range(5)]
    events += [event("zoo-4", 29, {"penguin": 0.9}, None), event("gone", 2, SEA, "u2")]
    return [*events, UploadData(public_id="gone", type="image.deleted", event_id="gone@1", user_id="u2")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asker]:
    """A worker that has counted everything."""
    folder, name = tmp_path_factory.mktemp("asked"), f"test-{uuid.uuid4().hex[:12]}"
    cluster = Cluster(kafka, name, folder, partitions=2, environment={"TAGSTREAM_TAGGER": "stub"})
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish(thirty())
        await cluster.until_folded(30)
        yield Asker(f"http://127.0.0.1:{cluster.ports[0]}")
    finally:
        await cluster.close()


@pytest.mark.parametrize(
    ("words", "starts"),
    [
        (
            "trends",
            ["Top tags, 24h: ", "koala 12 ████████████████████ ▁▁▁", "Rising tags, 24h: ", "koala 12 "],
        ),
        ("trends top --window all --limit 2", ["Top tags, all time", "koala 16 ███", "tree 12 ███"]),
        ("trends top --by uploaders", ["koala 12 4 ███", "holiday 10 2 ███", "uploaders are estimates"]),
        ("trends rising", ["tree 12 ", "held against 7d: "]),
        (
            "trends show koala --window 7d",
            ["koala, 7d: ", "16 images by about 4 uploaders; from imagga_tagging 16"],
        ),
        ("trends show sky/cloud", ["sky/cloud, 24h: ", "10 images by about 2 uploaders"]),
        ("trends compare --a 24h --tag koala --tag zoo", ["a is 24h: ", "koala 12 ███", "zoo 0 4 ███"]),
        (
            "trends related koala",
            ["koala: on 16 of 27 images, together with", "tree 12 44.4% 75.0% 1.69 ███"],
        ),
        ("trends tags --prefix h", ["Tags, all time", "holiday 10 ███"]),
        ("images --limit 30", ["27 images, all time", "beach/0 ", "zoo-4 "]),
        ("images --tag koala --any zoo,tree --none tree", ["4 images, all time", "zoo-0 "]),
        ("images list --tag holiday --user u2 --limit 1", ["5 images, all time", "more with --cursor "]),
        ("images show zoo-4", ["zoo-4", "tags penguin", "model stub 1", "imagga_tagging penguin 0.90 ███"]),
        ("images show gone", ["gone (deleted)"]),
        ("users u0", ["Interests of u0", "koala 3 3.00 50.0% ███", "tree 3 3.00 50.0% ███"]),
        ("users similar u0", ["Users like u0", "u1 1.000 ███"]),
        ("users feed u0", ["Images for u0", "koala-1 ", "score: sum over an image's tags"]),
    ],
)
async def test_tables(asker: Asker, words: str, starts: list[str]) -> None:
    """Each command prints what was counted, and how fresh it is."""
    ended = await asker.run(words)
    assert (ended.code, ended.err) == (0, "")
    for start in starts:
        assert ended.has(start), f"{start!r} begins no line of\n{ended.out}"
    assert ended.lines[-1].startswith("counted up to ")
    assert ended.lines[-1].endswith(" UTC, 0 uploads wait")


async def test_the_history_of_an_image(asker: Asker) -> None:
    """Each change of the tags with the event that made it; a repeated id would have made none."""
    history = (await asker.run("images show zoo-4")).lines[-3:-1]
    assert [line.partition("image.uploaded ")[2] for line in history] == [
        "zoo-4@30 imagga_tagging stub 1 +zoo +koala",
        "zoo-4@29 imagga_tagging stub 1 +penguin -zoo -koala",
    ]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("trends top --window all", "/trends/top?window=all"),
        ("trends rising --least-uses 1", "/trends/rising?least_uses=1"),
        ("trends show sky/cloud --step day", "/trends/tags/sky%2Fcloud?step=day"),
        ("trends compare --a 2026-01-02 --b 2026-01-01", "/trends/compare?a=2026-01-02&b=2026-01-01"),
        ("trends related koala --order both", "/trends/tags/koala/related?order=both"),
        ("trends tags --limit 3", "/tags?limit=3"),
        ("images --any zoo,tree --none sea", "/images?any=zoo,tree&none=sea"),
        ("images show beach/1", "/images/beach%2F1"),
        ("users u2 --limit 2", "/users/u2/interests?limit=2"),
        ("users similar u2", "/users/u2/similar"),
        ("users feed u2", "/users/u2/feed"),
    ],
)
async def test_json(asker: Asker, words: str, path: str) -> None:
    """One line that holds what the API answers."""
    ended = await asker.run(words, "--json")
    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    told, answer = orjson.loads(ended.out), await asker.get(path)
    assert told["complete"] is True
    assert told.keys() == answer.keys()
    of_the_moment = OF_THE_MOMENT | ({"tags"} if "rising" in path else set())
    assert all(told[name] == answer[name] for name in told.keys() - of_the_moment)


async def test_every_page(asker: Asker) -> None:
    """Following the cursors shows every image once."""
    seen: list[str] = []
    cursor: list[str] = []
    for _ in range(3):
        page = orjson.loads((await asker.run("images --limit 10 --json", *cursor)).out)
        seen += [image["public_id"] for image in page["images"]]
        cursor = ["--cursor", page["cursor"] or ""]
    assert (len(seen), len(set(seen)), page["cursor"]) == (27, 27, None)


async def test_reasons(asker: Asker) -> None:
    """The API's reason, and exit code 1."""
    ended = await asker.run("trends show unicorn")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "tagstream trends show: no image has the tag 'unicorn'; /tags lists those there are\n"


async def test_nobody_there() -> None:
    """Where the API was looked for and how to say another place, and exit code 78."""
    ended = await Asker("http://127.0.0.1:1").run("images")
    assert (ended.code, ended.out) == (78, "")
    assert ended.err.startswith("tagstream images list: no query API at http://127.0.0.1:1 (")
    assert ended.err.endswith("or say where one is with --api or TAGSTREAM_API\n")
