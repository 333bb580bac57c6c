"""uvicorn in the worker's own loop. It answers from its first second, also while Kafka is away."""

import asyncio
import logging
import os
import socket

import uvicorn
from litestar.types import ASGIApp

from streams.web.connections import IDLE_SECONDS, MAX_CONNECTIONS, Connection

STOP_DEADLINE = 5  # seconds that a stop waits for answers under way


class WebServer:
    """Serves an application; start it with `start`, end it with `stop`. Signals are the worker's."""

    def __init__(self, app: ASGIApp, connection: type[Connection] = Connection) -> None:
        """Prepare.

        Args:
            app: What is served.
            connection: How its connections are.
        """
        self._sockets: list[socket.socket] = []
        self._ticking: asyncio.Task[None] | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=connection,
                ws="none",
                lifespan="on",
                interface="asgi3",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=MAX_CONNECTIONS,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=STOP_DEADLINE,
            )
        )

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._server.server_state.connections)

    async def start(self, host: str, port: int) -> int:
        """Listen.

        Returns:
            The port, where 0 was asked for as well.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._sockets = await _bound(host, port)
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(self._sockets)
        self._ticking = asyncio.create_task(self._server.main_loop())
        return int(self._sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and end what is in work when the deadline is over."""
        if self._ticking is None:
            return
        self._server.should_exit = True
        self._ticking.cancel()  # it only ticks, ten times a second
        await asyncio.gather(self._ticking, return_exceptions=True)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut off now is nobody's fault
        await self._server.shutdown(self._sockets)
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()


async def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets on all addresses of a host: uvicorn would end the process where it cannot listen."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    sockets = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
    server.close()
    await server.wait_closed()
    return sockets
