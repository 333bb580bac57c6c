"""The reference: made from the code while the site is built, so that it cannot be out of step."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

import click

from schemas.contracts.asyncapi import document as channels_document
from schemas.json_schemas import PUBLISHED, file_name, json_schema
from schemas.reasons import REASONS
from schemas.streams.records import STREAMS
from schemas.topics import TopicNames
from streams.app.services.query_indexes import QueryIndexes
from streams.app.settings import Settings, variable
from streams.cli.main import COMMANDS, main
from streams.gateway.requests.credentials import MEANINGS
from streams.gateway.requests.parameters import ADMIN, UPLOAD, Fate
from streams.telemetry.metrics import SECTIONS, Metric
from streams.web.api.health import HealthRoutes
from streams.web.app import create_api

_WIDTH = 84
_DAY_MS = 86_400_000
_MORE = {
    "add_ons": "[More](add-ons.md).",
    "rules": "[More](rules.md).",
    "source_roots": "[More](#folders-and-buckets).",
    "tokens": "[More](promises/trends.md#who-may-ask).",
    "keep_hours": "[More](#how-long-counts-are-kept).",
}


class _NoWorker:
    """A worker of which only the routes are asked."""

    status = "ready"
    units: dict[int, Any] = {}  # noqa: RUF012 - stays empty
    rules = None


def settings() -> str:
    """A row per setting: variable, flag, default, meaning."""
    rows = (
        [
            f"`{variable(item.name)}`",
            shown_default(item.default),
            " ".join(filter(None, [item.metadata["help"], _MORE.get(item.name)])),
        ]
        for item in fields(Settings)
    )
    return table(["variable", "default", "meaning"], rows)


def shown_default(value: object) -> str:
    """A setting's default as an operator would write it; `empty` for none."""
    text = "" if value is None else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return f"`{text}`" if text else "empty"


def reasons() -> str:
    """A row per reason of a dead letter: what it means, and what to do."""
    return table(
        ["reason", "meaning", "cure"],
        ([f"`{code}`", reason.meaning, reason.cure] for code, reason in REASONS.items()),
    )


def _configs(names: TopicNames) -> dict[str, dict[str, str]]:
    return names.configs | names.webhook_configs | names.trend_configs


def topics() -> str:
    """A row per topic, with what workers that create it ask for."""
    names = TopicNames("APP", "PREFIX", streams=STREAMS)
    told = {
        topic: inspect.getdoc(getattr(TopicNames, name))
        for name in reversed([*_properties(TopicNames)])  # of several that give one topic, the first counts
        if isinstance(topic := getattr(names, name), str)
    }
    rows = (
        [
            f"`{name}`",
            str(told.get(name) or "State: rows of a table, keyed."),
            _kept(config),
            f"{int(config['max.message.bytes']) // 1024:,} KiB",
        ]
        for name, config in _configs(names).items()
    )
    return table(["topic", "what it holds", "kept", "largest record"], rows)


def channels() -> str:
    """Each channel of the AsyncAPI document with its messages: what a record's value, key and headers are."""
    document = channels_document(TopicNames("APP", "PREFIX", streams=STREAMS), "")
    return "\n\n".join(_channel(each, document) for each in document["channels"].values())


def metrics() -> str:
    """A table per section of the list: type, unit and labels; what each metric means, and what to turn."""
    head = ["metric", "type, unit, labels", "meaning", "knob"]
    return "\n\n".join(
        f"## {title}\n\n{table(head, map(_metric, section))}" for title, section in SECTIONS.items()
    )


def admin_parameters() -> str:
    """A row per parameter of the Admin API and of searches: what becomes of it."""
    return table(
        ["parameter", "fate", "what it does here"],
        ([f"`{name}`", str(each.fate), each.meaning] for name, each in ADMIN.items()),
    )


def parameters() -> str:
    """A table per fate of an upload's parameters: what each does, and who may name it."""
    return "\n\n".join(
        f"### {fate.capitalize()}\n\n"
        + table(
            ["parameter", "what it does here", "unsigned"],
            (
                [f"`{name}`", each.meaning, "yes" if each.unsigned else ""]
                for name, each in sorted(UPLOAD.items())
                if each.fate is fate
            ),
        )
        for fate in Fate
    )


def rights() -> str:
    """A row per right of a gateway's key."""
    return table(
        ["right", "what a key with it may do"], ([f"`{name}`", told] for name, told in MEANINGS.items())
    )


def commands() -> str:
    """The help of each command and of the commands inside it."""
    context = click.Context(main, info_name="tagstream")
    return "\n\n".join(_help(name, main.get_command(context, name), context) for name in COMMANDS)


def routes() -> str:
    """Each route with its parameters and answers, from the OpenAPI document."""
    indexes = QueryIndexes(Settings())
    document = create_api([*HealthRoutes(_NoWorker()).routes(), *indexes.routes()]).openapi_schema.to_schema()
    return "\n\n".join(_route(path, item["get"]) for path, item in document["paths"].items())


