"""A call of a gateway while it is answered, and its answer."""

import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from streams.gateway.rates import Rates
from streams.gateway.requests.authentication import Caller, authenticate_basic, authenticate_signed
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.credentials_file import CredentialsFile
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.forms import Forms
from streams.gateway.requests.parts import FileSink, Form, FormShape
from streams.gateway.requests.problems import GatewayError

audit = logging.getLogger("streams.gateway.audit")
CONTENT_TYPE = "application/json; charset=utf-8"


class Answer:
    """An answer in JSON; an ASGI application. A call may be answered by any other one as well."""

    def __init__(self, answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:  # noqa: ANN401 - JSON
        """Encode it.

        Args:
            answer: What is said; bytes are JSON already.
            status: The HTTP status; every SDK takes 200 alone for success.
            headers: More headers.
        """
        self.body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        self.status = status
        self._headers = headers or {}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        given = {"content-type": CONTENT_TYPE, "content-length": str(len(self.body)), **self._headers}
        headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in given.items()
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


@dataclass(frozen=True)
class Door:
    """What every call is let in by.

    Attributes:
        credentials: Who there is.
        rates: How much each may ask.
        forms: Reads bodies.
        clock: Gives seconds since the epoch.
    """

    credentials: CredentialsFile
    rates: Rates
    forms: Forms = field(default_factory=Forms)
    clock: Callable[[], float] = time.time


@dataclass
class Call:
    """A call that is being answered.

    Attributes:
        path: Decoded: a slash within a name is a slash like others.
        parts: The named groups of its route's pattern; none is None.
        headers: Headers that its answer has, whatever it is.
        kind: What metrics call it; empty: no route answers it.
    """

    scope: HTTPScope
    receive: Receive
    door: Door
    path: str
    parts: Mapping[str, str]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    ending: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _written: list[str] | None = None

    @property
    def method(self) -> str:
        """Give the method; HEAD is GET."""
        return self.scope["method"]

    @property
    def cloud(self) -> str:
        """Give the cloud's name as in the path."""
        return self.parts["cloud"]

    def header(self, name: str) -> str | None:
        """Give a header of the request; None: it has none."""
        for key, value in self.scope["headers"]:
            if key == name.encode():
                return value.decode("latin-1")
        return None

    async def form(self, sink: FileSink | None = None, shape: FormShape | None = None) -> Form:
        """Read the request's fields and its file.

        Raises:
            GatewayError: They cannot be read, or exceed a limit.
        """
        return await self.door.forms.read(self.scope, self.receive, sink, shape)

    def admit_signed(self, fields: Fields, right: Right, action: str) -> Caller:
        """Let in who makes this call of the Upload API, and hold a place for it until the call's end.

        Raises:
            GatewayError: Nobody who may, or too often.
        """
        credentials = self.door.credentials.now
        caller = authenticate_signed(
            credentials, self.cloud, self.scope, fields, self.door.clock(), action=action
        )
        caller.require(right)
        self.ending.enter_context(self.door.rates.place(caller))
        self.door.rates.take_upload(caller)
        return caller

    def admit_admin(self, right: Right) -> Caller:
        """Let in who makes this call of the Admin API, and tell how many calls are left.

        Raises:
            GatewayError: Nobody who may, or too often.
        """
        caller = authenticate_basic(self.door.credentials.now, self.cloud, self.scope)
        allowance = self.door.rates.take_admin(caller)
        self.headers.update(allowance.headers())
        caller.require(right, admin=True)
        self.ending.enter_context(self.door.rates.place(caller))
        return caller

    def writes(self, caller: Caller, action: str, public_ids: Sequence[str]) -> None:
        """Note what this call changes, for the audit log: one line when it is answered.

        Args:
            caller: Who calls.
            action: Such as `upload`.
            public_ids: What it is about; of many the first ones are told.
        """
        self._written = [caller.cloud.name, caller.name, action, _listed(public_ids)]

    def log(self, status: int) -> None:
        """Write the line of the audit log, if the call was one that changes something."""
        if self._written is not None:
            cloud, key, action, public_ids = self._written
            line = "cloud=%s key=%s action=%s public_id=%s request=%s status=%d"
            audit.info(line, cloud, key, action, public_ids, self.request_id, status)


Handler = Callable[[Call], Awaitable[ASGIApp]]


@dataclass(frozen=True)
class Route:
    """A route.

    Attributes:
        methods: That it answers; GET includes HEAD.
        pattern: Of the whole path, decoded, behind the area's prefix; named groups are the call's parts.
        handler: Answers it.
    """

    methods: frozenset[str]
    pattern: re.Pattern[str]
    handler: Handler


def route(methods: str, pattern: str, handler: Handler) -> Route:
    """Make a route; methods are separated by blanks."""
    return Route(frozenset(methods.split()), re.compile(pattern, re.DOTALL), handler)


@dataclass(frozen=True)
class Area:
    """Routes below a prefix, which say why not in the same way.

    Attributes:
        prefix: Such as `/v1_1/`.
        routes: The first that fits answers.
        explain: Makes the answer of a fault.
    """

    prefix: str
    routes: Sequence[Route]
    explain: Callable[[GatewayError], Answer]

    def kind_of(self, route: Route) -> str:
        """What metrics call a route's calls: the area with what answers, such as `v1_1.upload`."""
        name = getattr(route.handler, "__name__", "call")
        return ".".join(filter(None, (self.prefix.strip("/"), name)))


def vendors_problem(error: GatewayError) -> Answer:
    """Give a fault's answer as Cloudinary's SDKs read it."""
    shown = error.message.encode("ascii", "replace").decode()[:256]
    printable = "".join(each if each.isprintable() else "?" for each in shown)
    return Answer(error.body(), error.status, {**error.headers, "x-cld-error": printable})


def _listed(public_ids: Sequence[str]) -> str:
    shown = msgspec.json.encode([each[:255] for each in public_ids[:20]]).decode()
    return shown if len(public_ids) <= 20 else f"{shown} and {len(public_ids) - 20} more"  # noqa: PLR2004
