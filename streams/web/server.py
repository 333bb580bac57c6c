"""HTTP for the query API. It answers from its first second, also while Kafka is away."""

import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import cast

import msgspec
from aiohttp import web

from schemas.answers.trends import Problem
from streams.web.access.callers import Caller
from streams.web.access.errors import QuestionError, UnavailableError
from streams.web.access.guard import Guard
from streams.web.api.health import HealthRoutes, Worker, for_strangers
from streams.web.api.openapi import openapi_document
from streams.web.api.routes import Reply, Route
from streams.web.connections import QueryServer
from streams.web.meter import QueryMeter

log = logging.getLogger(__name__)

MAX_TARGET = 8192  # bytes of path and query
_LINE_LIMIT = 2 * MAX_TARGET  # beyond it aiohttp refuses by itself, in plain text
_STOP_DEADLINE = 5.0  # seconds that a stop waits for answers under way
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

    def __init__(
        self,
        worker: Worker,
        routes: Iterable[Route] = (),
        *,
        guard: Guard | None = None,
        closed: str | None = None,
        meter: QueryMeter | None = None,
    ) -> None:
        """Make the server.

        Args:
            worker: Whose health is told.
            routes: What else is served.
            guard: Who may ask; None: anybody on this machine.
            closed: Why no question about the state is answered here; None: they are.
            meter: Is told of each answer; None: nobody is.
        """
        self.routes = [*HealthRoutes(worker).routes(), *routes]
        self._guard = guard or Guard()
        self._closed = closed
        self._meter = meter
        self._document = msgspec.json.encode(openapi_document(self.routes))
        middlewares = [self._explain] if meter is None else [self._time, self._explain]
        app = web.Application(middlewares=middlewares, client_max_size=64 * 1024)
        app.router.add_get("/openapi.json", self._openapi)
        for route in self.routes:
            app.router.add_get(route.path, self._serve(route))
        app.on_cleanup.append(self._end_work)
        self._runner = web.AppRunner(app)
        self._stack = contextlib.AsyncExitStack()
        self._server: QueryServer | None = None

    @property
    def app(self) -> web.Application:
        """Give the application, for a test's own server."""
        return self._runner.app

    @property
    def connections(self) -> int:
        """Give the number of open connections."""
        return len(self._server.open) if self._server else 0

    async def start(self, host: str, port: int) -> int:
        """Listen; give the port.

        Raises:
            OSError: The address cannot be listened on.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._runner.setup()
            stack.push_async_callback(self._runner.cleanup)
            app = cast("web.Server", self._runner.server)
            server = QueryServer(app, _no_http, access_log=None, max_line_size=_LINE_LIMIT)
            runner = web.ServerRunner(
                await stack.enter_async_context(server), shutdown_timeout=_STOP_DEADLINE
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, host, port, backlog=server.most).start()
            self._server, self._stack = server, stack.pop_all()
            return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._stack.aclose()

    def _serve(self, route: Route) -> Handler:
        answers = self._answer_anybody if route.open else self._answer_caller

        async def handler(request: web.Request) -> web.Response:
            answer = await answers(route, request)
            return _json(answer.answer, answer.status) if isinstance(answer, Reply) else _json(answer)

        return handler

    async def _answer_caller(self, route: Route, request: web.Request) -> msgspec.Struct | Reply:
        caller, given = self._admit(request), _given(request)
        caller.require(route.scope)
        if route.needs_state and self._closed is not None:
            raise UnavailableError("queries_off", self._closed)
        question = route.read(caller.with_tenant(given) if "tenant" in route.parameters else given)
        caller.require_tenant(getattr(question, "tenant", None))
        return await self._guard.gate.run(functools.partial(route.handler, question), caller.name)

    async def _answer_anybody(self, route: Route, request: web.Request) -> msgspec.Struct | Reply:
        answer = await route.handler(route.read(_given(request)))
        known = self._guard.recognize(_all(request, "Authorization")) is not None
        return answer if known else for_strangers(answer)

    async def _openapi(self, request: web.Request) -> web.Response:
        self._guard.count(None, request.remote or "")
        return web.Response(body=self._document, content_type="application/json", headers=_HEADERS)

    def _admit(self, request: web.Request) -> Caller:
        return self._guard.admit(_all(request, "Authorization"), request.remote or "")

    async def _end_work(self, _app: web.Application) -> None:
        await self._guard.gate.close()

    @web.middleware
    async def _time(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        response = await handler(request)
        resource = request.match_info.route.resource
        if self._meter is not None:
            route = "" if resource is None else resource.canonical
            self._meter.note_answer(route, response.status, time.perf_counter() - started)
        return response

    @web.middleware
    async def _explain(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if len(request.raw_path) > MAX_TARGET:
            return _json(Problem("too_long", f"path and query exceed {MAX_TARGET} bytes; ask for less"), 414)
        try:
            self._guard.check_host(_all(request, "Host"))
            if request.match_info.http_exception is not None:
                self._admit(request)  # whoever looks for routes is counted as well
            return await handler(request)
        except QuestionError as error:
            return _json(Problem(error.code, str(error)), error.status, error.headers)
        except web.HTTPException as error:
            return _refusal(request, error)
        except Exception:
            log.exception("%s failed", request.path)
            return _json(Problem("internal_error", "see the worker's log"), 500)


def _all(request: web.Request, header: str) -> Sequence[str]:
    return request.headers.getall(header, ())


def _given(request: web.Request) -> dict[str, list[str]]:
    given = {name: request.query.getall(name) for name in request.query}
    given.update({name: [text] for name, text in request.match_info.items()})
    return given


def _json(answer: msgspec.Struct, status: int = 200, more: Mapping[str, str] = _HEADERS) -> web.Response:
    body = msgspec.json.encode(answer)
    headers = {**_HEADERS, **more}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _refusal(request: web.Request, error: web.HTTPException) -> web.Response:
    reasons = {
        404: f"no route {request.path[:64]!r}; /openapi.json lists them",
        405: f"{request.method[:16]} is not answered here; use GET or HEAD",
    }
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    reason = reasons.get(error.status, error.reason)
    return _json(Problem(f"http_{error.status}", reason), error.status, allow)


def _no_http(status: int) -> web.Response:
    return _json(Problem(f"http_{status}", "this is no HTTP request that is understood here"), status)
