"""Why a request gets no answer, in JSON, whatever the fault: Litestar's exception handlers."""

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.types import ExceptionHandlersMap

from schemas.answers.trends import Problem
from streams.web.access.errors import QuestionError

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]
_SHOWN = 64  # characters of a path that is repeated


def _explain(_request: AnyRequest, error: QuestionError) -> Response[Problem]:
    return Response(Problem(error.code, str(error)), status_code=error.status, headers=error.headers)


def _explain_http(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    status, headers = error.status_code, dict[str, str]()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _explain_fault(request, error)
    reason = error.detail
    if status == HTTPStatus.NOT_FOUND:
        reason = f"no route {unquote(request.scope['raw_path'])[:_SHOWN]!r}; /openapi.json lists them"
    elif isinstance(error, MethodNotAllowedException):
        methods = _methods(error)
        reason = f"{request.scope['method'].upper()[:16]} is not answered here; use {' or '.join(methods)}"
        headers = {"allow": ",".join(methods)}
    return Response(Problem(f"http_{status}", reason), status_code=status, headers=headers)


def _explain_fault(request: AnyRequest, error: Exception) -> Response[Problem]:
    log.error("%s failed", request.scope["path"], exc_info=error)
    return Response(Problem("internal_error", "see the worker's log"), status_code=500)


def _methods(error: MethodNotAllowedException) -> list[str]:
    methods = [name for name in (error.headers or {}).get("allow", "").split(", ") if name != "OPTIONS"]
    return [*methods, "HEAD"] if "GET" in methods else methods


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    QuestionError: _explain,
    HTTPException: _explain_http,
    Exception: _explain_fault,
}
