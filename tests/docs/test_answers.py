"""Answers of the API that are shown, in README.md and docs/promises/trends.md, are what a worker answers."""

import asyncio
import re
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.pages import API, README, Page, route_pattern, served_routes
from support.sample_run import sample_run
from support.shown_answers import Comparison, parse

TRENDS = Page("docs/promises/trends.md")


def shown_answers(page: Page) -> dict[str, Any]:
    """The answers that are shown, by path."""
    found = re.findall(rf"^\$ curl '{API}(/\S+)'\n(\{{.*\}})$", page.text, flags=re.MULTILINE)
    return {path: parse(text) for path, text in found}


async def answer(api: httpx.AsyncClient, port: int, path: str) -> Any:  # noqa: ANN401 - JSON
    """Ask a question; what every answer says of itself must be good."""
    given = (await api.get(f"http://127.0.0.1:{port}{path}")).json()
    assert (given.get("complete"), given.get("behind")) == (True, []), given
    return given


TOP = {"window": {"name": "all"}, "complete": True, "rows": [1, 2, 3], "cause": {"id": "a"}, "at": 1.5}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ('{"window": {"name": "all"}, "complete": true, "rows": [1, …], "cause": {…}, "at": 1.51}', []),
        ('{…, "rows": [1, …, 3], "cause": {"id": "…"}, "at": 1.5}', []),
        ('{…, "rows": [1, 2, 3, …], "cause": {…}, "at": 1.5}', [".rows"]),
        ('{…, "rows": [2, …], "cause": {…}, "at": 1.5}', [".rows[0]"]),
        ('{…, "rows": [1, 2], "cause": {…}, "at": 1.5}', [".rows"]),
        ('{…, "rows": [1, 2, 3], "cause": {…}}', [""]),
        ('{"window": {…}, "complete": true, …, "rows": [1, 2, 3], "cause": {…}, "at": 1.5}', [""]),
        ('{…, "rows": [1, 2, 3], "cause": {"id": "b"}, "at": 1.5}', [".cause.id"]),
        ('{…, "rows": [1, 2, 3], "cause": {…}, "at": 2.5, "more": 1}', ["", ".at"]),
        ('{…, "rows": [1, 2, 3], "cause": {…}, "at": 1}', [".at"]),
        ('{…, "rows": {…}, "cause": {…}, "at": 1.5}', [".rows"]),
    ],
)
def test_an_elision_hides_only_what_it_stands_for(shown: str, expected: list[str]) -> None:
    """Fields that all answers have, once they were shown; the rest of lists; what was shown before."""
    comparison = Comparison()
    assert [*comparison.differences(TOP, TOP)] == []
    found = [difference.partition(":")[0] for difference in comparison.differences(parse(shown), TOP)]
    assert sorted(found) == expected


def test_nothing_is_hidden_that_was_never_shown() -> None:
    """Neither the shared fields nor an object."""
    found = [*Comparison().differences(parse('{…, "rows": [1, …], "cause": {…}, "at": 1.5}'), TOP)]
    assert sorted(found) == [".cause: no cause was shown before", ": not shown ['complete', 'window']"]


def test_every_question_is_shown_with_its_answer() -> None:
    """No route about the state is left out; one is in README."""
    state = {
        route for route in served_routes() if route.split("/")[1] in {"trends", "tags", "images", "users"}
    }
    shown = {
        route for route in state for path in shown_answers(TRENDS) if route_pattern(route).fullmatch(path)
    }
    assert shown == state
    assert len(shown_answers(README)) == 1


@pytest.mark.kafka
async def test_what_workers_answer_after_a_run_prints_its_end(
    kafka: str, unique: str, tmp_path: Path
) -> None:
    """`tagstream run` stays up until it is interrupted; its worker answers as is shown."""
    async with (
        sample_run(kafka, unique, tmp_path) as run,
        httpx.AsyncClient(trust_env=False) as api,
    ):
        await run.is_up()
        until = time.monotonic() + 90  # profiles of users may be a minute old
        for page in (README, TRENDS):
            comparison = Comparison()
            for path, shown in shown_answers(page).items():
                while found := [*comparison.differences(shown, await answer(api, run.port, path))]:
                    assert time.monotonic() < until, (path, found)
                    await asyncio.sleep(1)
        run.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(run.process.wait(), 60) == 0
