"""The query API over real HTTP: its application served by the worker's own server, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import ClientSession
from litestar import Litestar
from litestar.types import ASGIApp

from streams.web.access.guard import Guard
from streams.web.api.health import HealthRoutes, Worker
from streams.web.api.routes import Route
from streams.web.app import create_api
from streams.web.connections import Connection
from streams.web.server import WebServer


def query_app(
    worker: Worker, routes: Iterable[Route] = (), *, guard: Guard | None = None, closed: str | None = None
) -> Litestar:
    """The application as a worker makes it."""
    return create_api([*HealthRoutes(worker).routes(), *routes], guard=guard, closed=closed)


@asynccontextmanager
async def serving(app: ASGIApp, connection: type[Connection] = Connection) -> AsyncIterator[int]:
    """Serve on a free port, and give it."""
    server = WebServer(app, connection)
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await _end(server)


async def _end(server: WebServer) -> None:
    """End a server at once: a graceful stop sleeps for a tenth of a second, and has tests of its own."""
    assert server._ticking is not None
    server._ticking.cancel()
    for listening in server._server.servers:
        listening.close()
    for each in server._sockets:
        each.close()
    for connection in list(server._server.server_state.connections):
        connection.transport.abort()
    await asyncio.gather(server._ticking, *server._server.server_state.tasks, return_exceptions=True)
    await server._server.lifespan.shutdown()


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[ClientSession]:
    """Serve, and give a client whose paths are of the server."""
    async with serving(app) as port, ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
