"""README.md says what is true: its examples, names, tables and links, and what it shows of a run."""

import ast
import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from jsonschema import Draft202012Validator
from support.cluster import Cluster, free_port
from support.shown_answers import Comparison, parse

from model import BadImageError
from schemas.errors import PARSE_CODES
from schemas.uploads import Record, parse_upload
from streams.app.settings import Settings, variable
from streams.cli.main import COMMANDS, main
from streams.kafka.connection import DEFAULT_BOOTSTRAP_SERVERS, VARIABLES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")
PHOTOS = sorted(path.stem for path in (ROOT / "streams" / "photos").glob("*.jpg"))
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "schemas" / "json").glob("*.json"))
}
MAX_LINES = 250
API = "http://127.0.0.1:6066"
SHOWN_AT = 1_795_521_600_000  # 2026-11-24T12:00:00Z, the time of the events that are shown
_FAULTS = {"BadEventError", "BadImageError", "SourceGoneError", "SourceBusyError"}
_PATH = re.compile(r"(?:streams|schemas|model|tests|docs|benchmarks)(?:/[\w.-]+)+\.(?:py|md|jpg)")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return README.partition(f"\n## {title}")[2].partition("\n## ")[0]


def table_rows(text: str) -> list[list[str]]:
    """Cells of the rows of all tables in a text, without their heads."""
    bodies = re.findall(r"^\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("| \n").split(" | ")] for row in "".join(bodies).splitlines()]


def code_spans() -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL))


def typed_commands() -> list[str]:
    """Whatever a reader may type: `$` lines, and code spans that begin with a program."""
    lines = [line[2:] for block in fenced("console") for line in block.splitlines() if line.startswith("$ ")]
    return [line.partition(" #")[0] for line in lines] + code_spans()


def test_it_can_be_read_in_one_go() -> None:
    """Whoever needs more follows a link."""
    assert len(README.splitlines()) < MAX_LINES


def test_it_says_nothing_of_the_machine_it_was_written_on() -> None:
    """Paths of somebody's own mean nothing to readers."""
    assert not re.search(r"/(?:work|root|home)/", README)


def shown_default(value: object) -> str:
    text = "" if value is None else str(value)
    return text.lower() if isinstance(value, bool) else text


def test_settings_are_those_of_the_code() -> None:
    """Every setting with its default and its sentence, and none that does not exist."""
    documented: dict[str, tuple[str, str]] = {}
    for names, defaults, meaning in table_rows(SETTINGS):
        shown = re.findall(r"`([^`]*)`|(empty)", defaults)
        for name, (value, empty) in zip(re.findall(r"`(\w+)`", names), shown, strict=True):
            documented[name] = ("" if empty else value, meaning)
    assert documented.keys() == {variable(item.name) for item in fields(Settings)}
    for item in fields(Settings):
        default, meaning = documented[variable(item.name)]
        assert default == shown_default(item.default), item.name
        assert item.metadata["help"] in meaning, item.name


def test_variables_are_known() -> None:
    """Every variable that is named exists, and those of the connection are all in the list of settings."""
    known = {*VARIABLES.values(), *(variable(item.name) for item in fields(Settings))}
    for text in (README, SETTINGS):
        assert set(re.findall(r"\b(?:TAGSTREAM|KAFKA)_[A-Z_]+\b", text)) <= known
        assert f"`KAFKA_BOOTSTRAP_SERVERS` (default `{DEFAULT_BOOTSTRAP_SERVERS}`" in text
    assert set(VARIABLES.values()) <= set(re.findall(r"\bKAFKA_[A-Z_]+\b", SETTINGS))


def schema_of(example: dict[str, Any]) -> str:
    marks = {
        "info": "categorization",
        "resources": "tag-update",
        "error": "problem",
    }
    return next((name for mark, name in marks.items() if mark in example), "upload-event")


EXAMPLES = [json.loads(text) for text in fenced("json")]
HTTP_EXAMPLES = [block.partition("\n\n") for block in fenced("http")]


@pytest.mark.parametrize("example", EXAMPLES, ids=schema_of)
def test_examples_keep_to_their_schemas(example: dict[str, Any]) -> None:
    """What is shown is what the published schemas describe."""
    Draft202012Validator(SCHEMAS[schema_of(example)]).validate(example)


def test_the_examples_are_of_each_kind() -> None:
    """An event and each outcome are shown."""
    assert {"upload-event", "categorization", "tag-update"} <= set(map(schema_of, EXAMPLES))


