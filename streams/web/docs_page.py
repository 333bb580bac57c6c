"""A page for people at `/docs`: the OpenAPI document as HTML, without scripts or anything from elsewhere."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.plugins import OpenAPIRenderPlugin

from streams.web.html import POLICY, heading, link, page, paragraphs, table

PATH = "/docs"


class DocsPage(OpenAPIRenderPlugin):
    """Writes the page."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page as HTML."""
        operations = (
            _operation(f"{method.upper()} {path}", operation)
            for path, item in openapi_schema["paths"].items()
            for method, operation in item.items()
        )
        info = openapi_schema["info"]
        title = f"{info['title']} {info['version']}"
        links = f"{link('/openapi.json')} {link('/docs/channels')}"
        return page(title, info["description"], links, operations)


def docs_router() -> Router:
    """Where Litestar puts the page: nothing else that it would serve there is known."""
    headers = {"content-security-policy": POLICY}
    return Router(
        PATH, route_handlers=[], guards=[_only_the_page], include_in_schema=False, response_headers=headers
    )


async def _only_the_page(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    if connection.scope["path"] != PATH:
        raise NotFoundException
    await asyncio.to_thread(getattr, connection.app, "openapi_schema")  # to make it takes a tenth of a second


def _operation(title: str, operation: Mapping[str, Any]) -> str:
    parameters = (
        (each["name"], each["description"], f"such as {each['example']}")
        for each in operation.get("parameters", ())
    )
    answers = (
        (status, answer["description"], *answer.get("content", ()))
        for status, answer in operation["responses"].items()
    )
    text = f"{operation['summary']}.\n\n{operation.get('description', '')}".strip()
    return f"{heading(title)}{paragraphs(text)}{table(parameters)}{table(answers)}"
