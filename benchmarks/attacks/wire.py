"""Bytes on the wire that are no body: chunks of a byte, sizes, extensions, trailers and hints without end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.attacks import sources
from benchmarks.attacks.checks import Check
from benchmarks.attacks.hostile_server import WIRE
from benchmarks.processes import cpu_seconds
from schemas.dead_letters import read_fault

if TYPE_CHECKING:
    from benchmarks.attacks.arena import Arena

SETTINGS = {**sources.SETTINGS, "TAGSTREAM_TAGGER": "stub"}
LOOP = 0.05
UPLOADS = 20  # of each kind
MEGABYTES = 8.0  # of a fetch: what the sockets of both sides hold is sent, read or not
CPU = 0.1  # seconds of a fetch, with all that is done for an upload
REASON = "invalid_answer"


async def attack(arena: Arena) -> list[Check]:
    """Publish uploads of each kind at once; all are dead letters, none is tried again."""
    async with sources.open_sources() as places, arena.watched() as seen:
        spent = cpu_seconds(arena.pid)
        await arena.publish(
            (f"{kind}-{number}", {"url": places.url(f"wire/{kind}/{number}"), "tenant": sources.ATTACKER})
            for kind in WIRE
            for number in range(UPLOADS)
        )
        await arena.until_folded(60)
        fetches = len(WIRE) * UPLOADS
        spent = (cpu_seconds(arena.pid) - spent) / fetches
        sent = sum((await places.sent()).values()) / fetches / 1e6
    reasons: Counter[str] = Counter()
    for letter in await arena.cluster.read(arena.cluster.names.dead_letters):
        fault = read_fault(letter.headers)
        reasons[fault.reason if fault else "none"] += 1
    return [
        Check(f"uploads that are no dead letter of {REASON}", fetches - reasons[REASON], 0),
        Check("megabytes on the wire, per fetch", sent, MEGABYTES),
        Check("CPU time per fetch, s", spent, CPU, clocked=True),
        Check("slowest of the others' uploads, s", seen.upload(1), 2, clocked=True),
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
    ]
