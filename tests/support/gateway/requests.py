"""Requests as a gateway's server hands them on, and a sink that keeps what it gets."""

from collections.abc import Iterable, Sequence
from typing import Any, cast
from uuid import uuid4

from litestar.types import HTTPScope, Receive

from streams.gateway.requests.fields import Fields
from streams.gateway.requests.forms import Forms
from streams.gateway.requests.parts import FilePart, Form, FormShape

Headers = Sequence[tuple[str, str]]


def scope_of(headers: Headers = (), query: str = "", method: str = "POST") -> HTTPScope:
    """The scope of a request."""
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "headers": encoded, "query_string": query.encode()}
    return cast("HTTPScope", scope)


def receiving(pieces: Iterable[bytes]) -> Receive:
    """Give a body in pieces."""
    waiting: list[Any] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:  # noqa: ANN401 - an event
        return waiting.pop(0)

    return cast("Receive", receive)


class KeepingSink:
    """Keeps a file, and what was known when it began."""

    def __init__(self) -> None:
        self.part: FilePart | None = None
        self.before: list[str] = []
        self.data = bytearray()
        self.ended = False

    async def begin(self, part: FilePart, fields: Fields) -> None:
        self.part, self.before = part, sorted(fields)

    async def write(self, data: bytes) -> None:
        assert data
        self.data += data

    async def end(self) -> None:
        self.ended = True


def multipart(*parts: tuple[str, bytes] | tuple[str, bytes, bytes], boundary: str = "x") -> bytes:
    """A form; a part of three has its name, its file's name and its bytes."""
    lines = bytearray()
    for name, *rest in parts:
        filename = b'; filename="%s"' % rest[0] if len(rest) > 1 else b""
        head = b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
        lines += head % (boundary.encode(), name.encode(), filename) + rest[-1] + b"\r\n"
    return bytes(lines + b"--%s--\r\n" % boundary.encode())


def pieces_of(content: bytes, size: int) -> list[bytes]:
    """Cut into pieces."""
    return [content[start : start + size] for start in range(0, len(content), size)]


async def read_multipart(
    content: bytes, *, piece: int = 65_536, boundary: str = "x", forms: Forms | None = None
) -> tuple[Form, KeepingSink]:
    """Read a form that comes in pieces."""
    sink = KeepingSink()
    scope = scope_of([("content-type", f"multipart/form-data; boundary={boundary}")])
    form = await (forms or Forms()).read(scope, receiving(pieces_of(content, piece)), sink)
    return form, sink


async def read_body(
    content: bytes,
    kind: str | None = None,
    query: str = "",
    shape: FormShape | None = None,
    method: str = "POST",
) -> tuple[Form, KeepingSink]:
    """Read a body of any other type."""
    sink = KeepingSink()
    scope = scope_of([("content-type", kind)] if kind is not None else [], query, method)
    return await Forms().read(scope, receiving([content] if content else []), sink, shape), sink


def texts(form: Form) -> dict[str, str]:
    """The texts of a form's fields."""
    return {name: ",".join(field.texts) for name, field in form.fields.items()}


def unique_name() -> str:
    """A name of its own."""
    return uuid4().hex
