"""`tagstream retag` as a process, against real workers: by rules, by model, cut short and gone on with."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from support.cluster import Cluster

from schemas.uploads import UploadData
from streams.cli.file_server import FileServer

pytestmark = pytest.mark.kafka

PHOTOS = sorted((Path(__file__).parents[2] / "streams" / "photos").glob("*.jpg"))
MODELS = Path(__file__).parents[2] / "model"


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path)
    cluster.environment = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_AUTO_TAGGING": "0.5"}
    try:
        yield cluster
    finally:
        await cluster.close()


def stubbed(count: int) -> list[UploadData]:
    """Uploads for the stub tagger: all are a koala, each fourth by a tree that nobody is sure of."""
    images = []
    for number in range(count):
        photo = {"koala": 0.9, f"tag {number % 7}": 0.6} | ({"tree": 0.4} if number % 4 == 0 else {})
        url = "data:application/json," + quote(orjson.dumps(photo).decode())
        images.append(UploadData(public_id=f"image-{number}", url=url, user_id=f"u{number % 5}"))
    return images


async def start(cluster: Cluster, *words: str) -> asyncio.subprocess.Process:
    options = ("--app-id", cluster.name, "--topic-prefix", cluster.names.prefix)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "retag", *options, *words),
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap, **cluster.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def retag(cluster: Cluster, *words: str, code: int = 0) -> tuple[Any, str]:
    """Run the command; return its report and what else it said."""
    process = await start(cluster, "--json", *words)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == code, err.decode()
    return orjson.loads(out), err.decode()


async def recount(cluster: Cluster) -> Counter[str]:
    """Count the images' tags, as their rows have them."""
    rows = (await cluster.table("images")).values()
    return Counter(tag for row in rows for tag in row["tags"])


async def use_rules(cluster: Cluster, text: str) -> None:
    """Let the worker read other rules."""
    rules = cluster.folder / "rules.toml"
    draft = rules.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(rules)
    cluster.environment["TAGSTREAM_RULES"] = str(rules)


async def test_other_rules_for_all_images(cluster: Cluster) -> None:
    """The dry run says what the run then does; counts are those of the rows, and of no image twice."""
    await use_rules(cluster, "")
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(stubbed(200))
    await cluster.until_folded(200)
    await use_rules(cluster, 'threshold = 0.3\nblock = ["tag 1"]\n[rename]\nkoala = "bear"\n')
    told, _ = await retag(cluster, "--rules-only", "--dry-run")
    blocked = sum(number % 7 == 1 for number in range(200))
    assert told["tags"] == {
        "bear": {"added": 200, "removed": 0},
        "koala": {"added": 0, "removed": 200},
        "tree": {"added": 50, "removed": 0},
        "tag 1": {"added": 0, "removed": blocked},
    }
    assert (told["done"], told["changed"]) == (200, 200)
    assert (await cluster.counts())["koala"] == 200
    async with asyncio.timeout(20):
        while (await cluster.get(0, "/healthz"))["rules"] != told["rules"]:
            await asyncio.sleep(0.1)
    report, _ = await retag(cluster, "--rules-only")
    for field in ("tags", "done", "changed", "failed"):
        assert report[field] == told[field]
    counts = await cluster.counts()
    assert counts == await recount(cluster)
    assert (counts["bear"], counts["tree"], counts["koala"], counts["tag 1"]) == (200, 50, 0, 0)
    image = await cluster.get(0, "/images/image-0")
    assert image["rules"] == told["rules"]
    assert image["history"][-1]["cause"]["type"] == "image.retag"


async def test_only_some_images(cluster: Cluster) -> None:
    """By tag, by tenant, by number; what was left out is told, and an image without a URL is no failure."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(stubbed(40))
    await cluster.publish([UploadData(public_id="a", url=stubbed(1)[0].url, tenant="acme")])
    await cluster.until_folded(41)
    report, _ = await retag(cluster, "--rules-only", "--tag", "tag 3", "--tag", "koala")
    assert report["done"] == sum(number % 7 == 3 for number in range(40))
    report, _ = await retag(cluster, "--rules-only", "--tenant", "acme")
    assert report["done"] == 1
    report, _ = await retag(cluster, "--rules-only", "--limit", "5", "--rate", "50")
    assert report["done"] == 5
    report, _ = await retag(cluster, "--every")
    assert (report["done"], report["left_out"]) == (0, {"without_url": 41})


async def test_a_run_that_was_cut_short_goes_on(cluster: Cluster) -> None:
    """Ctrl-C in the middle: the same command with the run's name does the rest, and nothing twice."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(stubbed(300))
    await cluster.until_folded(300)
    process = await start(cluster, "--json", "--rules-only", "--run", "autumn", "--rate", "20")
    await cluster.until_folded(310)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    first = orjson.loads(out)
    assert process.returncode == 1, (first, err)
    assert "--run autumn goes on with it" in err.decode()
    report, _ = await retag(cluster, "--rules-only", "--run", "autumn")
    assert 0 < report["done"] < 300
    assert report["left_out"]["done"] + report["done"] == 300
    assert report["left_out"]["done"] >= first["done"]
    causes = {row["cause"][1] for row in (await cluster.table("images")).values()}
    assert len(causes) == 300
    assert all(cause.startswith("autumn/") for cause in causes)


