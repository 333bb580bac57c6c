"""The AsyncAPI document and its page, over HTTP."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from support.web_client import client_of

from schemas.contracts.asyncapi import document
from schemas.topics import TopicNames
from streams.web.app import create_api
from streams.web.channels_page import ENTRIES, channel_handlers

DOCUMENT = document(TopicNames("app", "eu."), "0.1.0", partitions=12, replication=3)


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    """A client of a worker that serves them."""
    async with client_of(create_api([], handlers=channel_handlers(DOCUMENT), entries=ENTRIES)) as client:
        yield client


async def test_the_document_is_served(client: ClientSession) -> None:
    """As JSON, with the deployment's own names."""
    async with client.get("/asyncapi.json") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        assert await answer.json() == DOCUMENT


async def test_the_page_shows_each_topic_with_its_headers_and_an_example(client: ClientSession) -> None:
    """Without scripts, and without anything from elsewhere."""
    async with client.get("/docs/channels") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        text = await answer.text()
    assert [f"eu.image.{each}" for each in ("uploads", "categorizations", "tag-updates", "dead-letters")] == (
        re.findall(r"<h2>(\S+):", text)
    )
    assert "<td>__connect.errors.offset</td>" in text
    assert "<td>partitions</td><td>12</td>" in text
    assert "&quot;public_id&quot;: &quot;koala&quot;" in text
    assert set(re.findall(r'(?:href|src)="([^"]+)"', text)) == {"/asyncapi.json", "/docs"}
    assert "<script" not in text


async def test_the_page_of_questions_leads_there(client: ClientSession) -> None:
    """Who reads about one finds the other."""
    async with client.get("/docs") as answer:
        assert 'href="/docs/channels"' in await answer.text()
