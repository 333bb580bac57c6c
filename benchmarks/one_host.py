"""One host some of whose objects hang: how long its good ones take meanwhile.

    python -m benchmarks.one_host [--seconds 25] [--rate 50] [--shares 0 2 4]

A steady rate of fetches from one host of loopback, of which such a share, in percent, is never answered. The
limits are a worker's defaults. The first run has none that hang; the exit status is 0 only if the median of
the good ones that were asked for in a run's second half stays below three times that.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field

from aiohttp import web

from benchmarks.program import parser_of
from streams.app.assembly import fetch_limits
from streams.app.settings import Settings
from streams.fetch.addresses import AddressPolicy
from streams.fetch.errors import SourceError
from streams.fetch.fetcher import Fetcher

TAKES = 0.015  # seconds of a good object
TIMES = 3.0
HOST = "127.0.0.1"


@dataclass
class Run:
    """Fetches at a steady rate: when each good one was asked for, and what it took, in seconds."""

    share: float
    took: list[tuple[float, float]] = field(default_factory=list)
    asked: int = 0

    def median(self, since: float) -> float:
        """The median of those that were asked for late; infinite where most were not answered."""
        late = [seconds for at, seconds in self.took if at >= since]
        return statistics.median(late) if late else float("inf")


async def _answer(request: web.Request) -> web.Response:
    if request.path.startswith("/hang"):
        await asyncio.Event().wait()
    await asyncio.sleep(TAKES)
    return web.Response(body=b"x" * 1000)


async def run(share: float, rate: float, seconds: float, port: int) -> Run:
    """Ask for objects, of which a share hangs; end with those that are still awaited."""
    found = Run(share)
    began = time.monotonic()

    async def fetch(fetcher: Fetcher, number: int) -> None:
        asked = time.monotonic()
        hangs = share and number % round(100 / share) == 0
        try:
            (await fetcher.fetch(f"http://{HOST}:{port}/{'hang' if hangs else 'good'}/{number}")).release()
        except SourceError:
            return
        found.took.append((asked - began, time.monotonic() - asked))

    async with Fetcher(AddressPolicy.parse(f"{HOST}:{port}"), fetch_limits(Settings())) as fetcher:
        tasks: list[asyncio.Task[None]] = []
        while (now := time.monotonic() - began) < seconds:
            tasks.append(asyncio.create_task(fetch(fetcher, len(tasks))))
            await asyncio.sleep(max(len(tasks) / rate - now, 0))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    found.asked = len(tasks)
    return found


async def measure(shares: list[float], rate: float, seconds: float) -> bool:
    """Run each share and print what was seen; return whether all stay within the bound."""
    app = web.Application()
    app.router.add_get("/{kind}/{number}", _answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    port = int(runner.addresses[0][1])
    try:
        runs = [await run(share, rate, seconds, port) for share in shares]
    finally:
        await runner.cleanup()
    medians = [each.median(seconds / 2) for each in runs]
    for each, median in zip(runs, medians, strict=True):
        print(
            f"{each.share:g} % hang: {each.asked} asked, {len(each.took)} good ones answered, "
            f"median of the later half {median * 1000:.0f} ms, {median / medians[0]:.1f} times a clean run's"
        )
    return all(median <= TIMES * medians[0] for median in medians)


def main() -> int:
    """Read the command line and measure; return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=25.0, help="of each run")
    parser.add_argument("--rate", type=float, default=50.0, help="fetches per second")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 2.0, 4.0], help="percent that hang")
    options = parser.parse_args()
    return 0 if asyncio.run(measure(options.shares, options.rate, options.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
