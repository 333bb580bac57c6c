"""Routes of questions as handlers of Litestar's: read the question, ask it in its turn, encode the answer."""

import functools
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import msgspec
from litestar.handlers import HTTPRouteHandler, get
from litestar.types import Scope

from streams.web.access.errors import UnavailableError
from streams.web.access.query_gate import QueryGate
from streams.web.api.health import for_strangers
from streams.web.api.routes import Reply, Route
from streams.web.operations import documentation
from streams.web.replies import Json

if TYPE_CHECKING:
    from streams.web.access.callers import Caller


def handler_of(route: Route, gate: QueryGate, closed: str | None = None) -> HTTPRouteHandler:
    """A handler that answers one route.

    Args:
        route: The route.
        gate: Bounds the work at once, and its time. Sending is no part of it: a slow reader holds no place.
        closed: Why no question about the state is answered here; None: they are.
    """

    async def answer_caller(scope: Scope) -> Json:
        caller: Caller = scope["user"]
        caller.require(route.scope)
        if route.needs_state and closed is not None:
            raise UnavailableError("queries_off", closed)
        given = _given(scope)
        question = route.read(caller.with_tenant(given) if "tenant" in route.parameters else given)
        caller.require_tenant(getattr(question, "tenant", None))
        return await gate.run(functools.partial(encoded_answer, question), caller.name)

    async def encoded_answer(question: object) -> Json:
        return _encoded(await route.handler(question))

    async def answer_anybody(scope: Scope) -> Json:
        answer = await route.handler(route.read(_given(scope)))
        return _encoded(answer if scope["user"] is not None else for_strangers(answer))

    path = re.sub(r"{(\w+)}", r"{\1:str}", route.path)
    return get(path, **documentation(route))(answer_anybody if route.open else answer_caller)


def _given(scope: Scope) -> dict[str, list[str]]:
    """The texts of a question's parameters. A part of the path is decoded only here: it may hold a slash."""
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return given | {name: [unquote(text)] for name, text in scope["path_params"].items()}


def _encoded(answer: msgspec.Struct | Reply) -> Json:
    reply = answer if isinstance(answer, Reply) else Reply(answer, 200)
    return Json(msgspec.json.encode(reply.answer), reply.status)
