"""The same hundred images, tagged anew again and again with a thousand names that nobody has used before."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.arena import Arena

SETTINGS = {
    "TAGSTREAM_TAGGER": "stub",
    "TAGSTREAM_SNAPSHOT_INTERVAL": "0",
    "TAGSTREAM_TENANT_TAGS": "0",  # what follows what is live must not need a budget
}
LOOP = 0.05
IMAGES = 100
TAGS = 1000
ROUNDS = int(os.environ.get("ROUNDS", "20"))
WARM = 5  # rounds after which memory is taken for steady
TENANT = "rotating"
SETTLED = 5.0  # seconds in which query workers bury what is dead


async def attack(arena: Arena) -> list[Check]:
    """Go round and round, delete all images, and let another tenant have as many."""
    before, memory = arena.memory, list[float]()
    async with arena.watched() as seen:
        for number in range(ROUNDS):
            await arena.publish(_round(number, TENANT))
            await arena.until_folded()
            memory.append(arena.memory)
            print(f"  round {number}: {memory[-1]:.0f} MB", flush=True)
        await arena.publish(_deletions())
        await arena.until_folded()
        await asyncio.sleep(SETTLED)
        after = arena.memory
        tags = await arena.ask(f"/tags?tenant={TENANT}&limit=1")
        await arena.publish(_round(0, "another"))
        await arena.until_folded()
        again = arena.memory
    print(
        f"  {before:.0f} MB before, {after:.0f} after the deletions, {again:.0f} with another tenant's images"
    )
    steady = max(memory[: WARM + 1])
    return [
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
        Check("memory of the last five rounds over that of the first", max(memory[-WARM:]) / steady, 1.15),
        Check("tags that are left after the deletions", len(tags.json()["tags"]), 0),
        Check("memory with another tenant's images over that before the deletions", again / memory[-1], 1.05),
    ]


def _round(number: int, tenant: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in range(IMAGES):
        tags = [f"{number:x}-{image:x}-{tag:x}" for tag in range(TAGS)]
        key = f"rotating-{image}"
        yield key, {"public_id": key, "url": "data:,%7B%7D", "tenant": tenant, "tags": tags}


def _deletions() -> Iterator[tuple[str, dict[str, Any]]]:
    for image in range(IMAGES):
        key = f"rotating-{image}"
        yield key, {"public_id": key, "type": "image.deleted", "tenant": TENANT}
