"""A real Prometheus watches a real worker: dashboards are answered, alerts fire and resolve."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from make_dashboards import DASHBOARDS, FOLDER
from support.chaos.run import steady_port
from support.cluster import Cluster, free_port
from support.watching.programs import program

from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.cli.local.embedded_broker import EmbeddedBroker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
WINDOW = "8s"
PHOTOS = 10


@dataclass(frozen=True)
class Prometheus:
    """Asked by its HTTP API."""

    address: str

    async def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answer = (await client.get(f"{self.address}/api/v1/{path}", params=parameters)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def firing(self) -> set[str]:
        """The alerts that fire now."""
        alerts = (await self.ask("alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def until(self, holds: Callable[[set[str]], bool], seconds: float = 60) -> None:
        """Wait until it holds of the alerts that fire."""
        async with asyncio.timeout(seconds):
            while not holds(await self.firing()):
                await asyncio.sleep(0.2)


def hastened(rules: str) -> str:
    """The same rules, with what takes minutes in seconds."""
    shorter = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", rules)
    return re.sub(r"^( +for:) \w+$", r"\1 1s", shorter, flags=re.MULTILINE)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, targets: Sequence[str]) -> AsyncIterator[Prometheus]:
    """A Prometheus of its own that looks every second."""
    (folder / "alerts.yml").write_text(hastened(ALERTS.read_text("utf-8")))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "tagstream", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        found = Prometheus(f"http://{address}")
        await until_scraped(found, process, folder / "prometheus.log")
        yield found
    finally:
        process.kill()
        await process.wait()


async def until_scraped(found: Prometheus, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, log
            try:
                if (await found.ask("query", query="tagstream_kafka_up"))["result"]:
                    return
            except (httpx.TransportError, ValueError):  # not up, or not ready to answer in JSON
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
async def watched(
    new_broker: Callable[[], EmbeddedBroker], photos: FileServer, unique: str, tmp_path: Path
) -> AsyncIterator[tuple[Cluster, EmbeddedBroker, Prometheus]]:
    """A worker with its models, a broker of its own, and what watches them."""
    broker = new_broker()
    broker.port = steady_port()
    await asyncio.to_thread(broker.start)
    environment = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_AUTO_TAGGING": "0.3",
        "TAGSTREAM_CHECK_INTERVAL": "2",
        "TAGSTREAM_KNOWN_IMAGES": "0",  # each upload is looked at, however often its photo came
    }
    cluster = Cluster(broker.bootstrap_servers, unique, tmp_path, environment=environment)
    (tmp_path / "prometheus").mkdir()
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        async with prometheus(tmp_path / "prometheus", [f"127.0.0.1:{cluster.metrics_ports[0]}"]) as found:
            yield cluster, broker, found
    finally:
        await cluster.close()
        await asyncio.to_thread(broker.kill)


def good(photos: FileServer, start: int, count: int) -> list[UploadData]:
    return [
        UploadData(public_id=f"p{n}", event_id=f"e{n}", url=photos.url(n % PHOTOS), user_id=f"u{n % 3}")
        for n in range(start, start + count)
    ]


async def keep_busy(cluster: Cluster, photos: FileServer, enough: asyncio.Event) -> None:
    """Upload and ask, until it is enough."""
    start = 0
    while not enough.is_set():
        await cluster.publish(good(photos, start, 10))
        with contextlib.suppress(httpx.TransportError):
            await cluster.get(0, "/trends/top?window=all")
        start += 10
        await asyncio.sleep(0.3)


async def unanswered(found: Prometheus) -> set[str]:
    """The queries of all dashboards to which there is no answer."""
    missing = set()
    for dashboard in DASHBOARDS:
        document = json.loads((FOLDER / f"{dashboard.name}.json").read_text("utf-8"))
        for target in (target for panel in document["panels"] for target in panel["targets"]):
            query = target["expr"].replace("$__rate_interval", WINDOW).replace("$instance", ".*")
            answer = (await found.ask("query", query=query))["result"]
            numbers = [float(series["value"][1]) for series in answer]
            if all(number != number for number in numbers):  # noqa: PLR0124 - not a number
                missing.add(f"{dashboard.name}: {query}")
    return missing


async def test_dashboards_are_answered_and_alerts_fire_and_resolve(
    watched: tuple[Cluster, EmbeddedBroker, Prometheus], photos: FileServer
) -> None:
    """Under load each query of each dashboard has a number; a flood and an outage fire their rows' alerts.

    A flood of dead letters, then a broker that is killed: what they fire resolves once they are over.
    """
    cluster, broker, found = watched
    enough = asyncio.Event()
    busy = asyncio.create_task(keep_busy(cluster, photos, enough))
    missing = await unanswered(found)
    async with asyncio.timeout(120):
        while missing:
            assert not busy.done(), busy.exception()
            await asyncio.sleep(0.5)
            missing &= await unanswered(found)
    quiet = {"TagstreamDeadLetters", "TagstreamKafkaAway", "TagstreamWorkerAway"}
    await found.until(lambda firing: not quiet & firing)
    await cluster.publish_raw((b"k", b"no JSON", []) for _ in range(300))
    await found.until(lambda firing: "TagstreamDeadLetters" in firing)
    await found.until(lambda firing: "TagstreamDeadLetters" not in firing)
    enough.set()
    await busy
    await cluster.until_folded(300)
    await asyncio.to_thread(broker.kill)
    await found.until(lambda firing: "TagstreamKafkaAway" in firing)
    await found.until(lambda firing: "TagstreamWorkerAway" not in firing)
    await asyncio.to_thread(broker.start)
    await found.until(lambda firing: "TagstreamKafkaAway" not in firing)