async def test_no_worker_is_up(cluster: Cluster) -> None:
    """The command does not wait for ever, and says how to go on."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(stubbed(3))
    await cluster.until_folded(3)
    await cluster.stop(0)
    report, err = await retag(cluster, "--rules-only", "--run", "r1", "--timeout", "1", code=1)
    assert report["done"] == 0
    assert "is a worker up?; the same with --run r1 goes on with it" in err


async def test_another_model(cluster: Cluster, tmp_path: Path) -> None:
    """Images that another model has tagged are fetched and tagged anew, once; one that is gone is told."""
    photos = [tmp_path / path.name for path in PHOTOS[:5]]
    for copy, path in zip(photos, PHOTOS, strict=False):
        copy.write_bytes(path.read_bytes())
    async with FileServer(photos, "127.0.0.1", 0) as server:
        cluster.environment = {
            "TAGSTREAM_AUTO_TAGGING": "0.4",
            "TAGSTREAM_ADD_ONS": f"imagga_tagging={MODELS / 'efficientnet_lite0_int8'}",
            "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{server.port}",
        }
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish([UploadData(public_id=f"i{n}", url=server.url(n)) for n in range(5)])
        await cluster.until_folded(5)
        before = await cluster.table("images")
        assert {row["model"][0] for row in before.values()} == {"efficientnet_lite0_int8"}
        await cluster.stop(0)
        cluster.environment["TAGSTREAM_ADD_ONS"] = "imagga_tagging"
        await cluster.start(0)
        await cluster.until_ready([0])
        photos[4].unlink()
        told, _ = await retag(cluster, "--dry-run", code=1)
        report, _ = await retag(cluster, "--rate", "20", code=1)
        for name in ("tags", "changed", "done", "failed"):
            assert report[name] == told[name]
        assert (report["done"], report["failed"]) == (5, {"http_404": 1})
        again, _ = await retag(cluster, code=1)
        assert (again["done"], again["left_out"]) == (1, {"current": 4})
    rows = await cluster.table("images")
    models = {key[1]: row["model"][0] for key, row in rows.items()}
    assert models.pop("i4") == "efficientnet_lite0_int8"
    assert set(models.values()) == {"efficientnet_lite2_int8"}
    assert {key: row["at"] for key, row in rows.items()} == {key: row["at"] for key, row in before.items()}
    assert await cluster.counts() == await recount(cluster)


async def test_a_removal_survives_ten_re_tags_and_kills(cluster: Cluster) -> None:
    """What a person removed stays away from tags and counts, whatever rules come and whoever is killed."""
    await use_rules(cluster, "")
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(stubbed(100))
    edit = {"type": "image.tags-edited", "added": ["favourite"], "removed": ["koala", "bear"], "by": "ann"}
    await cluster.publish([UploadData(public_id=f"image-{number}", **edit) for number in range(10)])
    await cluster.until_folded(110)
    for number in range(10):
        await use_rules(cluster, '[rename]\nkoala = "bear"\n' if number % 2 == 0 else "threshold = 0.3\n")
        killed = asyncio.create_task(kill_soon(cluster)) if number in {3, 6} else None
        await retag(cluster, "--rules-only", "--run", f"run-{number}", "--rate", "150")
        if killed is not None:
            await killed
    rows = {key[1]: row for key, row in (await cluster.table("images")).items()}
    assert {row["cause"][1].partition("/")[0] for row in rows.values()} == {"run-9"}
    for number in range(10):
        assert not {"koala", "bear"} & set(rows[f"image-{number}"]["tags"])
        assert rows[f"image-{number}"]["tags"][0] == "favourite"
    counts = await cluster.counts()
    assert counts == await recount(cluster)
    assert counts["koala"] + counts["bear"] == 90
    assert counts["favourite"] == 10


async def kill_soon(cluster: Cluster) -> None:
    await asyncio.sleep(1.5)
    await cluster.kill(0)
    await cluster.start(0)
