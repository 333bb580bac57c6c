"""A page for people at `/docs`: the OpenAPI document as HTML, without scripts or anything from elsewhere."""

import asyncio
import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.plugins import OpenAPIRenderPlugin

PATH = "/docs"
_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-top: 1px solid #ccc; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><h1>{title} {version}</h1><p>{description} <a href="/openapi.json">openapi.json</a></p>
{operations}</body></html>
"""


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
        info = {name: escape(str(text)) for name, text in openapi_schema["info"].items()}
        return _PAGE.format(**info, style=_STYLE, operations="\n".join(operations)).encode()


def docs_router() -> Router:
    """Where Litestar puts the page: nothing else that it would serve there is known."""
    headers = {"content-security-policy": _POLICY}
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
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))
    return f"<h2>{escape(title)}</h2>{paragraphs}{_table(parameters)}{_table(answers)}"


def _table(rows: Iterable[Iterable[object]]) -> str:
    cells = ("".join(f"<td>{escape(str(text))}</td>" for text in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
