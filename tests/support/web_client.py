"""The query API over real HTTP: its application served by the worker's own server, and a client of it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import ClientSession
from litestar import Litestar
from litestar.types import ASGIApp

from streams.web.access.guard import Guard
from streams.web.api.health import HealthRoutes, Worker
from streams.web.api.routes import Route
from streams.web.app import create_api
from streams.web.server import WebServer


def query_app(
    worker: Worker, routes: Iterable[Route] = (), *, guard: Guard | None = None, closed: str | None = None
) -> Litestar:
    """The application as a worker makes it."""
    return create_api([*HealthRoutes(worker).routes(), *routes], guard=guard, closed=closed)


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """Serve on a free port, and give it."""
    server = WebServer(app)
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[ClientSession]:
    """Serve, and give a client whose paths are of the server."""
    async with serving(app) as port, ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
