"""Images that cost seconds each, in half a megabyte, before everybody else's photos."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.attacks import sources
from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from benchmarks.attacks.arena import Arena

SETTINGS = sources.SETTINGS
LOOP = 0.1
IMAGES = 60
UPLOADS = 30
RATE = 1.0  # uploads per second
SLOWEST = 1.0  # seconds
TIMES = 3.0  # as long as in a clean run they may take


async def attack(arena: Arena) -> list[Check]:
    """Publish them all at once, and have the honest client upload a photo each second."""
    async with sources.open_sources() as places:
        async with arena.watched(RATE, places.honest) as warm:
            await asyncio.sleep(3 / RATE)
        async with arena.watched(RATE, places.honest) as clean:
            await asyncio.sleep(UPLOADS / RATE)
        await arena.publish(
            (f"dear-{number}", {"url": places.url(f"dear/{number}"), "tenant": sources.ATTACKER})
            for number in range(IMAGES)
        )
        async with arena.watched(RATE, places.honest) as seen:
            await asyncio.sleep(UPLOADS / RATE)
    print(
        f"  uploads before: {_told(warm.uploads)}, clean: {_told(clean.uploads)}, then: {_told(seen.uploads)}"
    )
    return [
        Check("median of the uploads, over a clean run", seen.upload(0.5) / clean.upload(0.5), TIMES, True),
        Check(
            "nine in ten of the uploads, over a clean run", seen.upload(0.9) / clean.upload(0.9), TIMES, True
        ),
        Check("slowest of the uploads, s", seen.upload(1), SLOWEST, clocked=True),
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
        Check("memory, MB", max(seen.memory), 1_000),
    ]


def _told(times: list[float]) -> str:
    return " ".join(f"{seconds:.2f}" for seconds in sorted(times)[:: max(len(times) // 6, 1)])