def events() -> Iterator[tuple[dict[str, Any], list[tuple[str, bytes]]]]:
    yield from ((example, []) for example in EXAMPLES if schema_of(example) == "upload-event")
    for head, _, value in HTTP_EXAMPLES:
        headers = [line.split(": ", 1) for line in head.splitlines()]
        yield json.loads(value), [(name, text.encode()) for name, text in headers]


def test_events_are_read_as_they_are_meant() -> None:
    """The plain event and the CloudEvent go through the worker's parser; nothing in them is ignored."""
    shown = list(events())
    assert len(shown) >= 2
    for data, headers in shown:
        Draft202012Validator(SCHEMAS["upload-event"]).validate(data)
        assert data.keys() <= SCHEMAS["upload-event"]["properties"].keys()
        value = json.dumps(data).encode()
        upload = parse_upload(
            Record(
                topic="t", partition=0, offset=0, timestamp=SHOWN_AT, key=None, value=value, headers=headers
            )
        )
        attributes = {name: text.decode() for name, text in headers}
        assert upload.public_id == data["public_id"]
        assert upload.auto_tagging == data["auto_tagging"]
        assert upload.type == attributes.get("ce_type", "image.uploaded")
        if headers:
            assert (upload.source, upload.id) == (attributes["ce_source"], attributes["ce_id"])


def tagstream_commands() -> list[list[str]]:
    found = [
        shlex.split(text) for text in typed_commands() if re.match(r"(\.venv/bin/)?tagstream( |$)", text)
    ]
    return [words[1:] for words in found if len(words) > 1]


@pytest.mark.parametrize("words", tagstream_commands(), ids=" ".join)
def test_commands_and_their_flags_exist(words: list[str]) -> None:
    """click itself reads each command line."""
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"no command {words[0]}; there are {', '.join(COMMANDS)}"
    if len(words) > 1 and isinstance(command, click.Group) and words[1] in command.commands:
        command, words = command.commands[words[1]], words[1:]
    flags = {flag for option in command.params for flag in option.opts}
    assert {word.partition("=")[0] for word in words[1:] if word.startswith("--")} <= flags
    if len(words) > 1:
        command.make_context(words[0], words[1:])


def test_every_command_is_named() -> None:
    """No command is a secret, but for the parts that others contain."""
    named = {words[0] for words in tagstream_commands()}
    assert {"run", "worker", "publish", "tail"} <= named


def test_make_targets_exist() -> None:
    """`make x` is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {words.split()[1] for words in typed_commands() if words.startswith("make ")}
    assert {"run", "test"} <= named <= targets


def test_links_and_paths_exist() -> None:
    """Links lead somewhere inside the repository; so do paths and modules that are named."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    named = [span for span in code_spans() if _PATH.fullmatch(span)]
    assert [path for path in links + named if not (ROOT / path).exists()] == []
    bare = {
        span for row in table_rows(section("The data path")) for span in re.findall(r"`(\w+\.py)`", row[1])
    }
    rooms = ("schemas", "model/decoding", "model/tagger", "model/scenes", "schemas/answers")
    assert {name for name in bare if not any((ROOT / room / name).exists() for room in rooms)} == set()


def served_routes() -> set[str]:
    """Paths in the code of the API, however the routes are made."""
    sources = (ROOT / "streams" / "web").rglob("*.py")
    strings = (
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in strings if re.fullmatch(r"/[\w{}/.]+", text)}


