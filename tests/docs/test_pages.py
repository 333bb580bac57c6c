"""What people read says what is true: each command, setting, route, example, path and link in it exists."""

import json
import re
from dataclasses import fields
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator
from support.pages import API, PAGES, ROOT, Page, route_pattern, served_routes, table_rows

from schemas.uploads import Record, parse_upload
from streams.app.settings import Settings, variable
from streams.cli.main import COMMANDS, main
from streams.kafka.connection import DEFAULT_BOOTSTRAP_SERVERS, VARIABLES

SHOWN_AT = 1_795_521_600_000  # 2026-11-24T12:00:00Z, the time of the events that are shown
OTHER_VARIABLES = {"TAGSTREAM_API", "TAGSTREAM_TOKEN", "TAGSTREAM_CACHE_DIR"}  # of commands, not of workers
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "schemas" / "json").glob("*.json"))
}
_PATH = re.compile(r"(?:streams|schemas|model|tests|docs|benchmarks)(?:/[\w.-]+)+/?")
_PLACEHOLDER = re.compile(r"/[A-Z]+\.json$")
_EXAMPLES = [page for page in PAGES if page.path.split("/")[0] in {"README.md", "docs"}]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)


@every_page
def test_it_says_nothing_of_the_machine_it_was_written_on(page: Page) -> None:
    """Paths of somebody's own mean nothing to readers."""
    assert not re.search(r"(?<![\w.])/(?:work|root|home)/", page.text)


@every_page
def test_links_lead_somewhere(page: Page) -> None:
    """Inside the repository, from where the page is."""
    folder = (ROOT / page.path).parent
    assert [link for link in page.links if not (folder / link).exists()] == []


@every_page
def test_files_that_are_named_exist(page: Page) -> None:
    """In prose, in tables and in commands."""
    words = [word for line in page.typed for word in line]
    named = {span for span in (*page.code_spans, *words) if _PATH.fullmatch(span)}
    assert {path for path in named if not (ROOT / path).exists() and not _PLACEHOLDER.search(path)} == set()


@every_page
def test_programs_that_are_named_exist(page: Page) -> None:
    """`python -m x` is a module, `make x` a target of the Makefile."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    made = {words[1] for words in page.typed if words[0] == "make" and len(words) > 1}
    assert made <= set(targets)
    modules = {words[2] for words in page.typed if words[:2] == ["python", "-m"] and len(words) > 2}
    assert {name for name in modules - {"pytest", "venv"} if not is_module(name)} == set()


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@every_page
def test_variables_are_known(page: Page) -> None:
    """Every variable that is named is read by something."""
    known = {*VARIABLES.values(), *(variable(item.name) for item in fields(Settings)), *OTHER_VARIABLES}
    named = set(re.findall(r"\b(?:TAGSTREAM|KAFKA)_[A-Z_]+\b", page.text))
    assert named <= known


def test_the_way_to_kafka_is_told() -> None:
    """All variables of the connection, and where it leads without any."""
    settings = Page("docs/settings.md").text
    assert set(VARIABLES.values()) <= set(re.findall(r"\bKAFKA_[A-Z_]+\b", settings))
    assert f"`KAFKA_BOOTSTRAP_SERVERS` (default `{DEFAULT_BOOTSTRAP_SERVERS}`" in settings


def commands_of(page: Page) -> list[list[str]]:
    return [words[1:] for words in page.typed if words[0] == "tagstream" and len(words) > 1]


TYPED = [(page.path, words) for page in PAGES for words in commands_of(page)]


@pytest.mark.parametrize(
    ("path", "words"), TYPED, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_commands_and_their_flags_exist(path: str, words: list[str]) -> None:
    """click itself reads each command line; only files of the reader's own need not be there."""
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"{path}: no command {words[0]}; there are {', '.join(COMMANDS)}"
    rest = words[1:]
    while rest and isinstance(command, click.Group) and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    given = {word.partition("=")[0] for word in rest if word.startswith("--")} - {"--help"}
    assert given <= flags_of(command), path
    if not rest or "--help" in rest:
        return
    try:
        command.make_context(words[0], [*rest])
    except click.BadParameter as error:
        if not isinstance(error.param and error.param.type, click.Path):
            raise


def flags_of(command: click.Command) -> set[str]:
    own = [command]
    if isinstance(command, click.Group) and (default := getattr(command, "default", None)):
        own.append(command.commands[default])
    return {flag for each in own for option in each.params for flag in option.opts}


