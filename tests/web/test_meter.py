"""Answers are counted by route and status, whatever is asked for."""

import msgspec
from support.web_client import client_of

from schemas.answers.trends import PartitionState
from streams.app.services.query_indexes import QueryIndexes
from streams.app.settings import Settings
from streams.telemetry.metrics import OTHER
from streams.telemetry.recorder import Recorder
from streams.web.api.routes import NoParameters, Route
from streams.web.app import create_api
from streams.web.meter import QueryMeter

EXPECTED = {
    ("/tags", "200"): 1,
    ("/tags", "400"): 1,
    ("/images/{public_id}", "503"): 2,
    ("/broken", "500"): 1,
    ("/openapi.json", "200"): 1,
    (OTHER, "404"): 2,
    (OTHER, "414"): 1,
    (OTHER, "421"): 1,
}


async def break_down(_question: NoParameters) -> msgspec.Struct:
    """Break down."""
    raise ZeroDivisionError


async def test_each_answer_is_counted_by_its_route() -> None:
    """Refusals and faults of ours as well; names in paths, and paths that are no route, make no series."""
    recorder = Recorder({})
    routes = [*QueryIndexes(Settings()).routes(), Route("/broken", NoParameters, PartitionState, break_down)]
    app = create_api(routes, meter=QueryMeter(recorder))
    asked = ["/tags", "/tags?limit=0", "/images/koala", "/images/panda", "/broken", "/openapi.json"]
    asked += ["/koala", "/trends/a/b/c", f"/tags?prefix={'x' * 9000}"]
    async with client_of(app) as client:
        for path in asked:
            await (await client.get(path)).read()
        await (await client.get("/tags", headers={"host": "evil.example"})).read()
    answers = recorder.counter("tagstream_http_requests_total").values
    assert answers == EXPECTED
    seconds = recorder.histogram("tagstream_http_request_duration_seconds")
    assert sum(seconds.of("/images/{public_id}").counts) == 2
    assert sum(seconds.of(OTHER).counts) == 4
