"""The topics as an AsyncAPI document at `/asyncapi.json`, and as a page for people."""

import asyncio
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler, get

from schemas.contracts.asyncapi import ASYNCAPI
from streams.web.door import Entry
from streams.web.html import POLICY, heading, link, page, paragraphs, table, verbatim
from streams.web.replies import Html, Json

DOCUMENT = "/asyncapi.json"
PAGE = "/docs/channels"
ENTRIES = dict.fromkeys((DOCUMENT, PAGE), Entry.COUNTED)
"""Who may read them: as `/openapi.json`."""

Document = Mapping[str, Any]


def channel_handlers(document: Document) -> list[HTTPRouteHandler]:
    """What serves a document; each answer is made once, when somebody asks for it."""

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(document)

    @functools.cache
    def shown() -> bytes:
        return rendered(document)

    @get(DOCUMENT, include_in_schema=False)
    async def asyncapi() -> Json:
        return Json(await asyncio.to_thread(encoded))

    @get(PAGE, include_in_schema=False)
    async def channels() -> Json:
        return Html(await asyncio.to_thread(shown), headers={"content-security-policy": POLICY})

    return [asyncapi, channels]


def rendered(document: Document) -> bytes:
    """The page."""
    info = document["info"]
    title = f"{info['title']} {info['version']}: topics"
    links = f"AsyncAPI {ASYNCAPI}: {link(DOCUMENT)} {link('/docs')}"
    return page(title, info["description"], links, map(_channel, _channels(document)))


def _channels(document: Document) -> Iterator[tuple[Document, list[Document]]]:
    """Each channel with its messages."""
    messages = document["components"]["messages"]
    for channel in document["channels"].values():
        yield channel, [messages[name] for name in channel["messages"]]


def _channel(item: tuple[Document, list[Document]]) -> str:
    channel, messages = item
    binding = channel["bindings"]["kafka"]
    told = {name: binding[name] for name in ("partitions", "replicas") if name in binding}
    rows = (told | binding["topicConfiguration"]).items()
    parts = [
        heading(f"{channel['address']}: {channel['title'].lower()}"),
        table(rows),
        *map(_message, messages),
    ]
    return "".join(parts)


def _message(message: Document) -> str:
    headers = message["headers"]
    rows = [
        ("value", f"{message['contentType']}: {_kind(message['payload'])}"),
        ("key", message["bindings"]["kafka"]["key"]["description"]),
        *(
            (name, _header(schema, name in headers["required"]))
            for name, schema in headers["properties"].items()
        ),
    ]
    example = "".join(
        verbatim(msgspec.json.format(msgspec.json.encode(each["payload"]), indent=2).decode())
        for each in message.get("examples", ())
    )
    return f"{heading(message['title'], 3)}{paragraphs(message['summary'])}{table(rows)}{example}"


def _kind(payload: Document) -> str:
    """What a value is, in words; its fields are in the document."""
    if "$ref" in payload:
        return str(payload["$ref"].rpartition("/")[2])
    return str(payload.get("description", "a CloudEvent around the data"))


def _header(schema: Document, always: bool) -> str:  # noqa: FBT001 - a header is always there, or not
    value = f" `{schema['const']}`." if "const" in schema else ""
    return f"{schema['description']}{value}{' Always there.' if always else ''}"
