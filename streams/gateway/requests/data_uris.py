"""Bytes within a text: `data:` URIs and base64, decoded piece by piece as they come."""

import base64
import binascii
import re

from streams.gateway.requests.problems import BadCallError

_HEAD = re.compile(rb"data:([^;,]{0,128})((?:;[^;,]{0,128}){0,8}),", re.IGNORECASE)
MAX_HEAD = 1024
_BLANK = bytes(range(33))


class Base64Stream:
    """Base64 of either alphabet, with or without line breaks and padding."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, text: bytes) -> bytes:
        """Give the bytes that are whole by now.

        Raises:
            BadCallError: It is no base64.
        """
        joined = self._rest + text.translate(_STANDARD, delete=_BLANK)
        whole = len(joined) - len(joined) % 4
        self._rest = joined[whole:]
        return _decoded(joined[:whole])

    def finish(self) -> bytes:
        """Give what is left.

        Raises:
            BadCallError: It is no base64.
        """
        rest, self._rest = self._rest, b""
        return _decoded(rest + b"=" * (-len(rest) % 4))


class DataUri:
    """A text that may be a `data:` URI, as it comes.

    Attributes:
        text: What came, while it may be none.
        content_type: As the URI says; None: it is none, or that is not known yet.
    """

    def __init__(self) -> None:
        self.text = bytearray()
        self.content_type: str | None = None
        self._stream = Base64Stream()

    @property
    def undecided(self) -> bool:
        """Whether more must come before it can be told."""
        return self.content_type is None and b"data:".startswith(bytes(self.text[:5]).lower())

    def feed(self, text: bytes) -> bytes:
        """Take more of the text in; give the bytes that it stands for as far as they are known.

        Raises:
            BadCallError: It is a `data:` URI without base64.
        """
        if self.content_type is not None:
            return self._stream.feed(text)
        self.text += text
        if not self.undecided or len(self.text) < len(b"data:"):
            return b""
        head = _HEAD.match(self.text)
        if head is None:
            if len(self.text) > MAX_HEAD:
                raise BadCallError("Invalid data URI: no comma ends its head")
            return b""
        if b";base64" not in head[2].lower():
            raise BadCallError(
                "Invalid data URI: only base64 is accepted, as in data:image/png;base64,iVBOR…"
            )
        self.content_type = head[1].decode("latin-1")
        rest = bytes(self.text[head.end() :])
        self.text.clear()
        return self._stream.feed(rest)

    def finish(self) -> bytes:
        """Give what is left of the bytes.

        Raises:
            BadCallError: The URI ends within its head, or is no base64.
        """
        if self.content_type is None and self.text and self.text[:5].lower() == b"data:":
            raise BadCallError("Invalid data URI: no comma ends its head")
        return self._stream.finish()


_STANDARD = bytes.maketrans(b"-_", b"+/")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadCallError("Invalid data URI: it is no base64") from None
