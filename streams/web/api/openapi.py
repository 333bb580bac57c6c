"""The OpenAPI 3.1 document, made from the table of routes and the answers' types."""

import inspect
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from schemas.answers.trends import Problem
from streams.web.api.parameters import Parameter, wire_name
from streams.web.api.routes import Route

_REFERENCE = "#/components/schemas/{name}"
_PROBLEMS = {
    400: "A parameter breaks its rule; the reason names value, rule and cure.",
    401: "A token is needed, and there is none or none that is known.",
    403: "The token is not for this, or not for this tenant.",
    404: "What is asked about is not known, or no longer kept.",
    414: "Path and query are too long.",
    421: "The request is for a host name that this is not.",
    429: "Too many questions; `Retry-After` says when to ask again.",
    503: "This worker does not follow the state, or has too much to do, or has not found what is asked about "
    "and is still loading; see `Retry-After`.",
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `tagstream token new`. Where the operator names no tokens, none is needed.",
}


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Describe the routes."""
    routes = list(routes)
    answers = [kind for route in routes for kind in _answers(route).values()]
    kinds: list[type[msgspec.Struct]] = list(dict.fromkeys([Problem, *answers]))
    references, parts = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    for part in parts.values():  # Python 3.13 unindents docstrings, earlier ones do not
        part["description"] = inspect.cleandoc(part.get("description", ""))
    schemas = dict(zip(kinds, references, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tagstream",
            "version": version("tagstream"),
            "description": "Trends and queries. Each answer says how fresh and how complete it is.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {route.path: {"get": _operation(route, schemas)} for route in routes},
        "components": {"schemas": parts, "securitySchemes": {"bearer": _BEARER}},
    }


def _operation(route: Route, schemas: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": [
            _parameter(wire_name(field), parameter, wire_name(field) in route.path_parameters)
            for field, parameter in route.parameters.items()
        ],
        "responses": {
            str(status): _response(kind.__doc__ or "", schemas[kind])
            for status, kind in _answers(route).items()
        },
    }
    # Without a token as well: where none is needed, or where strangers are told less.
    operation["security"] = [{"bearer": [] if route.open else [str(route.scope)]}, {}]
    if route.description:
        operation["description"] = route.description
    for status, meaning in _problems(route).items():
        operation["responses"].setdefault(str(status), _response(meaning, schemas[Problem]))
    return operation


def _answers(route: Route) -> dict[int, type[msgspec.Struct]]:
    return {200: route.answer, **route.also}


def _problems(route: Route) -> dict[int, str]:
    left_out = set() if route.path_parameters or route.may_be_gone else {404}
    if route.open:
        left_out |= {401, 403, 429, 503}
    return {status: meaning for status, meaning in _PROBLEMS.items() if status not in left_out}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"description": inspect.cleandoc(description).partition("\n")[0], "content": content}


def _parameter(name: str, parameter: Parameter, in_path: bool) -> dict[str, Any]:  # noqa: FBT001 - one caller
    schema = dict(parameter.kind.schema)
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.most > 1:
        schema = {"type": "array", "items": schema, "maxItems": parameter.most}
    return {
        "name": name,
        "in": "path" if in_path else "query",
        "required": parameter.required or in_path,
        "description": f"{parameter.description} Must be {parameter.kind.rule}.",
        "schema": schema,
        "example": [parameter.kind.example] if parameter.most > 1 else _example(parameter),
    }


def _example(parameter: Parameter) -> object:
    return parameter.kind.parse(parameter.kind.example) if _is_number(parameter) else parameter.kind.example


def _is_number(parameter: Parameter) -> bool:
    return parameter.kind.schema["type"] in {"integer", "number"}
