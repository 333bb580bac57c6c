"""The query API: JSON over HTTP. It answers from its first second, also while Kafka is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from aiohttp import web

from schemas.answers import Health, Problem, TopTags
from schemas.errors import BadEventError
from streams.querying import partition_states, top_tags, window_prefix
from streams.unit import Unit

log = logging.getLogger(__name__)

MAX_LIMIT = 1000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Queried(Protocol):
    """What the API asks: see `streams.worker.Worker`."""

    @property
    def status(self) -> str:
        """Give what the worker does: starting, waiting for Kafka, ready, stopping."""

    @property
    def units(self) -> dict[int, Unit]:
        """Give the partitions in work."""

    @property
    def partitions(self) -> int | None:
        """Give how many partitions there are, if that is known yet."""


class QueryApi:
    """Serves the routes; start it with `start`, end it with `stop`."""

    def __init__(self, worker: Queried) -> None:
        self._worker = worker
        app = web.Application(middlewares=[_explain], client_max_size=64 * 1024)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/trends/top", self.trends_top)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Listen; give the port.

        Raises:
            OSError: The address cannot be listened on.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        return int(address[1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def healthz(self, _request: web.Request) -> web.Response:
        """Tell that the process and its event loop are alive."""
        return _json(Health(self._worker.status, partition_states(self._worker.units)))

    async def readyz(self, _request: web.Request) -> web.Response:
        """Tell whether uploads are being worked on: 200, or 503 with the reason."""
        health = Health(self._worker.status, partition_states(self._worker.units))
        loaded = all(state.ready for state in health.partitions)
        ready = health.status == "ready" and loaded
        if health.status == "ready" and not loaded:
            health = Health("loading state", health.partitions)
        return _json(health, status=200 if ready else 503)

    async def trends_top(self, request: web.Request) -> web.Response:
        """Give the most used tags of a window: `window=all` or an hour in UTC; `limit=`."""
        window = request.query.get("window", "all")
        prefix = window_prefix(window)
        limit = _limit(request.query.get("limit", "20"))
        units = self._worker.units
        rows = [dict(unit.books.state.rows["trends"]) for unit in units.values()]
        tags = await asyncio.to_thread(top_tags, rows, prefix, limit)
        ready = sum(unit.ready.is_set() for unit in units.values())
        return _json(TopTags(window, ready == self._worker.partitions, partition_states(units), tags))


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise BadEventError("invalid_limit", f"limit {text[:20]!r}: say a number from 1 to {MAX_LIMIT}")
    return int(text)


def _json(answer: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer),
        status=status,
        content_type="application/json",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadEventError as error:
        return _json(Problem(error.code, str(error)), status=400)
    except web.HTTPException as error:
        return _json(Problem(f"http_{error.status}", error.reason), status=error.status)
    except Exception:
        log.exception("%s failed", request.path)
        return _json(Problem("internal_error", "see the worker's log"), status=500)
