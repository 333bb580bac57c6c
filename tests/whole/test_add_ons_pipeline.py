"""Several add-ons and a rules file, with real broker, real photos, real models and a real worker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Cluster
from support.own_models import write_model

from model import CombinedTagger, SceneTagger
from schemas.dead_letters import read_fault
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import parse_rules

pytestmark = pytest.mark.kafka

PHOTOS = sorted((Path(__file__).parents[2] / "streams" / "photos").glob("*.jpg"))
KOALA = next(index for index, path in enumerate(PHOTOS) if path.stem == "koala")
THRESHOLD = 0.4


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, photos: FileServer) -> AsyncIterator[Cluster]:
    broken = write_model(tmp_path / "broken", [[0.0, 0.0]])
    mine = write_model(tmp_path / "mine", [[0.9, 0.1]] * 128 + [[0.2, 0.8]] * 128)
    environment = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_ADD_ONS": f"imagga_tagging,scene_tagging,mine={mine},broken={broken}",
    }
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def hash_of(rules: str) -> str:
    return Rules(parse_rules(rules.encode(), Path("rules.toml"))).hash


def scored(tagger: CombinedTagger | SceneTagger) -> dict[str, float]:
    """What a tagger alone says of the koala."""
    (tags,) = tagger.tag([PHOTOS[KOALA].read_bytes()])
    return {tag.name: round(tag.confidence, 4) for tag in tags}


def said(result: Any, add_on: str) -> dict[str, float]:  # noqa: ANN401 - JSON
    data = result["info"]["categorization"][add_on]["data"]
    return {score["tag"]: score["confidence"] for score in data}


async def test_one_add_on_fails_and_the_others_do_not_mind(cluster: Cluster, photos: FileServer) -> None:
    """Each says what it says alone; the broken one says that it failed; alone it is a dead letter."""
    await cluster.start(0)
    await cluster.until_ready([0])
    url = photos.url(KOALA)
    asked = {
        "all": "imagga_tagging,scene_tagging,mine,broken",
        "broken": "broken",
        "unknown": "imagga_tagging,scenes",
    }
    events = [
        UploadData(public_id=name, url=url, categorization=add_ons, auto_tagging=THRESHOLD)
        for name, add_ons in asked.items()
    ]
    await cluster.publish(events)
    await cluster.until_folded(3)

    (result,) = await cluster.results()
    assert result["public_id"] == "all"
    found = result["info"]["categorization"]
    assert {name: add_on["status"] for name, add_on in found.items()} == {
        "imagga_tagging": "complete",
        "scene_tagging": "complete",
        "mine": "complete",
        "broken": "failed",
    }
    assert "indices element out of data bounds" in found["broken"]["error"]
    assert found["broken"]["data"] == []
    assert {name: add_on["model"]["name"] for name, add_on in found.items()} == {
        "imagga_tagging": "efficientnet_lite2_int8",
        "scene_tagging": "scenes",
        "mine": "mine",
        "broken": "broken",
    }
    classes, scenes = scored(CombinedTagger.load()), scored(SceneTagger.load())
    assert said(result, "imagga_tagging") == pytest.approx(classes, abs=0.03)
    assert said(result, "scene_tagging") == pytest.approx(scenes, abs=0.03)
    assert said(result, "mine") == {"bright": 0.8, "dim": 0.2}
    best = {"bright": 0.8} | {tag: chance for tag, chance in (classes | scenes).items() if chance > THRESHOLD}
    assert set(result["tags"]) == set(best)

    async with asyncio.timeout(60):
        while await cluster.table("retries"):  # a fault of ours may pass
            await asyncio.sleep(0.5)
    letters = await cluster.read(cluster.names.dead_letters)
    reasons = {message.key.decode(): read_fault(message.headers).reason for message in letters}
    assert reasons == {"broken": "internal_error", "unknown": "unknown_add_on"}
    image = await cluster.get(0, "/images/all")
    assert set(image["failed"]) == {"broken"}
    assert image["scores"].keys() == {"imagga_tagging", "scene_tagging", "mine"}
    assert await cluster.counts() == dict.fromkeys(result["tags"], 1)


async def stream(cluster: Cluster, photos: FileServer, stop: asyncio.Event) -> list[str]:
    """Publish koalas one after another until told to stop; return their ids."""
    published: list[str] = []
    for number in count():
        if stop.is_set():
            return published
        event = UploadData(public_id=f"koala-{number}", url=photos.url(KOALA), event_id=f"e{number}")
        await cluster.publish([event])
        published.append(f"e{number}")
        await asyncio.sleep(0.05)
    raise AssertionError


async def health_when(cluster: Cluster, told: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - JSON
    """Wait for what the worker's health tells of its rules."""
    async with asyncio.timeout(60):
        while not told(health := await cluster.get(0, "/healthz")):
            await asyncio.sleep(0.1)
        return health