def schemas() -> str:
    """Each published JSON Schema as tables of its fields."""
    return "\n\n".join(map(_schema, PUBLISHED))


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _properties(kind: type) -> list[str]:
    return [
        name for name, value in vars(kind).items() if isinstance(value, property) and "configs" not in name
    ]


def _kept(config: dict[str, str]) -> str:
    if config["cleanup.policy"] == "compact":
        return "the newest record of each key"
    return f"{int(config['retention.ms']) // _DAY_MS} days"


def _metric(metric: Metric) -> list[str]:
    labels = "".join(f"; `{label.name}`: {label.meaning}" for label in metric.labels)
    kind = f"{metric.kind}, {metric.unit}{labels}"
    return [f"`{metric.name}`", kind, _with_variables(metric.meaning), _with_variables(metric.knob)]


def _with_variables(text: str) -> str:
    return re.sub(r"TAGSTREAM(?:_[A-Z]+)+(?:=\w+)?", r"`\g<0>`", text)


def _help(name: str, command: click.Command | None, parent: click.Context, level: int = 2) -> str:
    if command is None:
        raise LookupError(f"no command {name}")
    context = click.Context(command, parent=parent, info_name=name, terminal_width=_WIDTH)
    text = f"{'#' * level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    inside = command.commands if isinstance(command, click.Group) else {}
    return "\n\n".join([text, *(_help(each, inside[each], context, level + 1) for each in inside)])


def _route(path: str, operation: dict[str, Any]) -> str:
    parts = [f"## GET {path}", operation["summary"], operation.get("description", "")]
    rows = (
        [f"`{each['name']}`", _kind(each["schema"]), _flat(each["description"])]
        for each in operation["parameters"]
    )
    if operation["parameters"]:
        parts.append(table(["parameter", "type", "meaning"], rows))
    parts.append(table(["status", "answer"], map(_answer, operation["responses"].items())))
    return "\n\n".join(filter(None, parts))


def _answer(item: tuple[str, dict[str, Any]]) -> list[str]:
    status, response = item
    kind = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return [status, f"{response['description']} {_link_to(kind)}"]


@cache
def _pages_of_types() -> dict[str, str]:
    return {kind.__name__: name for name, (_, kind) in PUBLISHED.items()}


def _link_to(kind: str) -> str:
    name = _pages_of_types().get(kind)
    return f"[{name}](schemas.md#{name})" if name else f"`{kind}`"


def _channel(channel: dict[str, Any], document: dict[str, Any]) -> str:
    messages = [document["components"]["messages"][name] for name in channel["messages"]]
    parts = [f"## {channel['address']}", f"{channel['description']}", *map(_message, messages)]
    return "\n\n".join(parts)


def _message(message: dict[str, Any]) -> str:
    payload, headers = message["payload"], message["headers"]
    value = _link_to(payload["$ref"].rpartition("/")[2]) if "$ref" in payload else payload.get("description")
    rows = [
        ["value", f"{message['contentType']}: {value or 'a CloudEvent around the data'}"],
        ["key", message["bindings"]["kafka"]["key"]["description"]],
    ]
    for name, schema in headers["properties"].items():
        always = " *Required.*" if name in headers["required"] else ""
        rows.append([f"`{name}`", f"{schema['description']}{always}"])
    return f"**{message['title']}.** {message['summary']}\n\n{table(['part', 'meaning'], rows)}"


def _schema(name: str) -> str:
    schema = json_schema(name)
    parts = [
        f"## {name}",
        f"{schema['title']}: [{file_name(name)}](../../schemas/json/{file_name(name)}).",
        schema["description"],
        table(["field", "type", "meaning"], _fields(schema)),
    ]
    for kind, part in schema.get("$defs", {}).items():
        if "properties" in part:
            parts += [
                f"**{kind}.** {part.get('description', '')}",
                table(["field", "type", "meaning"], _fields(part)),
            ]
    return "\n\n".join(parts)


def _fields(schema: dict[str, Any]) -> Iterator[list[str]]:
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        told = _flat(field.get("description", ""))
        yield [f"`{name}`", _kind(field), f"{told} *Required.*".strip() if name in required else told]


def _kind(schema: dict[str, Any]) -> str:
    match schema:
        case {"anyOf": kinds}:
            return " or ".join(dict.fromkeys(map(_kind, kinds)))
        case {"type": "array"}:
            return f"list of {_kind(schema.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_kind(values)}"
    return _single_kind(schema)


def _single_kind(schema: dict[str, Any]) -> str:
    match schema:
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"$ref": reference}:
            return f"**{reference.rpartition('/')[2]}**"
    return str(schema.get("type", "string" if "pattern" in schema else "any"))


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


PARTS: dict[str, Callable[[], str]] = {
    "settings": cache(settings),
    "reasons": cache(reasons),
    "topics": cache(topics),
    "channels": cache(channels),
    "metrics": cache(metrics),
    "parameters": cache(parameters),
    "admin-parameters": cache(admin_parameters),
    "rights": cache(rights),
    "commands": cache(commands),
    "routes": cache(routes),
    "schemas": cache(schemas),
}
