"""What the page's live view costs while results come: memory of page and worker, and its longest task.

    python -m benchmarks.page_live [--rate 200] [--seconds 60]

A real broker and a real worker, whose tagger is the stub; uploads are published at the rate. Memory is read
a third into the time, once all is warm, and at its end: the page's after its garbage was collected, the
worker's with the state of all images by then. `longest_ms` is the page's longest task, as Chromium tells it
from 50 ms on.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import msgspec
from aiokafka import AIOKafkaProducer
from playwright.async_api import async_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster

from benchmarks.machine import machine
from benchmarks.page import TASKS
from benchmarks.processes import resident_mb
from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker

TICK = 0.05  # seconds between two batches of uploads


async def publish(cluster: Cluster, rate: int, seconds: float) -> None:
    """Publish uploads of images with a few tags each."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, linger_ms=10)
    await producer.start()
    begun, sent = time.monotonic(), 0
    try:
        while (passed := time.monotonic() - begun) < seconds:
            for number in range(sent, int(passed * rate)):
                tags = {f"tag-{number % 97}": 0.9, f"tag-{number % 31}-b": 0.7, "photo": 0.5}
                event = UploadData(
                    public_id=f"live-{number}",
                    url=f"data:application/json,{quote(json.dumps(tags))}",
                    user_id=f"user-{number % 50}",
                    auto_tagging=0.4,
                )
                key = (event.public_id or "").encode()
                await producer.send(cluster.names.uploads, msgspec.json.encode(event), key)
            sent = max(sent, int(passed * rate))
            await asyncio.sleep(TICK)
    finally:
        await producer.stop()


async def watch(cluster: Cluster, rate: int, seconds: float) -> dict[str, Any]:
    """Look on while uploads come, and tell what that cost."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = await browser.new_page()
        await tab.add_init_script(TASKS)
        await tab.goto(f"http://127.0.0.1:{cluster.ports[0]}/#/live")
        await tab.wait_for_function("() => document.querySelector('[role=status]')?.textContent")
        chromium = await tab.context.new_cdp_session(tab)

        async def memory() -> tuple[float, float]:
            await chromium.send("HeapProfiler.collectGarbage")
            used = (await chromium.send("Runtime.getHeapUsage"))["usedSize"]
            return used / 1e6, resident_mb(cluster.processes[0].pid)

        publishing = asyncio.create_task(publish(cluster, rate, seconds))
        await asyncio.sleep(seconds / 3)
        page_warm, worker_warm = await memory()
        await tab.evaluate("() => { window.tasks = [] }")
        await publishing
        longest = await tab.evaluate("Math.max(0, ...window.tasks)")
        told = await tab.locator(".count").inner_text()
        page, worker = await memory()
        rows = await tab.locator("ol.stream li").count()
        await browser.close()
    return {
        "rate": rate,
        "seconds": seconds,
        "page_mb": [round(page_warm, 1), round(page, 1)],
        "worker_mb": [round(worker_warm), round(worker)],
        "longest_ms": round(longest),
        "rows": rows,
        "told": told,
    }


async def run(options: argparse.Namespace) -> None:
    """Start all of it."""
    roles = {"TAGSTREAM_ROLES": "tag,query,page", "TAGSTREAM_TAGGER": "stub"}
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        name = f"live-{uuid.uuid4().hex[:8]}"
        cluster = Cluster(broker.bootstrap_servers, name, Path(folder), environment=roles)
        try:
            await cluster.start(0)
            await cluster.until_ready([0])
            print(json.dumps(await watch(cluster, options.rate, options.seconds) | {"machine": machine()}))
        finally:
            await cluster.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=200, help="uploads per second")
    parser.add_argument("--seconds", type=float, default=60)
    asyncio.run(run(parser.parse_args()))