async def until_result_by(cluster: Cluster, rules: str) -> None:
    async with asyncio.timeout(60):
        while rules not in {result["rules"] for result in await cluster.results()}:
            await asyncio.sleep(0.2)


OLD = f"threshold = {THRESHOLD}"
WRONG = f"threshold = {THRESHOLD}\nblok = ['animal']"
NEW = f"threshold = {THRESHOLD}\nblock = ['animal']\n[rename]\nkoala = 'koala bear'"


async def test_rules_change_while_uploads_flow(cluster: Cluster, photos: FileServer, tmp_path: Path) -> None:
    """Without a restart: each result follows the rules that it names, and none is lost or doubled."""
    file = tmp_path / "rules.toml"
    file.write_text(OLD)
    cluster.environment["TAGSTREAM_RULES"] = str(file)
    await cluster.start(0)
    await cluster.until_ready([0])
    stop = asyncio.Event()
    publishing = asyncio.create_task(stream(cluster, photos, stop))
    await until_result_by(cluster, hash_of(OLD))

    file.write_text(WRONG)
    health = await health_when(cluster, lambda health: "rules_error" in health)
    assert health["rules"] == hash_of(OLD)
    assert "blok is no rule; did you mean block?" in health["rules_error"]

    file.write_text(NEW)
    await health_when(cluster, lambda health: health["rules"] == hash_of(NEW))
    await until_result_by(cluster, hash_of(NEW))
    stop.set()
    published = await publishing
    await cluster.until_folded(len(published))

    results = await cluster.results()
    assert Counter(result["cause"]["id"] for result in results) == Counter(published)
    assert {result["rules"] for result in results} == {hash_of(OLD), hash_of(NEW)}
    for result in results:
        new = result["rules"] == hash_of(NEW)
        assert ("koala bear" in result["tags"], "koala" in result["tags"]) == (new, not new)
        assert ("animal" in said(result, "imagga_tagging")) == (not new)
        assert result["model"]["version"] == CombinedTagger.load().version
    counts = await cluster.counts()
    assert counts["koala"] + counts["koala bear"] == len(published)
    assert await cluster.read(cluster.names.dead_letters) == []

    last = next(result for result in results if result["rules"] == hash_of(NEW))
    image = await cluster.get(0, f"/images/{last['public_id']}")
    assert (image["rules"], image["model"]) == (hash_of(NEW), last["model"])
    assert image["history"][-1]["rules"] == hash_of(NEW)
    log = cluster.log_path(0).read_text("utf-8")
    assert f"The rules {hash_of(OLD)} hold still" in log
    assert await cluster.stop(0) == 0


async def test_a_worker_without_its_rules_does_not_start(cluster: Cluster, tmp_path: Path) -> None:
    """It ends with 78 and says what to change: tagging without them would assign what nobody wants."""
    cluster.environment["TAGSTREAM_RULES"] = str(tmp_path / "none.toml")
    await cluster.start(0)
    assert await asyncio.wait_for(cluster.processes[0].wait(), 60) == 78
    assert "none.toml: the rules cannot be read" in cluster.log_path(0).read_text("utf-8")
