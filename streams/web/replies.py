"""Answers on their way out: JSON, and why there is none (`schemas.answers.trends.Problem`)."""

from collections.abc import Mapping

import msgspec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from schemas.answers.trends import Problem
from streams.web.access.errors import QuestionError


class Json(ASGIResponse):
    """JSON that is encoded already: cheaper than Litestar's way with an answer, or an `ASGIResponse`."""

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = body
        self.status_code = status
        self._more = headers or {}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        length = b"%d" % len(self.body)
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        headers += [(name.encode(), value.encode()) for name, value in self._more.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def problem(code: str, reason: str, status: int, headers: Mapping[str, str] | None = None) -> Json:
    """Why there is no answer: a code for machines, fault and cure for people."""
    return Json(msgspec.json.encode(Problem(code, reason)), status, headers)


def refusal(error: QuestionError) -> Json:
    """The same, as the error says it."""
    return problem(error.code, str(error), error.status, error.headers)