def test_every_command_is_told() -> None:
    """None is a secret."""
    assert set(COMMANDS) <= {words[0] for _, words in TYPED}


def schema_of(example: dict[str, Any]) -> str:
    marks = {"info": "categorization", "resources": "tag-update", "error": "problem"}
    marks |= {"phase": "trend", "clock": "tag-count", "confidence": "image-tag"}
    return next((name for mark, name in marks.items() if mark in example), "upload-event")


EXAMPLES = [(page.path, json.loads(text)) for page in _EXAMPLES for text in page.fenced("json")]
EVENTS = [(example, []) for _, example in EXAMPLES if schema_of(example) == "upload-event"]
for _page in _EXAMPLES:
    for _head, _, _value in (block.partition("\n\n") for block in _page.fenced("http")):
        EVENTS.append((json.loads(_value), [tuple(line.split(": ", 1)) for line in _head.splitlines()]))


@pytest.mark.parametrize("example", [example for _, example in EXAMPLES])
def test_examples_keep_to_their_schemas(example: dict[str, Any]) -> None:
    """What is shown is what the published schemas describe."""
    Draft202012Validator(SCHEMAS[schema_of(example)]).validate(example)


def test_the_examples_are_of_each_kind() -> None:
    """An event and each outcome are shown, one event as a CloudEvent."""
    shown = {schema_of(example) for _, example in EXAMPLES}
    assert {"upload-event", "categorization", "tag-update"} <= shown
    assert any(headers for _, headers in EVENTS)


@pytest.mark.parametrize(("data", "headers"), EVENTS)
def test_events_are_read_as_they_are_meant(data: dict[str, Any], headers: list[tuple[str, str]]) -> None:
    """They go through the worker's parser; nothing in them is ignored."""
    Draft202012Validator(SCHEMAS["upload-event"]).validate(data)
    assert data.keys() <= SCHEMAS["upload-event"]["properties"].keys()
    encoded = [(name, text.encode()) for name, text in headers]
    value = json.dumps(data).encode()
    upload = parse_upload(
        Record(topic="t", partition=0, offset=0, timestamp=SHOWN_AT, key=None, value=value, headers=encoded)
    )
    attributes = dict(headers)
    assert upload.public_id == data["public_id"]
    assert upload.auto_tagging == data.get("auto_tagging")
    assert upload.type == attributes.get("ce_type", data.get("type", "image.uploaded"))
    if headers:
        assert (upload.source, upload.id) == (attributes["ce_source"], attributes["ce_id"])


@every_page
def test_routes_are_served(page: Page) -> None:
    """Every HTTP path that is named is one that the worker answers."""
    spans = {span.removeprefix("GET ") for span in page.code_spans}
    named = {span for span in spans if re.fullmatch(r"/[a-z]+[a-z_/{}.]*", span)}
    asked = set(re.findall(rf"{re.escape(API)}(/[\w/%]+)", page.text))
    patterns = [route_pattern(route) for route in served_routes()]
    assert named <= served_routes()
    assert {path for path in asked if not any(pattern.fullmatch(path) for pattern in patterns)} == set()


def test_the_picture_of_the_data_path_names_files_that_exist() -> None:
    """By their rooms; a second file of a line is of the same room, or of its neighbour with its own name."""
    picture = (ROOT / "docs" / "pictures" / "data-path.svg").read_text("utf-8")
    lines = re.findall(r'class="file"[^>]*>([^<]+)<', picture)
    missing = []
    for line in lines:
        first, *others = line.split(", ")
        folders = [ROOT / "streams", (ROOT / "streams" / first).parent, ROOT]
        missing += [
            name for name in (first, *others) if not any((folder / name).exists() for folder in folders)
        ]
    assert len(lines) > 5
    assert missing == []


def test_names_of_files_are_those_of_rooms() -> None:
    """A bare file name in the table of the data path is in a folder that its row names or links to."""
    rows = table_rows(Page("docs/data-path.md").section("Rooms and files"))
    bare = [(name, row[1]) for row in rows for name in re.findall(r"`(\w+\.py)`", row[1])]
    assert bare
    assert [
        name for name, row in bare if not any((ROOT / place / name).exists() for place in places(row))
    ] == []


def places(row: str) -> set[str]:
    """Folders of the files that a row names, and of the texts that it links to."""
    return set(re.findall(r"`([\w/]+)/\w+\.py`", row)) | set(re.findall(r"\]\(\.\./(\w+)/", row))
