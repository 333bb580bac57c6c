"""HTTP for the query API. It answers from its first second, also while Kafka is away."""

import logging
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from aiohttp import web

from schemas.answers import Problem
from streams.api.errors import QuestionError, UnavailableError
from streams.api.health import HealthRoutes, Worker
from streams.api.openapi import openapi_document
from streams.api.routes import Reply, Route

log = logging.getLogger(__name__)

MAX_TARGET = 8192  # bytes of path and query
_LINE_LIMIT = 2 * MAX_TARGET  # beyond it aiohttp refuses by itself, in plain text
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "server": "tagstream",
    "x-content-type-options": "nosniff",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QueryApi:
    """Serves the routes; start it with `start`, end it with `stop`."""

    def __init__(self, worker: Worker, routes: Iterable[Route] = (), *, closed: str | None = None) -> None:
        """Make the server.

        Args:
            worker: Whose health is told.
            routes: What else is served.
            closed: Why no question about the state is answered here; None: they are.
        """
        self.routes = [*HealthRoutes(worker).routes(), *routes]
        self._closed = closed
        self._document = msgspec.json.encode(openapi_document(self.routes))
        app = web.Application(middlewares=[_explain], client_max_size=64 * 1024)
        app.router.add_get("/openapi.json", self._openapi)
        for route in self.routes:
            app.router.add_get(route.path, self._serve(route))
        self._runner = web.AppRunner(app, access_log=None, max_line_size=_LINE_LIMIT)

    @property
    def app(self) -> web.Application:
        """Give the application, for a test's own server."""
        return self._runner.app

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

    def _serve(self, route: Route) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            if route.needs_state and self._closed is not None:
                raise UnavailableError("queries_off", self._closed)
            answer = await route.handler(route.read(_given(request)))
            if isinstance(answer, Reply):
                return _json(answer.answer, answer.status)
            return _json(answer)

        return handler

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json", headers=_HEADERS)


def _given(request: web.Request) -> dict[str, list[str]]:
    given = {name: request.query.getall(name) for name in request.query}
    given.update({name: [text] for name, text in request.match_info.items()})
    return given


def _json(answer: msgspec.Struct, status: int = 200) -> web.Response:
    body = msgspec.json.encode(answer)
    return web.Response(body=body, status=status, content_type="application/json", headers=_HEADERS)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    if len(request.raw_path) > MAX_TARGET:
        return _json(Problem("too_long", f"path and query exceed {MAX_TARGET} bytes; ask for less"), 414)
    try:
        return await handler(request)
    except QuestionError as error:
        return _json(Problem(error.code, str(error)), error.status)
    except web.HTTPException as error:
        return _refusal(request, error)
    except Exception:
        log.exception("%s failed", request.path)
        return _json(Problem("internal_error", "see the worker's log"), 500)


def _refusal(request: web.Request, error: web.HTTPException) -> web.Response:
    reasons = {
        404: f"no route {request.path[:64]!r}; /openapi.json lists them",
        405: f"{request.method[:16]} is not answered here; use GET or HEAD",
    }
    response = _json(Problem(f"http_{error.status}", reasons.get(error.status, error.reason)), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
