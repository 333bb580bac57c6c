"""Words, a trained head and a model on a server, in a real worker beside the default."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.cluster import Cluster, free_port
from support.own.encoders import write_encoders
from support.own.model_servers import SECRET, describe_vision, end, vision_server
from support.own.patterns import draw, write_patterns

from model import Tagger
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.cli.main import main

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PHOTOS = sorted((Path(__file__).parents[3] / "streams" / "photos").glob("*.jpg"))
TIMEOUT = 3.0
ALL = "imagga_tagging,words,head,eyes"


def zero_shot_folder(folder: Path) -> Path:
    """A model of three colour words, by the command."""
    pair, out = folder / "pair", folder / "words"
    write_encoders(pair)
    (folder / "words.txt").write_text("red\ngreen\nblue\n")
    graphs = [pair / "vision_model.onnx", folder / "words.txt", "--text-encoder", pair / "text_model.onnx"]
    scoring = ["--scale", "8", "--bias", "-5", "--out", out]
    result = CliRunner().invoke(main, ["model", "zero-shot", *map(str, [*graphs, *scoring])])
    assert result.exit_code == 0, result.output
    return out


def trained_folder(folder: Path) -> Path:
    """A model of one tag, *striped*, trained on 32 pictures, by the command."""
    pictures, out = folder / "patterns", folder / "head"
    pictures.mkdir()
    write_patterns(pictures)
    result = CliRunner().invoke(
        main, ["model", "train", str(pictures), str(pictures / "labels.csv"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
async def photos(tmp_path: Path) -> AsyncIterator[FileServer]:
    """Three sample photos and a striped picture, and four photos more."""
    draw(tmp_path / "striped.png", "striped", 99)
    async with FileServer([*PHOTOS[:3], tmp_path / "striped.png", *PHOTOS[3:7]], "127.0.0.1", 0) as server:
        yield server


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, photos: FileServer) -> AsyncIterator[Cluster]:
    words, head = zero_shot_folder(tmp_path), trained_folder(tmp_path)
    environment = {
        **SECRET,
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_ADD_ONS": f"imagga_tagging,words={words},head={head},eyes={tmp_path / 'eyes.toml'}",
        "TAGSTREAM_CATEGORIZATION": ALL,
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def events(photos: FileServer, run: str, count: int) -> list[UploadData]:
    return [
        UploadData(public_id=f"{run}-{number}", url=photos.url(number), event_id=f"{run}-{number}")
        for number in range(count)
    ]


def statuses(result: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    return {name: found["status"] for name, found in result["info"]["categorization"].items()}


def head_says(result: Any, tag: str) -> bool:  # noqa: ANN401 - JSON
    data = result["info"]["categorization"]["head"]["data"]
    return tag in {score["tag"] for score in data}


async def retag(cluster: Cluster) -> dict[str, Any]:
    """Have the images that something failed on looked at again, by the command."""
    environment = {
        **os.environ,
        **cluster.environment,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_PARTITIONS": str(cluster.partitions),
    }
    options = ("--broker", cluster.bootstrap, "--topic-prefix", f"{cluster.name}.", "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streams.cli",
        "retag",
        *options,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, printed
    report: dict[str, Any] = json.loads(printed)
    return report


async def test_all_three_ways_beside_the_default(
    cluster: Cluster, photos: FileServer, tmp_path: Path
) -> None:
    """Each says what it says alone. The server's kill -9 costs its own tags alone; a re-tag brings them."""
    port = free_port()
    describe_vision(tmp_path, port, TIMEOUT)
    async with vision_server(port) as server:
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish(events(photos, "before", 4))
        await cluster.until_folded(4)
        before = await cluster.results()
        assert [statuses(result) for result in before] == [dict.fromkeys(ALL.split(","), "complete")] * 4
        files = [*PHOTOS[:3], tmp_path / "striped.png"]
        for name in ("words", "head"):
            tagger = Tagger.load(tmp_path / name)
            for result in before:
                found = result["info"]["categorization"][name]
                photo = files[int(result["public_id"].rpartition("-")[2])].read_bytes()
                (tags,) = tagger.tag([photo])
                said = {score["tag"]: score["confidence"] for score in found["data"]}
                assert said == pytest.approx(
                    {tag.name: tag.confidence for tag in tags}, abs=0.06
                )  # batches round otherwise
                assert found["model"]["name"] == tagger.name
        striped = {result["public_id"] for result in before if head_says(result, "striped")}
        assert striped == {"before-3"}
        bright = {result["public_id"]: result["info"]["categorization"]["eyes"] for result in before}
        assert {eyes["data"][0]["tag"] for eyes in bright.values()} <= {"bright", "wide", "tall"}

        await end(server)
        await cluster.publish(events(photos, "after", 8))
        await cluster.until_folded(12, seconds=90)
        found = {result["public_id"]: statuses(result) for result in await cluster.results()}
        complete = dict.fromkeys(ALL.split(","), "complete")
        for number in range(8):  # the first four are copies of images that it saw
            eyes = "complete" if number < 4 else "failed"
            assert found[f"after-{number}"] == complete | {"eyes": eyes}
        assert await cluster.read(cluster.names.dead_letters) == []

    async with vision_server(port):
        report = await retag(cluster)
        assert report["done"] == 4
        for number in range(8):
            image = await cluster.get(0, f"/images/after-{number}")
            assert not image.get("failed")
            assert {"imagga_tagging", "words", "head", "eyes"} == image["scores"].keys()
    assert await cluster.stop(0) == 0


async def test_a_slow_server_holds_up_no_other_upload(
    cluster: Cluster, photos: FileServer, tmp_path: Path
) -> None:
    """More images than may be in work wait for it; those behind them that do not ask it are done before."""
    port = free_port()
    describe_vision(tmp_path, port, timeout=20.0)
    async with vision_server(port, seconds=18.0):
        await cluster.start(0)
        await cluster.until_ready([0])
        slow = [
            UploadData(public_id=f"slow-{n}", url=photos.url(n % 8), categorization="head,eyes")
            for n in range(140)
        ]
        quick = [
            UploadData(public_id=f"quick-{n}", url=photos.url(n), categorization="head") for n in range(8)
        ]
        await cluster.publish([*slow, *quick])
        done: set[str] = set()
        async with asyncio.timeout(60):
            while not {f"quick-{n}" for n in range(8)} <= done:
                done = {result["public_id"] for result in await cluster.results()}
        assert not any(name.startswith("slow") for name in done)
        async with asyncio.timeout(120):
            while len(await cluster.results()) < 148:
                await asyncio.sleep(0.5)
        found = {result["public_id"]: statuses(result) for result in await cluster.results()}
        answered = [name for name, each in found.items() if each.get("eyes") == "complete"]
        failed = [name for name, each in found.items() if each.get("eyes") == "failed"]
        assert len(answered) + len(failed) == 140
        assert answered
        assert failed
        assert await cluster.read(cluster.names.dead_letters) == []
