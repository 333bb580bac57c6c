"""One token with twelve connections that asks for a thousand of everything, over a hundred thousand tags."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.attacks.arena import READER
from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.arena import Arena

SETTINGS = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_SNAPSHOT_INTERVAL": "0"}
LOOP = 0.05
CONNECTIONS = 12
IMAGES = int(os.environ.get("IMAGES", "200"))
TAGS = 500
TENANT = "asked"
SECONDS = 3.0  # for each question
_SOME = "+".join(f"shared-{tag}" for tag in range(20))
QUESTIONS = (
    "/trends/top?window=30d&limit=1000",
    "/trends/top?window=30d&by=uploaders&limit=1000",
    "/trends/top?window=all&limit=1000",
    "/trends/rising?window=7d&least_uses=1&least_uploaders=0&limit=1000",
    "/trends/compare?a=30d&limit=1000",
    "/trends/tags/shared-0?window=all&step=minute",
    "/trends/tags/shared-0/related?min_both=1&limit=1000",
    "/tags?limit=1000",
    "/images?limit=1000",
    f"/images?any={_SOME}&order=confidence&limit=1000",
    f"/images?none={_SOME}&limit=1000",
    "/users/user-0/interests?limit=1000",
    "/users/user-0/similar?limit=1000",
    "/users/user-0/feed?limit=1000",
)


async def attack(arena: Arena) -> list[Check]:
    """See what others notice of a caller that is idle, then of one that asks as fast as it is let."""
    await arena.publish(_uploads())
    await arena.until_folded()
    async with arena.watched(uploads=10) as calm:
        await asyncio.sleep(10)
    answers: Counter[int] = Counter()
    async with arena.watched(uploads=10) as seen:
        for question in QUESTIONS:
            await _flood(arena, f"{question}&tenant={TENANT}", answers)
    print(
        f"  answers by status: {dict(answers)}; median of an upload {calm.upload(0.5) * 1000:.1f} ms before"
    )
    return [
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
        Check("median of an upload, times that before", seen.upload(0.5) / calm.upload(0.5), 2, clocked=True),
        Check(
            "questions that failed", sum(n for status, n in answers.items() if status not in {200, 503}), 0
        ),
        Check("questions answered, none of them", float(answers[200] == 0), 0),
    ]


def _uploads() -> Iterator[tuple[str, dict[str, Any]]]:
    for image in range(IMAGES):
        tags = [f"{image:x}-{tag:x}" for tag in range(TAGS - 20)] + [f"shared-{tag}" for tag in range(20)]
        key = f"asked-{image}"
        upload = {"public_id": key, "url": "data:,%7B%7D", "tenant": TENANT, "tags": tags}
        yield key, {**upload, "user_id": f"user-{image % 10}"}


async def _flood(arena: Arena, path: str, answers: Counter[int]) -> None:
    headers, end = {"authorization": f"Bearer {arena.tokens[READER]}"}, time.monotonic() + SECONDS

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as client:
            while time.monotonic() < end:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get(f"http://127.0.0.1:{arena.port}{path}")
                    answers[answer.status_code] += 1

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
