"""Somebody's server that takes notifications: as slow, as sick and as forgetful as a test wants it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Received:
    """A notification as it came."""

    body: bytes
    headers: dict[str, str]

    @property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(self.body)
        return value


@dataclass
class Receiver:
    """One receiver. `status` decides what it answers; `hangs`: it does not."""

    status: Callable[[dict[str, Any]], int] = lambda _: 200
    hangs: bool = False
    port: int = 0
    taken: list[Received] = field(default_factory=list)
    refused: list[Received] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    most_at_once: int = 0
    at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            received = Received(await request.read(), dict(request.headers))
            if self.hangs:
                await asyncio.Event().wait()
            status = self.status(received.value)
            async with self.changed:
                (self.taken if status < 300 else self.refused).append(received)
                self.changed.notify_all()
            return web.Response(status=status)
        finally:
            self.at_once -= 1

    def said(self, asset: str) -> list[str]:
        """The kinds that were taken of an asset, in order, repeats of the last one left out."""
        return [kind for name, kind in self.told if name == asset]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Asset and request of each notification that was taken, first deliveries alone."""
        found: dict[str, tuple[str, str]] = {}
        for each in self.taken:
            value = each.value
            about = value.get("resources", [value])[0]
            found.setdefault(value["request_id"], (about["public_id"], value["notification_type"]))
        return list(found.values())

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until a condition holds after some notification."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)


@contextlib.asynccontextmanager
async def receiving(receiver: Receiver, port: int = 0) -> AsyncIterator[Receiver]:
    """Let a receiver listen; on the port that it had before, if it had one."""
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port or receiver.port)
    await site.start()
    receiver.port = int(runner.addresses[0][1])
    try:
        yield receiver
    finally:
        await runner.cleanup()
