"""Events that are slow to read: a megabyte of percent signs, of numbers, of nesting."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from benchmarks.attacks import sources
from benchmarks.attacks.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.attacks.arena import Arena

SETTINGS = {**sources.SETTINGS, "TAGSTREAM_TAGGER": "stub"}
LOOP = 0.05
ROUNDS = 10
INTERVAL = 0.2  # seconds between two events of a megabyte
_SIZE = 1_040_000


def events(tenant: str = sources.ATTACKER) -> Iterator[bytes]:
    """One of each kind."""
    begun = b'{"tenant":"%s",' % tenant.encode()
    for signs in (b"%", b"%4", b"%41", b"%%41"):
        yield begun + b'"url":"data:,%s"}' % (signs * (_SIZE // len(signs)))
    yield begun + b'"url":"data:;base64,%s"}' % base64.b64encode(bytes(_SIZE * 3 // 4))
    yield begun + b'"url":"data:,","context":{"a":[%s1]}}' % (b"1," * (_SIZE // 2))
    yield begun + b'"url":"data:,","context":{"a":[%s1]}}' % (b"[]," * 80_000)
    yield begun + b'"url":"data:,","context":{"a":[%s1]}}' % ((b"[" * 31 + b"]" * 31 + b",") * 4_000)
    yield begun + b'"url":"data:,","language":"%s"}' % (b"," * _SIZE)
    yield begun + b'"url":"http://%s"}' % (b"a" * _SIZE)
    yield begun + b'"url":"%s"}' % (b"\\u0041" * (_SIZE // 6))


async def attack(arena: Arena) -> list[Check]:
    """Publish all kinds, again and again."""
    async with arena.watched() as clean:
        await asyncio.sleep(10)
    async with arena.watched() as seen:
        for number in range(ROUNDS):
            for kind, event in enumerate(events()):
                await arena.publish([(f"flood-{number}-{kind}", event)])
                await asyncio.sleep(INTERVAL)  # more than one may publish: the log itself has room for others
        await arena.until_folded(120)
    return [
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
        Check(
            "median of the others' uploads, over a clean run", seen.upload(0.5) / clean.upload(0.5), 3, True
        ),
        Check("memory, MB", max(seen.memory), 700),
    ]
