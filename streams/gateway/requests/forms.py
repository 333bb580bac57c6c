"""A request's fields and its file, in whatever form they come.

Multipart forms, urlencoded ones, JSON, and bodies without a Content-Type, on any method; fields of the query
count where the body names none of the same name. A file's bytes are never kept here: they go on to a sink as
they come, whether they are a part of a form, a `data:` URI or base64.
"""

import asyncio
import functools
from urllib.parse import parse_qsl

from litestar.types import HTTPScope, Receive
from multipart import parse_options_header

from streams.gateway.requests.bodies import Body, Buffers, Limits
from streams.gateway.requests.data_uris import MAX_HEAD, Base64Stream, DataUri
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.multipart_forms import MultipartReader, check_texts
from streams.gateway.requests.parts import FilePart, FileSink, Form, FormShape
from streams.gateway.requests.problems import BadCallError, shown

_AT_ONCE = 65_536  # characters of base64 that are decoded in one go
_THREAD_FROM = 65_536  # bytes of a body that is parsed in a thread


class _Nothing:
    """Takes no file."""

    async def begin(self, part: FilePart, fields: Fields) -> None:
        del fields
        raise BadCallError(f"A file was sent as {part.name!r} where none is taken; leave it out")

    async def write(self, data: bytes) -> None:
        """Never called."""

    async def end(self) -> None:
        """Never called."""


class Forms:
    """Reads forms, within limits."""

    def __init__(self, limits: Limits | None = None, buffers: Buffers | None = None) -> None:
        self._limits = limits or Limits()
        self._buffers = buffers or Buffers()

    async def read(
        self, scope: HTTPScope, receive: Receive, sink: FileSink | None = None, shape: FormShape | None = None
    ) -> Form:
        """Read all of a request.

        Args:
            scope: The request's.
            receive: Gives its body.
            sink: Takes the file; None: there must be none.
            shape: Which fields hold the file; None: as in an upload.

        Raises:
            GatewayError: It is no form that can be read, or it exceeds a limit.
        """
        sink, shape = sink or _Nothing(), shape or FormShape()
        query = Fields.of_pairs(_pairs(scope["query_string"], self._limits.fields))
        body = Body(scope, receive, self._limits)
        kind, options = parse_options_header(body.content_type)
        if kind == "multipart/form-data":
            reader = MultipartReader(options.get("boundary", ""), body, self._limits, sink, shape)
            form = await reader.read()
        else:
            form = await self._whole(kind, body, sink, shape)
        return Form(form.fields.over(query), form.file)

    async def _whole(self, kind: str, body: Body, sink: FileSink, shape: FormShape) -> Form:
        content = await body.whole(self._buffers)
        try:
            read = functools.partial(_fields_of, kind, content, self._limits)
            fields = await asyncio.to_thread(read) if len(content) > _THREAD_FROM else read()
            return await _with_file(fields, sink, shape, self._limits)
        finally:
            self._buffers.give_back(self._buffers.share_of(len(content)))


def _fields_of(kind: str, content: bytearray, limits: Limits) -> Fields:
    is_json = kind == "application/json" or kind.endswith("+json")
    if is_json or (not kind and content.lstrip().startswith((b"{", b"["))):
        fields = _json_fields(bytes(content), limits)
    elif kind in {"", "application/x-www-form-urlencoded", "text/plain"} or not content:
        fields = Fields.of_pairs(_pairs(bytes(content), limits.fields))
    else:
        forms = "multipart/form-data, application/x-www-form-urlencoded or application/json"
        raise BadCallError(f"Content-Type {shown(kind)!r} is not understood; send {forms}")
    if sum(len(field.texts) for field in fields.values()) > limits.fields:
        raise BadCallError(f"The body has too many fields; at most {limits.fields} are accepted")
    return fields


def _json_fields(content: bytes, limits: Limits) -> Fields:
    if len(content) > limits.json:
        raise BadCallError(
            f"The JSON has {len(content)} bytes; at most {limits.json} are accepted: use a form"
        )
    return Fields.of_json(content) if content.strip() else Fields({})


def _pairs(text: bytes, most: int) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise BadCallError("A field's text is no UTF-8; send it as UTF-8, percent-encoded") from None
    except ValueError:
        raise BadCallError(f"The request has too many fields; at most {most} are accepted") from None


async def _with_file(fields: Fields, sink: FileSink, shape: FormShape, limits: Limits) -> Form:
    """Take the file out of fields that came as a whole."""
    encoded = [
        name for name in (shape.file, shape.base64) if name is not None and _is_encoded(name, fields, shape)
    ]
    rest = fields.without(*encoded)
    for name, field in rest.items():
        check_texts(name, field.texts, limits)
    if sum(len(text) for field in rest.values() for text in field.texts) > limits.texts:
        raise BadCallError(f"The body's fields have more than {limits.texts} bytes together; send less")
    if not encoded:
        return Form(fields)
    if len(encoded) > 1:
        raise BadCallError(f"Files were sent as {encoded[0]} and as {encoded[1]}; send one")
    name = encoded[0]
    text, reader = fields.required(name).encode(), DataUri() if name == shape.file else Base64Stream()
    data = [reader.feed(text[:MAX_HEAD])]  # a data URI's content type is known from here on
    part = FilePart(name, None, getattr(reader, "content_type", None) or "")
    await sink.begin(part, rest)
    for start in range(MAX_HEAD, len(text), _AT_ONCE):
        data.append(reader.feed(text[start : start + _AT_ONCE]))
        await _pass_on(sink, data)
    data.append(reader.finish())
    await _pass_on(sink, data)
    await sink.end()
    return Form(rest, part)


async def _pass_on(sink: FileSink, data: list[bytes]) -> None:
    if joined := b"".join(data):
        await sink.write(joined)
    data.clear()


def _is_encoded(name: str, fields: Fields, shape: FormShape) -> bool:
    field = fields.get(name)
    if field is None or not any(field.texts):
        return False
    return name == shape.base64 or fields.required(name)[:5].lower() == "data:"
