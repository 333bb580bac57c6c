"""Requests of the page: what they ask, whether the page itself makes them, and who may change what."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler, route
from litestar.response.base import ASGIResponse
from litestar.types import Method

from streams.web.access.callers import Caller, Scope
from streams.web.access.errors import BadQuestionError
from streams.web.access.refusals import ForbiddenError, UnknownCallerError
from streams.web.api.parameters import parameters_of, read_question

MAX_JSON = 256 * 1024  # bytes of what is sent as JSON
OURS = "x-tagstream-page"
"""A header that no form and no image of another page can send."""

AnyRequest = Request[Any, Any, Any]
Answer = Callable[[AnyRequest], Awaitable[ASGIResponse]]
Question = TypeVar("Question")
Body = TypeVar("Body")


def handler(method: Method, path: str, answer: Answer) -> HTTPRouteHandler:
    """A handler of one path, which is the page's own affair and no part of the documented API.

    Whoever reads a request's body bounds it.
    """

    async def respond(request: AnyRequest) -> ASGIResponse:
        return await answer(request)

    return route(
        path, http_method=method, status_code=200, include_in_schema=False, request_max_body_size=None
    )(respond)


def caller_of(request: AnyRequest) -> Caller:
    """Who asks.

    Raises:
        UnknownCallerError: Nobody who is known.
    """
    caller: Caller | None = request.scope["user"]
    if caller is None:
        raise UnknownCallerError("token_missing", "a token is needed; sign in")
    return caller


def question_of(request: AnyRequest, kind: type[Question]) -> Question:
    """What is asked, of a tenant that the caller may ask about: a question as those of the query API.

    Raises:
        QuestionError: A parameter breaks its rule, or the caller may not ask that.
    """
    given = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given |= {name: [unquote(text)] for name, text in request.scope["path_params"].items()}
    caller, parameters = caller_of(request), parameters_of(kind)
    caller.require(Scope.READ)
    question = read_question(kind, parameters, caller.with_tenant(given) if "tenant" in parameters else given)
    if "tenant" in parameters:
        caller.require_tenant(getattr(question, "tenant", None))
    return question


async def body_of(request: AnyRequest, kind: type[Body]) -> Body:
    """What is sent, as JSON.

    Raises:
        BadQuestionError: It is something else.
    """
    try:
        return msgspec.json.decode(await _bounded(request), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadQuestionError("invalid_body", f"the body is no JSON as it should be: {error}") from None


async def _bounded(request: AnyRequest) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_JSON:
            raise BadQuestionError("invalid_body", f"the body has more than {MAX_JSON} bytes; send less")
    return bytes(body)


def require_own_page(request: AnyRequest) -> None:
    """Refuse what another site makes a browser ask.

    Raises:
        ForbiddenError: The page has not asked this.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    if foreign or OURS not in request.headers:
        raise ForbiddenError(
            "foreign_page", f"only this host's own page may ask this, with the header {OURS}"
        )


class Writing:
    """Who may change something by the page."""

    def __init__(self, *, local: bool) -> None:
        """Decide.

        Args:
            local: Whether no token is needed, and whoever reaches the page may change something.
        """
        self._local = local

    def allowed(self, caller: Caller | None) -> bool:
        """Whether a caller may."""
        return caller is not None and (Scope.WRITE in caller.scopes or (self._local and not caller.name))

    def admit(self, request: AnyRequest, tenant: str) -> Caller:
        """Let a caller change something of a tenant.

        Raises:
            ForbiddenError: The token is for something else, or the page has not asked this.
        """
        require_own_page(request)
        caller = caller_of(request)
        if not self.allowed(caller):
            if caller.name:
                caller.require(Scope.WRITE)
            cure = (
                "name a file of tokens in TAGSTREAM_TOKENS, with one whose scopes are read and write, or say "
                "TAGSTREAM_OPEN_PAGE=true where whoever reaches this port may"
            )
            raise ForbiddenError("scope_refused", f"without tokens nobody may write from afar; {cure}")
        caller.require_tenant(tenant)
        return caller
