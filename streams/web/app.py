"""The application: all routes, behind one door, with one way to say why not.

A route of questions is a `Route` of `api/`. Whatever else is served is a handler of Litestar's.
"""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.types import ASGIApp, ControllerRouterHandler, Middleware

from streams.web.access.guard import Guard
from streams.web.api.routes import Route
from streams.web.docs_page import DocsPage, docs_router
from streams.web.door import Door, Entry
from streams.web.envelope import Envelope
from streams.web.handlers import handler_of
from streams.web.meter import QueryMeter
from streams.web.operations import describe_answers
from streams.web.problems import EXCEPTION_HANDLERS
from streams.web.replies import Json

MAX_BODY = 64 * 1024  # bytes, where a handler names no other number
_PUBLIC = {"/openapi.json": Entry.COUNTED, "/docs": Entry.COUNTED}
_BEARER = SecurityScheme(
    type="http",
    scheme="bearer",
    description="A token of `tagstream token new`. Where the operator names no tokens, none is needed.",
)


def create_api(
    routes: Iterable[Route],
    *,
    guard: Guard | None = None,
    closed: str | None = None,
    handlers: Sequence[ControllerRouterHandler] = (),
    entries: Mapping[str, Entry] | None = None,
    middleware: Sequence[Middleware] = (),
    cookies: bool = False,
    meter: QueryMeter | None = None,
) -> Litestar:
    """Make the application.

    Args:
        routes: The questions that it answers.
        guard: Who may ask; None: anybody on this machine.
        closed: Why no question about the state is answered here; None: they are.
        handlers: What else is served; `scope["user"]` says to whom.
        entries: Paths of theirs that are not for callers alone.
        middleware: Around all handlers.
        cookies: Whether a token may come in a cookie, too.
        meter: Is told of each answer; None: nobody is.
    """
    guard, routes = guard or Guard(), list(routes)
    app = Litestar(
        [*(handler_of(route, guard.gate, closed) for route in routes), *handlers],
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
        middleware=middleware,
        on_shutdown=[guard.gate.close],
        openapi_config=_openapi_config(),
        request_max_body_size=MAX_BODY,
    )
    app.register(_document_of(app, routes))
    probes = {route.path: Entry.ANYBODY for route in routes if route.open}
    door: ASGIApp = Door(app.asgi_handler, guard, {**_PUBLIC, **probes, **(entries or {})}, cookies=cookies)
    metered = meter.around(door, (route.path_format for route in app.routes)) if meter else door
    app.asgi_handler = Envelope(metered, [route.path for route in routes])
    return app


def _openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Tagstream",
        version=version("tagstream"),
        description="Trends and queries. Each answer says how fresh and how complete it is.",
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        components=Components(security_schemes={"bearer": _BEARER}),
        openapi_router=docs_router(),
        render_plugins=[DocsPage()],
    )


def _document_of(app: Litestar, routes: Iterable[Route]) -> HTTPRouteHandler:
    """Serves the document; it is made once, when somebody asks for it, and not at every start."""
    making = asyncio.Lock()

    @functools.cache
    def document() -> bytes:
        schema = app.openapi_schema
        describe_answers(schema.components.schemas or {}, routes)
        return msgspec.json.encode(schema.to_schema())

    @get("/openapi.json", include_in_schema=False)
    async def openapi() -> Json:
        async with making:
            return Json(await asyncio.to_thread(document))

    return openapi
