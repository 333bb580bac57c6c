"""Multipart forms, read as they come: a file's bytes go on to a sink, texts are kept."""

import asyncio
from collections.abc import Iterable

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from streams.gateway.requests.bodies import MIB, Body, Limits
from streams.gateway.requests.data_uris import Base64Stream, DataUri
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.parts import FilePart, FileSink, Form, FormShape, name_of
from streams.gateway.requests.problems import BadCallError, shown

MAX_BOUNDARY = 200  # RFC 2046 allows 70
_ENVELOPE = MIB  # bytes around fields: headers and boundaries
_BREATH = 64  # events after which others have their turn


class MultipartReader:
    """Reads one form."""

    def __init__(self, boundary: str, body: Body, limits: Limits, sink: FileSink, shape: FormShape) -> None:
        self._body = body
        self._boundary = boundary
        self._limits = limits
        self._sink = sink
        self._shape = shape
        self._pairs: list[tuple[str, str]] = []
        self._texts = 0
        self._file: FilePart | None = None
        self._part: _Text | _File | None = None

    async def read(self) -> Form:
        """Read all of it.

        Raises:
            GatewayError: It is broken, or exceeds a limit; or what the sink raises.
        """
        parser: PushMultipartParser | None = None
        most = self._limits.file * 4 // 3 + self._limits.texts + _ENVELOPE  # base64 takes a third more
        try:
            async for chunk in self._body.chunks(most):
                parser = parser or self._new_parser()
                for number, event in enumerate(parser.parse(chunk)):
                    await self._take(event)
                    if number % _BREATH == _BREATH - 1:
                        await asyncio.sleep(0)
            if parser is not None:
                parser.close()
        except ParserLimitReached as error:
            raise BadCallError(f"The form exceeds a limit: {_explained(error)}") from None
        except MultipartError as error:
            raise BadCallError(f"The form is broken: {_explained(error)}") from None
        fields = Fields.of_pairs(self._pairs)
        if self._file is not None and fields.text(self._shape.file) is not None:
            raise BadCallError(f"{self._shape.file} came as a file and as a text; send one of them")
        return Form(fields, self._file)

    def _new_parser(self) -> PushMultipartParser:
        if not 0 < len(self._boundary) <= MAX_BOUNDARY:
            raise BadCallError("Content-Type multipart/form-data names no boundary, or one that is too long")
        # Names of files come in any encoding: Latin-1 keeps each byte until it is known what it means.
        return PushMultipartParser(
            self._boundary, max_segment_count=self._limits.fields, header_charset="latin-1"
        )

    async def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._part = await self._begin(event)
        elif event is None:
            await self._end()
        elif self._part is not None:
            await self._part.write(bytes(event))

    async def _begin(self, segment: MultipartSegment) -> "_Text | _File":
        name = _utf8(segment.name or "")
        if segment.filename is not None:
            part = FilePart(name, name_of(segment.filename), (segment.content_type or "")[:128])
            file = _File(part, self)
            await file.begin()
            return file
        return _Text(name, self)

    async def _end(self) -> None:
        if self._part is not None:
            await self._part.end()
        self._part = None

    async def begin_file(self, part: FilePart) -> None:
        """Announce the file to the sink."""
        if part.name not in {self._shape.file, self._shape.base64}:
            rule = f"a file belongs into {self._shape.file!r}"
            raise BadCallError(f"Field {shown(part.name)!r} is a file: {rule}")
        if self._file is not None:
            raise BadCallError("The form has two files; send one in each call")
        self._file = part
        await self._sink.begin(part, Fields.of_pairs(self._pairs))

    async def write_file(self, data: bytes, size: int) -> None:
        """Hand bytes on to the sink.

        Args:
            data: The bytes.
            size: The file's size with them.
        """
        if size > self._limits.file:
            most = self._limits.file
            raise BadCallError(f"File size too large. Maximum is {most}; send large files in chunks")
        if data:
            await self._sink.write(data)

    async def end_file(self) -> None:
        """Tell the sink that the file is whole."""
        await self._sink.end()

    def reader_of(self, name: str) -> DataUri | Base64Stream | None:
        """Give what makes bytes of a text, if any does."""
        if name == self._shape.base64:
            return Base64Stream()
        return DataUri() if name == self._shape.file else None

    def check_text(self, name: str, size: int) -> None:
        """Refuse a text that grows too long, or too much of all texts."""
        check_texts(name, (), self._limits, size)
        if self._texts + size > self._limits.texts:
            raise BadCallError(
                f"The form's fields have more than {self._limits.texts} bytes together; send less"
            )

    def add_text(self, name: str, content: bytes) -> None:
        """Take a whole field in."""
        self._texts += len(content)
        self._pairs.append((name, _strict(name, content)))


class _File:
    """A part with a file."""

    def __init__(self, part: FilePart, form: MultipartReader) -> None:
        self._part, self._form, self._size = part, form, 0

    async def begin(self) -> None:
        await self._form.begin_file(self._part)

    async def write(self, data: bytes) -> None:
        self._size += len(data)
        await self._form.write_file(data, self._size)

    async def end(self) -> None:
        await self._form.end_file()


class _Text:
    """A part with a text, which may stand for a file."""

    def __init__(self, name: str, form: MultipartReader) -> None:
        self._name, self._form = name, form
        self._reader = form.reader_of(name)
        self._text = bytearray()
        self._file: _File | None = None

    async def write(self, data: bytes) -> None:
        if self._reader is None:
            self._text += data
            self._form.check_text(self._name, len(self._text))
            return
        decoded = self._reader.feed(data)
        if isinstance(self._reader, DataUri) and self._reader.content_type is None:
            self._form.check_text(self._name, len(self._reader.text))
            return
        await self._write_file(decoded)

    async def end(self) -> None:
        if self._reader is None:
            self._form.add_text(self._name, bytes(self._text))
            return
        decoded = self._reader.finish()
        if isinstance(self._reader, DataUri) and self._reader.content_type is None:
            self._form.add_text(self._name, bytes(self._reader.text))
            return
        await self._write_file(decoded)
        if self._file is not None:
            await self._file.end()

    async def _write_file(self, decoded: bytes) -> None:
        if self._file is None:
            if not decoded and isinstance(self._reader, Base64Stream):
                return  # an empty field is as good as absent
            kind = self._reader.content_type if isinstance(self._reader, DataUri) else None
            self._file = _File(FilePart(self._name, None, kind or ""), self._form)
            await self._file.begin()
        await self._file.write(decoded)


def check_texts(name: str, texts: Iterable[str], limits: Limits, size: int = 0) -> None:
    """Refuse a field with too long a text.

    Raises:
        BadCallError: It has one.
    """
    longest = max((len(text) for text in texts), default=size)
    if longest > limits.text:
        raise BadCallError(f"Field {shown(name)!r} has more than {limits.text} bytes; send less")


def _explained(error: MultipartError) -> str:
    text = str(error.args[0]) if error.args else "unknown"
    return text[:1].lower() + text[1:]


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _strict(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadCallError(f"Field {shown(name)!r} is no UTF-8; send it as UTF-8") from None
