"""How the page's library feels with a million images: first paint, filters, and gaps while one scrolls.

    python benchmarks/page.py [--images 1000000] [--filters 20] [--seconds 20]

A process serves the page and the query API from synthetic rows (those of `library.py`), each with a
thumbnail; Chromium (`make programs`) looks at it. A filter's time is from the change of the address to the
first tile of the answer. While one scrolls, half a screen every 100 ms, each frame looks whether the middle
of the screen has a tile: the longest time without one is the gap.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from benchmarks.library import PARTITIONS, Fresh, Synthetic
from benchmarks.machine import machine
from schemas.topics import TopicNames
from streams.fetch.object_store import ObjectStore, thumbnail_key
from streams.kafka.connection import KafkaConnection
from streams.page.operations import Operations
from streams.page.page import Page
from streams.page.requests import Writing
from streams.page.session import Known
from streams.state.images.index import ImageIndex
from streams.state.loading import load
from streams.state.partition import PartitionState
from streams.tag.thumbnails.pictures import webp
from streams.web.api.images import ImageRoutes
from streams.web.app import create_api
from streams.web.server import WebServer

THUMB = "0123456789abcdef0123456789abcdef"
_FILTER = """async (tag) => {
  const begun = performance.now()
  location.hash = `#/library?tag=${tag}`
  while (!document.querySelector('.chip') || !document.querySelector('.chip').textContent.includes(tag)
    || !document.querySelector('.tile')) await new Promise(requestAnimationFrame)
  return performance.now() - begun
}"""
_SCROLL = """async (seconds) => {
  const begun = performance.now()
  let last = begun, worst = 0, moved = begun, frames = 0
  while (performance.now() - begun < seconds * 1000) {
    await new Promise(requestAnimationFrame)
    const now = performance.now()
    frames += 1
    const seen = document.elementsFromPoint(innerWidth / 2 - 40, innerHeight / 2)
    if (seen.some((each) => each.closest('.tile'))) last = now
    worst = Math.max(worst, now - last)
    if (now - moved > 100) { scrollBy(0, innerHeight / 2); moved = now }
  }
  return { gap: worst, frames: frames / seconds, tiles: document.querySelectorAll('.tile').length,
    scrolled: scrollY, longest: Math.max(0, ...(window.tasks ?? [])) }
}"""
TASKS = """new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) (window.tasks ??= []).push(duration)
}).observe({ type: 'longtask', buffered: true })"""
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_TILES = "() => document.querySelector('.tile') && performance.now()"


async def serve(images: int, port: int) -> None:
    """Serve so many synthetic images, until the process is ended."""
    states = [PartitionState(number) for number in range(PARTITIONS)]
    synthetic, index = Synthetic(), ImageIndex()
    synthetic.fill(states, images)
    for state in states:
        rows = cast("dict[str, bytes]", state.rows["images"])
        for key, row in rows.items():
            rows[key] = row[:-1] + b',"thumb":"' + THUMB.encode() + b'"}'
        await load(index, state.partition, list(rows), list(rows.values()))
    with tempfile.TemporaryDirectory() as folder:
        objects = ObjectStore.parse(folder, Path(folder))
        await objects.put(thumbnail_key(THUMB), webp(np.full((256, 256, 3), 120, np.uint8), 4, 3) or b"")
        page = Page(
            KafkaConnection("127.0.0.1:1"),
            TopicNames("page"),
            objects,
            known=Known(needs_token=False, thumbnails=True, threshold=None, add_ons=[]),
            writing=Writing(local=True),
            operations=Operations(cast("Any", None), [], [], list),
            tenants=lambda: [""],
            most=1,
        )
        by_number = {state.partition: state for state in states}
        page._pictures.states.update(by_number)  # noqa: SLF001 - without Kafka nothing opens it
        routes = ImageRoutes(index, by_number, Fresh()).routes()
        app = create_api(routes, handlers=page.handlers(), entries=page.entries(), cookies=True)
        await WebServer(app).start("127.0.0.1", port)
        print("ready", flush=True)
        await asyncio.Event().wait()


def look(tab: Tab, url: str, options: argparse.Namespace) -> dict[str, object]:
    """Look at the library, and tell how it felt."""
    tab.add_init_script(TASKS)
    tab.goto(f"{url}#/library")
    tiles = tab.wait_for_function(_TILES).json_value()
    first = {"first_paint_ms": round(tab.evaluate(_PAINT)), "first_tiles_ms": round(float(tiles))}
    taken = sorted(
        tab.evaluate(_FILTER, f"tag-{number * number * 20:05}") for number in range(options.filters)
    )
    tab.goto(f"{url}#/library")
    tab.wait_for_function(_TILES)
    tab.evaluate("() => { window.tasks = [] }")
    scrolled = tab.evaluate(_SCROLL, options.seconds)
    filters = {"filter_p50_ms": round(taken[len(taken) // 2]), "filter_max_ms": round(taken[-1])}
    return first | filters | {f"scroll_{name}": round(value) for name, value in scrolled.items()}


def main() -> None:
    """Start what serves, then look at it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--filters", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=20, help="to scroll for")
    parser.add_argument("--port", type=int, default=16_077)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.images, options.port))
        return
    command = [sys.executable, "-m", "benchmarks.page", "--serve", "--images", str(options.images)]
    with subprocess.Popen(
        [*command, "--port", str(options.port)], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            if server.stdout is None or server.stdout.readline() != "ready\n":
                raise SystemExit("what serves has ended")
            with sync_playwright() as playwright:
                found = shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
                tab = browser.new_page(viewport={"width": 1280, "height": 900})
                told = {"images": options.images, **look(tab, f"http://127.0.0.1:{options.port}/", options)}
                print(json.dumps(told | {"machine": machine()}))
                browser.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
