"""The reference that is made from the code: whole, and in step."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields

import site_reference
from support.pages import ROOT, Page, table_rows

from model import BadImageError
from schemas.contracts.channels import CHANNELS
from schemas.errors import PARSE_CODES
from schemas.json_schemas import PUBLISHED
from schemas.reasons import REASONS
from schemas.streams.records import STREAMS
from schemas.topics import TopicNames
from streams.app.settings import Settings, variable
from streams.cli.main import COMMANDS
from streams.gateway.requests.parameters import ADMIN, UPLOAD, Fate
from streams.telemetry.metrics import METRICS

_FAULTS = {"BadEventError", "BadImageError", "SourceGoneError", "SourceBusyError"}


def test_every_setting_has_its_row() -> None:
    """With its default and its sentence."""
    rows = {row[0]: row[1:] for row in table_rows(site_reference.settings() + "\n")}
    assert rows.keys() == {f"`{variable(item.name)}`" for item in fields(Settings)}
    for item in fields(Settings):
        default, meaning = rows[f"`{variable(item.name)}`"]
        assert default == site_reference.shown_default(item.default)
        assert item.metadata["help"] in meaning


def test_every_topic_has_its_row() -> None:
    """With what it is for, and how long it is kept."""
    rows = {row[0]: row[1:] for row in table_rows(site_reference.topics() + "\n")}
    names = TopicNames("APP", "PREFIX", streams=STREAMS)
    configs = names.configs | names.webhook_configs | names.trend_configs
    assert rows.keys() == {f"`{name}`" for name in configs}
    assert rows["`PREFIXimage.uploads`"] == ["Upload events in.", "14 days", "4,096 KiB"]
    assert rows["`APP-images-changelog`"][1] == "the newest record of each key"


def test_every_channel_is_described() -> None:
    """With each message, its key and its headers; values lead to their schemas."""
    text = site_reference.channels()
    addresses = [each.address(TopicNames("APP", "PREFIX")) for each in CHANNELS]
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == addresses
    for message in (message for channel in CHANNELS for message in channel.messages):
        assert f"**{message.title}.** {message.summary}" in text
        assert all(f"| `{header}` |" in text for header in message.headers)
    assert "[tag-update](schemas.md#tag-update)" in text


def test_every_metric_has_its_row() -> None:
    """With type, unit, labels, meaning and knob, as the list has them."""
    rows = {row[0]: row[1:] for row in table_rows(site_reference.metrics() + "\n")}
    rows.pop("metric", None)
    assert rows.keys() == {f"`{name}`" for name in METRICS}
    for name, metric in METRICS.items():
        kind, meaning, knob = rows[f"`{name}`"]
        assert kind.startswith(f"{metric.kind}, {metric.unit}")
        assert all(f"`{label.name}`" in kind for label in metric.labels)
        assert (meaning.replace("`", ""), knob.replace("`", "")) == (
            metric.meaning.replace("`", ""),
            metric.knob.replace("`", ""),
        )


def test_every_parameter_of_an_upload_has_its_row() -> None:
    """Below what becomes of it, with its meaning."""
    text = site_reference.parameters()
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == [fate.capitalize() for fate in Fate]
    rows = {row[0]: row[1].replace("\\|", "|") for row in table_rows(text + "\n")}
    assert rows == {f"`{name}`": each.meaning for name, each in UPLOAD.items()}


def test_every_parameter_of_the_admin_api_has_its_row() -> None:
    """With what becomes of it."""
    rows = {row[0]: row[1] for row in table_rows(site_reference.admin_parameters() + "\n")}
    assert rows == {f"`{name}`": each.fate for name, each in ADMIN.items()}


def test_every_command_is_described() -> None:
    """And those inside others."""
    text = site_reference.commands()
    assert re.findall(r"^## tagstream (\S+)$", text, re.MULTILINE) == list(COMMANDS)
    assert "### tagstream dead-letters replay" in text
    assert text.count("Usage: tagstream ") == len(re.findall(r"^##+ ", text, re.MULTILINE))


def test_every_route_and_schema_is_described() -> None:
    """Answers lead to their schemas."""
    routes, schemas = site_reference.routes(), site_reference.schemas()
    assert {"/healthz", "/readyz", "/trends/top"} <= set(re.findall(r"^## GET (\S+)$", routes, re.MULTILINE))
    assert re.findall(r"^## (\S+)$", schemas, re.MULTILINE) == list(PUBLISHED)
    assert set(re.findall(r"\(schemas\.md#([\w-]+)\)", routes)) <= set(PUBLISHED)
    assert (
        "| 200 | Most used tags of a window. [top-tags](schemas.md#top-tags) |" in routes
        or "[top-tags]" in routes
    )


def faults_in_code(names: set[str]) -> set[str]:
    """The first argument of whatever raises or makes one of these faults, in all of the product's code."""
    found = set()
    for source in (path for room in ("streams", "schemas", "model") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in names and node.args:
                found |= set(texts_in(node.args[0]))
            elif node.func.id == "_rejected" and "BadEventError" in names:
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


def test_every_reason_of_a_dead_letter_has_its_row() -> None:
    """Every code that one may carry has a meaning and a cure, and no row is about another."""
    in_code = faults_in_code(_FAULTS) | set(PARSE_CODES)
    assert set(re.findall(r"``(\w+)``", BadImageError.__doc__ or "")) <= in_code
    assert set(REASONS) == in_code
    rows = table_rows(site_reference.reasons() + "\n")
    assert [row[0] for row in rows] == [f"`{code}`" for code in REASONS]
    assert all(len(row) == 3 and row[1] and row[2] for row in rows)


def test_what_may_pass_by_itself_is_told() -> None:
    """The page of dead letters names each reason of a source that is busy, and our own."""
    told = Page("docs/promises/dead-letters.md").section("Which may pass")
    named = {code for row in table_rows(told) for code in re.findall(r"`([\w<>]+)`", row[0])}
    assert faults_in_code({"SourceBusyError"}) | {"internal_error"} <= named
    assert named <= set(REASONS)


def test_reasons_in_prose_exist() -> None:
    """Of those that the promises name."""
    for path in sorted((ROOT / "docs" / "promises").glob("*.md")):
        page = Page(path.relative_to(ROOT).as_posix())
        codes = set(re.findall(r"`((?:invalid|too|not|refused|image_too)_\w+)`", page.text))
        assert codes - {"not_kept"} <= set(REASONS), page.path
