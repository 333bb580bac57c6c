"""Routes of questions as handlers of Litestar's: read the question, ask it in its turn, encode the answer."""

import asyncio
import functools
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import msgspec
from litestar.handlers import HTTPRouteHandler, get
from litestar.types import Scope

from streams.web.access.callers import EVERY_TENANT
from streams.web.access.errors import BadQuestionError, UnavailableError
from streams.web.access.query_gate import QueryGate
from streams.web.api.health import for_strangers
from streams.web.api.routes import Reply, Route
from streams.web.operations import documentation
from streams.web.replies import Json, Table
from streams.web.tables import about, as_csv, table_wanted

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
        wants_csv = table_wanted(route.answer, given)
        question = route.read(caller.with_tenant(given) if "tenant" in route.parameters else given)
        tenant = getattr(question, "tenant", None)
        caller.require_tenant(tenant)
        if tenant == EVERY_TENANT and not route.every_tenant:
            message = "tenant=* is understood by /trends/top alone; name one, /tenants lists them"
            raise BadQuestionError("invalid_tenant", message)
        return await gate.run(functools.partial(encoded_answer, question, wants_csv), caller.name)

    async def encoded_answer(question: object, wants_csv: bool) -> Json:  # noqa: FBT001 - what is asked for
        answer = await route.handler(question)
        if wants_csv and not isinstance(answer, Reply):
            return Table(await asyncio.to_thread(as_csv, answer), headers=about(answer))
        return _encoded(answer)

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
