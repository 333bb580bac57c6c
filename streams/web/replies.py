"""Answers on their way out, in JSON."""

from collections.abc import Mapping

import msgspec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from schemas.answers.trends import Problem
from streams.web.access.errors import QuestionError


class Json(ASGIResponse):
    """JSON that is encoded already: cheaper than Litestar's way with an answer, or an `ASGIResponse`."""

    content_type = b"application/json"

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = body
        self.status_code = status
        self._more = headers or {}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        length = b"%d" % len(self.body)
        headers = [(b"content-type", self.content_type), (b"content-length", length)]
        headers += [(name.encode(), value.encode()) for name, value in self._more.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class Table(Json):
    """CSV."""

    content_type = b"text/csv; charset=utf-8; header=present"


class Html(Json):
    """A page."""

    content_type = b"text/html; charset=utf-8"


def refusal(error: QuestionError) -> Json:
    """Why there is no answer."""
    return Json(msgspec.json.encode(Problem(error.code, str(error))), error.status, error.headers)