def route_pattern(route: str) -> re.Pattern[str]:
    """Match the paths of a route, with or without a query."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/?]+", re.escape(route)) + r"(\?.*)?")


def test_routes_are_served() -> None:
    """Every HTTP path that is named is one that the worker answers."""
    named = {span for span in code_spans() if re.fullmatch(r"/[a-z]+[a-z/{}.]*", span)}
    asked = set(re.findall(rf"{re.escape(API)}(/[\w/]+)", README))
    patterns = [route_pattern(route) for route in served_routes()]
    assert named <= served_routes()
    assert {path for path in asked if not any(pattern.fullmatch(path) for pattern in patterns)} == set()
    assert {"/trends/top", "/healthz", "/readyz"} <= named | asked


def reasons_in_code() -> set[str]:
    """The first argument of whatever raises or makes a fault, in all of the product's code."""
    found = set(PARSE_CODES)
    for source in (path for room in ("streams", "schemas", "model") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in _FAULTS and node.args:
                found |= set(texts_in(node.args[0]))
            elif node.func.id == "_rejected":
                found |= {text for text in map(text_of, node.args[1:2]) if text}
    return found


def texts_in(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):  # http_{status}
        yield "".join(text_of(part) or "<status>" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (*texts_in(node.body), *texts_in(node.orelse))
    elif text := text_of(node):
        yield text


def text_of(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_reasons_of_dead_letters_are_those_of_the_code() -> None:
    """Every code that a dead letter may carry has a row with a cure, and no row is about another."""
    rows = table_rows(section("Errors"))
    documented = [code for row in rows for code in re.findall(r"`([\w<>]+)`", row[0])]
    assert len(documented) == len(set(documented))
    in_code = reasons_in_code()
    assert set(re.findall(r"``(\w+)``", BadImageError.__doc__ or "")) <= in_code
    assert set(documented) == in_code
    assert all(len(row) == 3 and row[2] for row in rows)


def test_exit_codes_are_told() -> None:
    """Those of sysexits that the commands use."""
    assert {"0", "1", "2", "70", "78"} <= set(re.findall(r"\b(\d+), ", section("Errors")))


def shown_output() -> list[str]:
    (block,) = fenced("text")
    lines = (
        re.sub(r"\s+", " ", line.partition("…")[0] if line[-1:] == "…" else line)
        for line in block.splitlines()
    )
    return [line.strip() for line in lines if line.strip()]


@contextlib.asynccontextmanager
async def sample_run(
    kafka: str, unique: str, tmp_path: Path, *flags: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run the samples with topics of their own; return the process and the port of its API."""
    port = free_port()
    arguments = {
        "--broker": kafka,
        "--app-id": unique,
        "--topic-prefix": f"{unique}.",
        "--data-dir": str(tmp_path / "data"),
        "--web-port": str(port),
        "--photo-port": str(free_port()),
    }
    flat = [part for pair in arguments.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "run", *flags, *flat),
        env={**os.environ, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process, port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@pytest.mark.kafka
async def test_a_run_prints_what_is_shown(kafka: str, unique: str, tmp_path: Path) -> None:
    """`tagstream run --once` ends with 0 and tags every sample photo; each line of the excerpt is printed."""
    async with sample_run(kafka, unique, tmp_path, "--once") as (process, _):
        printed = (await asyncio.wait_for(process.communicate(), 120))[0].decode()
    assert process.returncode == 0, printed
    squeezed = re.sub(r"[ \t]+", " ", printed).replace(f"{unique}.image", "image")
    missing = [line for line in shown_output() if line not in squeezed and "embedded" not in line]
    assert missing == [], printed
    results = await Cluster(kafka, unique, tmp_path).results()
    tags = {result["public_id"]: result["tags"] for result in results}
    assert sorted(tags) == PHOTOS
    assert all(tags.values())
    assert tags["koala"] == ["koala", "marsupial", "mammal"]


def shown_answers() -> dict[str, Any]:
    """The answers that are shown, by path."""
    pattern = rf"^\$ curl '{API}(/\S+)'\n(\{{.*\}})$"
    found = re.findall(pattern, section("Trends"), flags=re.MULTILINE)
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
    """No route about the state is left out."""
    state = {
        route for route in served_routes() if route.split("/")[1] in {"trends", "tags", "images", "users"}
    }
    shown = {route for route in state for path in shown_answers() if route_pattern(route).fullmatch(path)}
    assert shown == state


@pytest.mark.kafka
async def test_what_workers_answer_after_a_run_prints_its_end(
    kafka: str, unique: str, tmp_path: Path
) -> None:
    """`tagstream run` stays up until it is interrupted; its worker answers as is shown."""
    async with (
        sample_run(kafka, unique, tmp_path) as (process, port),
        httpx.AsyncClient(trust_env=False) as api,
    ):
        assert process.stdout is not None
        async with asyncio.timeout(120):
            while b"Ctrl-C" not in await process.stdout.readline():
                pass
        comparison, until = Comparison(), time.monotonic() + 90  # profiles of users may be a minute old
        for path, shown in shown_answers().items():
            while found := [*comparison.differences(shown, await answer(api, port, path))]:
                assert time.monotonic() < until, (path, found)
                await asyncio.sleep(1)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
