"""Requests of real SDKs, kept byte for byte: recorded once by recording.py, sent again to a gateway by tests.

A photo's bytes are kept as its name. Sent again, a request has the time of then and its signature made anew,
each as long as before; nothing else differs.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

CLOUD, KEY, SECRET = "test", "testkey", "testsecret"  # what the recordings were made with
UNSIGNED = {"file", "api_key", "signature", "resource_type", "cloud_name"}


@dataclass(frozen=True)
class Recorded:
    """One request, `{{name}}` in the place of a photo; the sizes of its chunks, if it came in some."""

    head: str
    body: str
    chunks: list[int] | None = None

    @classmethod
    def of(
        cls, head: bytes, body: bytes, chunks: list[int] | None, photos: Mapping[str, bytes]
    ) -> "Recorded":
        for name, content in photos.items():
            body = body.replace(content, b"{{%s}}" % name.encode())
        return cls(head.decode("latin-1"), body.decode("latin-1"), chunks)

    def content(self, photos: Mapping[str, bytes], now: int | None = None) -> bytes:
        """The request's body, without the sizes of chunks."""
        body = self.body.encode("latin-1")
        if now is not None:
            body = signed_anew(body, now)
        for name, content in photos.items():
            body = body.replace(b"{{%s}}" % name.encode(), content)
        return body

    def sent(self, photos: Mapping[str, bytes], now: int | None = None) -> bytes:
        """The request's bytes; with a time, signed anew for then."""
        body = self.content(photos, now)
        return self.head.encode("latin-1") + (body if self.chunks is None else in_chunks(body, self.chunks))


def in_chunks(body: bytes, sizes: list[int]) -> bytes:
    """A body in chunks of these sizes, which go on being those of the SDK."""
    sent, place = [], 0
    for size in sizes:
        sent.append(b"%x\r\n%s\r\n" % (size, body[place : place + size]))
        place += size
    assert place == len(body)
    return b"".join((*sent, b"0\r\n\r\n"))


def fields_of(body: bytes) -> dict[str, str]:
    """The text fields of a multipart or urlencoded body."""
    if body.startswith(b"--"):
        found = re.findall(rb'name="?([\w\[\]]+)"?(?:\r\n[^\r\n]+)*\r\n\r\n(.*?)\r\n--', body, re.DOTALL)
        return {name.decode(): value.decode("latin-1") for name, value in found}
    return dict(parse_qsl(body.decode("latin-1")))


def signed_anew(body: bytes, now: int) -> bytes:
    """The body with another time and the signature that belongs to it; as it is where it was not signed."""
    fields = fields_of(body)
    if "signature" not in fields:
        return body
    signature = signature_of({**fields, "timestamp": str(now)})
    assert signature_of(fields) == fields["signature"], fields
    for old, new in ((fields["signature"], signature), (fields["timestamp"], str(now))):
        assert body.count(old.encode()) == 1
        body = body.replace(old.encode(), new.encode())
    return body


def signature_of(fields: Mapping[str, str]) -> str:
    """The recorded key's signature."""
    pairs = sorted(f"{name}={value}" for name, value in fields.items() if name not in UNSIGNED and value)
    return hashlib.sha1(("&".join(pairs) + SECRET).encode()).hexdigest()  # noqa: S324 - SDKs sign with SHA-1


def load(path: Path) -> list[Recorded]:
    """The requests of one SDK, in the order in which it sent them."""
    return [Recorded(**request) for request in json.loads(path.read_text("utf-8"))]
