"""What `/openapi.json` says of a route besides what Litestar reads from its handler."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.openapi.spec import Parameter as Documented

from schemas.answers.trends import Problem
from streams.web.api.parameters import Parameter, one_of, wire_name
from streams.web.api.routes import Route
from streams.web.tables import FORMAT, FORMATS, rows_of

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
_response = partial(ResponseSpec, generate_examples=False)


def documentation(route: Route) -> dict[str, Any]:
    """The arguments of a handler that document it."""
    return {
        "operation_id": route.name,
        "summary": route.summary,
        "description": route.description or None,
        "tags": [route.path.split("/")[1]],
        # Without a token as well: where none is needed, or where strangers are told less.
        "security": [{"bearer": [] if route.open else [str(route.scope)]}, {}],
        "responses": _responses(route),
        "operation_class": _operation_class([*_parameters(route)], is_table=_is_table(route)),
    }


def _parameters(route: Route) -> Iterator[Documented]:
    yield from (_parameter(*item, route) for item in route.parameters.items())
    if _is_table(route):
        text = "`csv`: the answer's list as a table, its cursor in the header `tagstream-cursor`."
        yield _parameter(FORMAT, Parameter(one_of(*FORMATS), text, default=FORMATS[0]), route)


def _is_table(route: Route) -> bool:
    """Whether its answer can be had as a table."""
    return not route.open and rows_of(route.answer) is not None


def describe_answers(schemas: Mapping[str, Schema], routes: Iterable[Route]) -> None:
    """Put the answers' docstrings into their schemas, where Litestar leaves them out."""
    kinds = {kind for route in routes for kind in (route.answer, *route.also.values())}
    _, parts = msgspec.json.schema_components([Problem, *kinds])
    for name in schemas.keys() & parts.keys():
        schemas[name].description = inspect.cleandoc(parts[name]["description"])


def _responses(route: Route) -> dict[int, ResponseSpec]:
    left_out = set() if route.path_parameters or route.may_be_gone else {404}
    left_out |= {401, 403, 429, 503} if route.open else set()
    problems = {
        status: _response(Problem, description=meaning)
        for status, meaning in _PROBLEMS.items()
        if status not in left_out
    }
    answers = {200: route.answer, **route.also}
    return problems | {status: _response(kind, description=_title(kind)) for status, kind in answers.items()}


def _title(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _operation_class(parameters: list[Documented], *, is_table: bool) -> type[Operation]:
    """Litestar's operation with what its handler does not declare: `Route.read` reads the parameters."""

    @dataclass
    class QuestionOperation(Operation):
        def __post_init__(self) -> None:
            self.parameters = list(parameters)
            answer = (self.responses or {}).get("200")
            if is_table and isinstance(answer, OpenAPIResponse) and answer.content is not None:
                answer.content["text/csv"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))

    return QuestionOperation


def _parameter(field: str, parameter: Parameter, route: Route) -> Documented:
    name, kind = wire_name(field), parameter.kind
    schema = dict(kind.schema)
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.most > 1:
        schema = {"type": "array", "items": schema, "maxItems": parameter.most}
    is_number = kind.schema["type"] in {"integer", "number"}
    example = kind.parse(kind.example) if is_number else kind.example
    return Documented(
        name,
        "path" if name in route.path_parameters else "query",
        cast("Schema", schema),  # it is written as it is
        f"{parameter.description} Must be {kind.rule}.",
        required=parameter.required or name in route.path_parameters,
        example=[example] if parameter.most > 1 else example,
    )
