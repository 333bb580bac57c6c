"""Writes requests as bytes, right or wrong ones; knows nothing of the gateway's own code."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from urllib.parse import urlencode

Pairs = Sequence[tuple[str, str | bytes]]
UNSIGNED = {"file", "api_key", "signature", "resource_type", "cloud_name"}
BOUNDARY = "aB3-boundary"


@dataclass(frozen=True)
class Caller:
    """Somebody with a key of a cloud."""

    cloud: str
    key: str
    secret: str

    def signature(self, pairs: Pairs, *, version: int = 2, algorithm: str = "sha1") -> str:
        """The signature of these fields, in their order by name."""
        signed = [f"{name}={_text(value)}" for name, value in pairs if name not in UNSIGNED and value]
        if version == 2:
            signed = [pair.replace("&", "%26") for pair in signed]
        return hashlib.new(algorithm, ("&".join(sorted(signed)) + self.secret).encode()).hexdigest()

    def signed(self, *pairs: tuple[str, str | bytes], timestamp: str | None = None) -> Pairs:
        """The fields with what vouches for them."""
        fields = [*pairs, ("timestamp", str(int(time())) if timestamp is None else timestamp)]
        return [*fields, ("api_key", self.key), ("signature", self.signature(fields))]

    @property
    def basic(self) -> str:
        """A header that vouches for a call."""
        return "Authorization: Basic " + base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()

    def path(self, action: str) -> str:
        """Where an action is asked for."""
        return f"/v1_1/{self.cloud}/{action}"

    def upload(self, pairs: Pairs, file: bytes | None, *headers: str, action: str = "image/upload") -> bytes:
        """A multipart upload of a file, or of none."""
        files = () if file is None else (part("file", file, "photo.jpg"),)
        body = b"".join((*(part(name, value) for name, value in pairs), *files, closing()))
        return request(
            "POST", self.path(action), body, *headers, kind=f"multipart/form-data; boundary={BOUNDARY}"
        )

    def form(self, action: str, pairs: Pairs, *headers: str) -> bytes:
        """An urlencoded call."""
        body = urlencode(list(pairs)).encode()
        return request("POST", self.path(action), body, *headers, kind="application/x-www-form-urlencoded")

    def admin(self, method: str, action: str, body: object = None, *headers: str) -> bytes:
        """A call of the Admin API, its body JSON."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return request(method, self.path(action), content, self.basic, *headers, kind="application/json")


def part(name: str, value: str | bytes, filename: str | None = None, *headers: str) -> bytes:
    """One part of a multipart body."""
    named = "" if filename is None else f'; filename="{filename}"'
    lines = (f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"{named}', *headers, "", "")
    return "\r\n".join(lines).encode() + (value.encode() if isinstance(value, str) else value) + b"\r\n"


def closing() -> bytes:
    """The end of a multipart body."""
    return f"--{BOUNDARY}--\r\n".encode()


def request(method: str, path: str, body: bytes, *headers: str, kind: str | None = None) -> bytes:
    """A whole request, whose length is what it says."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
