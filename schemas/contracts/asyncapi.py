"""The AsyncAPI document of all channels, made from what the code itself goes by."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from schemas.contracts.channels import CHANNELS, Channel
from schemas.contracts.messages import Message, example_of
from schemas.json_schemas import PUBLISHED
from schemas.topics import TopicNames

ASYNCAPI = "3.0.0"
_BINDING = {"bindingVersion": "0.5.0"}  # of Kafka's bindings
_REFERENCE = "#/components/schemas/{name}"
_NUMBERS = frozenset({"retention.ms", "delete.retention.ms", "max.message.bytes"})
_DESCRIPTION = (
    "Upload events in; tags, what changed, and what could not be handled out. Outputs are written in "
    "transactions: read them with `isolation.level=read_committed`, and each counts once. Consumers ignore "
    "fields that they do not know: a compatible change adds one."
)


def document(
    names: TopicNames, version: str, *, partitions: int | None = None, replication: int | None = None
) -> dict[str, Any]:
    """The document.

    Args:
        names: What the topics are called.
        version: Of the product.
        partitions: Of each topic that is created; None: not told.
        replication: Likewise, its replicas.
    """
    there = [channel for channel in CHANNELS if channel.address(names) in names.told_configs]
    size = {"partitions": partitions, "replicas": replication}
    told = {name: number for name, number in size.items() if number is not None}
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Tagstream",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel, names, told) for channel in there},
        "operations": {_operation_name(channel): _operation(channel) for channel in there},
        "components": {
            "messages": {message.name: _message(message) for message in _messages(there)},
            "schemas": _schemas(_messages(there)),
        },
    }


def as_json(content: Mapping[str, Any]) -> bytes:
    """A document as it is checked in."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _messages(channels: Iterable[Channel]) -> Iterator[Message]:
    for channel in channels:
        yield from channel.messages


def _channel(channel: Channel, names: TopicNames, size: Mapping[str, int]) -> dict[str, Any]:
    address = channel.address(names)
    return {
        "address": address,
        "title": channel.title,
        "description": inspect.getdoc(getattr(TopicNames, channel.name)),
        "messages": {
            message.name: {"$ref": f"#/components/messages/{message.name}"} for message in channel.messages
        },
        "bindings": {
            "kafka": {**size, "topicConfiguration": _configuration(names.told_configs[address]), **_BINDING}
        },
    }


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: int(text) if name in _NUMBERS else text for name, text in sorted(config.items())
    }
    return told | {"cleanup.policy": config["cleanup.policy"].split(",")}


def _operation_name(channel: Channel) -> str:
    return f"{'send' if channel.written else 'receive'}_{channel.name}"


def _operation(channel: Channel) -> dict[str, Any]:
    reference = f"#/channels/{channel.name}"
    return {
        "action": "send" if channel.written else "receive",
        "title": channel.title,
        "channel": {"$ref": reference},
        "messages": [{"$ref": f"{reference}/messages/{message.name}"} for message in channel.messages],
    }


def _message(message: Message) -> dict[str, Any]:
    summary = f"{message.summary} A record without a value: {message.tombstone}"
    told: dict[str, Any] = {
        "name": message.name,
        "title": message.title,
        "summary": summary if message.tombstone else message.summary,
        "contentType": message.content_type,
        "headers": {
            "type": "object",
            "properties": dict(message.headers),
            "required": list(message.required),
        },
        "payload": _payload(message),
        "bindings": {"kafka": {"key": _key(message), **_BINDING}},
    }
    if message.example is not None:
        headers = {name: _header_example(message.headers[name]) for name in message.required}
        told["examples"] = [{"name": message.name, "headers": headers, "payload": example_of(message)}]
    return told


def _header_example(schema: Mapping[str, Any]) -> str:
    text = schema.get("const") or schema.get("enum", ["e1"])[0]
    return str(text)


def _key(message: Message) -> dict[str, Any]:
    if message.key_schema is None:
        return {"type": "string", "description": message.key}
    # In a reference nothing else counts: the description is beside it.
    return {"description": message.key, "allOf": [_reference(message.key_schema)]}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=PUBLISHED[schema][1].__name__)}


def _payload(message: Message) -> dict[str, Any]:
    if message.schema is None:
        return {"description": "The value of the original record: any bytes, or none."}
    data = _reference(message.schema)
    if not message.enveloped:
        return data
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            **dict.fromkeys(("id", "source", "type"), text),
            "time": {"type": "string", "format": "date-time"},
            "data": data,
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }


def _schemas(messages: Iterable[Message]) -> dict[str, Any]:
    names = [name for message in messages for name in (message.key_schema, message.schema) if name]
    return parts_of(PUBLISHED[name][1] for name in names)


def parts_of(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    """The JSON Schema of types and of all that they are made of, by name."""
    _, parts = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=_REFERENCE)
    for part in parts.values():  # Python 3.13 unindents docstrings, earlier ones do not
        part["description"] = inspect.cleandoc(part["description"])
    return parts
