"""The OpenAPI document: valid, whole, and in step with the routes."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.web_client import client_of

from schemas.answers.trends import Health, PartitionState
from streams.app.settings import Settings
from streams.fold.retention import Retention
from streams.state.trends.index import TrendIndex
from streams.web.api.freshness import LateFreshness
from streams.web.api.health import HealthRoutes
from streams.web.api.parameters import NAME, Kind, number, one_of, whole_number
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import NoParameters, Route
from streams.web.api.trends import TrendRoutes
from streams.web.app import create_api


class Idle:
    """A worker without partitions."""

    status = "ready"
    units: dict[int, Any] = {}  # noqa: RUF012 - stays empty
    rules = None


@pytest.fixture
def routes() -> list[Route]:
    retained = RetainedBuckets(Retention.of(Settings()), {})
    trends = TrendRoutes(TrendIndex({}), LateFreshness(), lambda: 0.0, retained)
    return [*HealthRoutes(Idle()).routes(), *trends.routes()]


@pytest.fixture
def app(routes: list[Route]) -> Litestar:
    return create_api(routes)


@pytest.fixture
async def document(app: Litestar) -> dict[str, Any]:
    """What is served at /openapi.json."""
    async with client_of(app) as client, client.get("/openapi.json") as answer:
        assert answer.status == 200
        served: dict[str, Any] = await answer.json()
    return served


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """As OpenAPI 3.1, checked by an independent validator, defaults and examples included."""
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_is_that_of_the_page(app: Litestar, document: dict[str, Any]) -> None:
    """What is served is what Litestar knows, from which /docs is made."""
    assert document == orjson.loads(orjson.dumps(app.openapi_schema.to_schema()))


def test_answers_are_explained(document: dict[str, Any]) -> None:
    """Each answer's schema has the sentence of its class."""
    assert document["components"]["schemas"]["TopTags"]["description"]


async def test_every_route_is_in_it(app: Litestar, document: dict[str, Any]) -> None:
    """What the server answers is what the document lists, besides the document itself and its page."""
    served = {route.path_format for route in app.routes if not route.path.startswith("/docs")}
    assert served == document["paths"].keys() | {"/openapi.json"}


def parameters(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for parameter in operations["get"]["parameters"]:
            yield path, parameter


def test_every_operation_and_parameter_is_explained(document: dict[str, Any]) -> None:
    """A summary, a description, a rule; every answer has a schema; operations have names of their own."""
    operations = [item["get"] for item in document["paths"].values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert {"200", "400"} <= operation["responses"].keys()
        for response in operation["responses"].values():
            assert response["description"]
            assert response["content"]["application/json"]["schema"]["$ref"]
    for _, parameter in parameters(document):
        assert "Must be" in parameter["description"]


def test_examples_and_defaults_fit(routes: list[Route], document: dict[str, Any]) -> None:
    """Each parameter's example and default are understood, and valid by the schema beside them."""
    kinds = {
        (route.path, name.removesuffix("_")): p for route in routes for name, p in route.parameters.items()
    }
    for path, parameter in parameters(document):
        if parameter["name"] == "format":  # of all routes with a table
            continue
        kind = kinds[path, parameter["name"]].kind
        kind.parse(kind.example)
        Draft202012Validator(parameter["schema"]).validate(parameter["example"])
        if "default" in parameter["schema"]:
            kind.parse(str(parameter["schema"]["default"]))


def test_what_the_server_refuses_by_itself_is_listed(document: dict[str, Any]) -> None:
    """Any question may be too long, or for another host; where a window may be gone, that is 404."""
    for path, item in document["paths"].items():
        assert {"400", "414", "421"} <= item["get"]["responses"].keys()
        gone = path.startswith("/trends/")
        assert ("404" in item["get"]["responses"]) == gone


def test_the_score_is_documented(document: dict[str, Any]) -> None:
    """How rising tags are found stands where its users look."""
    description = document["paths"]["/trends/rising"]["get"]["description"]
    assert "(observed - expected)^2 / expected" in description
    assert "Mastodon" in description


def test_a_path_parameter_needs_a_field() -> None:
    """A route that forgot one fails where it is made."""

    async def handler(_question: NoParameters) -> Health:
        """Say nothing."""
        return Health("", [])

    with pytest.raises(TypeError, match=r"/a/\{b\}: no field of NoParameters for \['b'\]"):
        Route("/a/{b}", NoParameters, PartitionState, handler)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            whole_number(1, 20),
            ["1", "20", "07"],
            ["0", "21", "", "-1", "+1", "1.0", "1_0", "\u0663", "9" * 5000, " 1"],
        ),
        (number(0, 1), ["0", "1", "0.5", "1e-3"], ["nan", "inf", "-0.1", "1.1", "", "x", "\u0660", "0" * 65]),
        (one_of("a", "b"), ["a", "b"], ["", "A", "ab", "c"]),
        (NAME, ["koala", "海", "a b", "x" * 255], ["", " ", "\n", "a\x00", "a\x85b", "x" * 256]),
    ],
)
def test_kinds(kind: Kind[object], good: list[str], bad: list[str]) -> None:
    """What is within the rule is read, what is not is refused."""
    for text in good:
        kind.parse(text)
    for text in bad:
        with pytest.raises(ValueError):
            kind.parse(text)
