"""A tenant that does everything at once, and another one that only wants its photos tagged."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.attacks import data_floods, sources
from benchmarks.attacks.checks import Check
from benchmarks.attacks.hostile_server import WIRE
from benchmarks.processes import cpu_seconds, main_thread_seconds
from streams.fold.rows import ALL, TrendKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.attacks.arena import Arena
    from benchmarks.attacks.sources import Sources

SETTINGS = {**sources.SETTINGS, "TAGSTREAM_LOOP_LIMIT": "0"}  # a figure instead of an end
LOOP = 0.1
RATE = 5.0  # the honest tenant's uploads per second
CLEAN = 60.0  # seconds at most of the run without the other tenant
DEAR = 60  # at once, at the beginning
NEW_TAGS = 500  # of an event
SLOW_HOSTS = 30
TIMES = 3.0  # as long as in a clean run
AT_THE_END = 20  # honest uploads just before the worker is stopped
STOPS_WITHIN = 15.0  # seconds

Event = tuple[str, dict[str, Any] | bytes]


async def attack(arena: Arena) -> list[Check]:
    """Publish all kinds at steady rates, then stop the worker amid that, and start it again."""
    async with sources.open_sources() as places:
        async with arena.watched(RATE, places.honest):
            await asyncio.sleep(5)
        async with arena.watched(RATE, places.honest) as clean:
            await asyncio.sleep(min(arena.seconds, CLEAN))
        async with _hostile_tenant(arena, places):
            spent = _spent(arena)
            async with arena.watched(RATE, places.honest) as seen:
                await asyncio.sleep(arena.seconds)
                loop, whole = (now - then for now, then in zip(_spent(arena), spent, strict=True))
            held = await arena.metric("tagstream_event_loop_longest_seconds", time="cpu")
            await arena.publish((f"last-{number}", places.honest) for number in range(AT_THE_END))
            began = time.monotonic()
            arena.cluster.signal(0, signal.SIGTERM)
            code = await arena.cluster.ended(0)
            stopped = time.monotonic() - began
        await arena.cluster.start(0)
        await arena.until_ready()
        await arena.until_folded()
    print(
        f"  p50, p99 clean: {clean.upload(0.5):.3f} {clean.upload(0.99):.3f} s; "
        f"beside the other tenant: {seen.upload(0.5):.3f} {seen.upload(0.99):.3f} s; "
        f"CPU time {whole:.0f} s, the event loop's {loop:.0f} s"
    )
    return [
        Check("p99 of the uploads, over a clean run", seen.upload(0.99) / clean.upload(0.99), TIMES, True),
        Check("slowest answer of /healthz, s", seen.healthz_max, 0.1, clocked=True),
        Check("memory, MB", max(seen.memory), 1_074),
        Check("CPU time for which the event loop was held at once under attack, s", held, LOOP),
        Check("exit status after SIGTERM", code, 0),
        Check("seconds from SIGTERM to the end", stopped, STOPS_WITHIN, clocked=True),
        *await _counts(arena),
    ]


def _spent(arena: Arena) -> tuple[float, float]:
    """The CPU time that the event loop's thread has taken, and the whole worker."""
    return main_thread_seconds(arena.pid), cpu_seconds(arena.pid)


@contextlib.asynccontextmanager
async def _hostile_tenant(arena: Arena, places: Sources) -> AsyncIterator[None]:
    """Publish everything at once, at steady rates, until the end."""
    await arena.publish(itertools.islice(_dear(places), DEAR))
    floods = ((_dear, 2.0), (_new_tags, 1.0), (_wire, 0.5), (_slow, 0.5), (_data, 1.0))
    tasks = [
        asyncio.create_task(_publish(arena, kind(places), every), name=kind.__name__)
        for kind, every in floods
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if faults := [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)]:
            raise RuntimeError(f"the hostile tenant has ended: {faults[0]!r}")


async def _publish(arena: Arena, events: Iterator[Event], every: float) -> None:
    while True:
        await arena.publish([next(events)])
        await asyncio.sleep(every)


_numbers = itertools.count()


def _event(name: str, **fields: Any) -> Event:  # noqa: ANN401 - fields of an event
    return f"{name}-{next(_numbers)}", {"tenant": sources.ATTACKER, **fields}


def _dear(places: Sources) -> Iterator[Event]:
    while True:
        yield _event("dear", url=places.url(f"dear/{next(_numbers)}"))


def _new_tags(_: Sources) -> Iterator[Event]:
    while True:
        tags = [f"tag {next(_numbers)} that nobody else has" for _ in range(NEW_TAGS)]
        yield _event("tags", url="data:,", tags=tags, categorization=[])


def _wire(places: Sources) -> Iterator[Event]:
    for kind in itertools.cycle(WIRE):
        yield _event("wire", url=places.url(f"wire/{kind}/{next(_numbers)}"))


def _slow(places: Sources) -> Iterator[Event]:
    for number in itertools.count():
        host, how = f"127.0.1.{number % SLOW_HOSTS + 1}", ("hang", "drip")[number % 2]
        yield _event("slow", url=places.url(f"{how}/{number}", host))


def _data(_: Sources) -> Iterator[Event]:
    for event in itertools.cycle(data_floods.events()):
        yield f"data-{next(_numbers)}", event


async def _counts(arena: Arena) -> list[Check]:
    """Compare what was published with what came of it, by the topics alone."""
    names, read = arena.cluster.names, arena.cluster.read
    published = {record.key.decode() for record in await read(names.uploads)}
    letters = {record.key.decode() for record in await read(names.dead_letters)}
    updated = {record.key.decode() for record in await read(names.tag_updates)}
    waiting = {
        base64.b64decode(row["key"]).decode() for row in (await arena.cluster.table("retries")).values()
    }
    results: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for result in await arena.cluster.results():
        results[result["public_id"]] += 1
        if result["tenant"] == sources.ONLOOKER:
            expected.update(result["tags"])
    counted: Counter[str] = Counter()
    for (_, key), row in (await arena.cluster.table("trends")).items():
        trend = TrendKey.decode(key)
        if (trend.tenant, trend.window) == (sources.ONLOOKER, ALL):
            counted[trend.tag] += row["n"]
    honest = [name for name in published if name.startswith(("onlooker-", "last-"))]
    lost = published - results.keys() - letters - updated - waiting
    told = (
        f"{len(published)} published: {len(results)} tagged, {len(letters)} dead letters, {len(waiting)} wait"
    )
    print(f"  {told}; {sum(counted.values())} tags counted of {len(honest)} honest uploads")
    return [
        Check("honest uploads without exactly one result", sum(results[name] != 1 for name in honest), 0),
        Check("uploads with more than one result", sum(number > 1 for number in results.values()), 0),
        Check("uploads of which nothing came, and that do not wait", len(lost), 0),
        Check(
            "tags of the honest tenant with a wrong count", len(dict(counted.items() ^ expected.items())), 0
        ),
    ]
