"""Files that are no images, chunks that do not fit, methods and paths that nobody has."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from support.hostile.caller import Caller, request


def files(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Each a name and a request, signed."""
    for name, content in _contents(photo).items():
        yield f"image: {name}", caller.upload(caller.signed(("public_id", "evil")), content)
    yield from _chunks(caller, photo)
    yield from _paths(caller, photo)
    yield from _admin(caller)


def _contents(photo: bytes) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "a byte": b"\xff",
        "text": b"koala" * 100,
        "HTML": b"<html><script>alert(1)</script></html>",
        "a script in SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "a zip of names that lead up": _zip_of_names(),
        "a zip that explodes": _zip_of_zeros(),
        "the head of a photo": photo[:20],
        "a PNG of 4 gigapixels": _png(65_000, 65_000),
        "a PNG of no size": _png(0, 0),
        "a PNG with a negative size": _png(0x80000000, 0x80000000),
        "an XML of entities": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><a>&a;</a>',
        "a PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n(/etc/passwd) (r) file\n",
        "an ELF": b"\x7fELF\x02\x01\x01" + b"\0" * 100,
    }


def _zip_of_names() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("../../../etc/cron.d/evil", "/etc/passwd", "a" * 60_000, "..\\..\\evil"):
            archive.writestr(zipfile.ZipInfo(name), "evil")
    return made.getvalue()


def _zip_of_zeros() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 20_000_000)
    return made.getvalue()


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def _chunks(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    def sent(content: bytes, *headers: str) -> bytes:
        return caller.upload(caller.signed(("public_id", "evil")), content, *headers)

    identified = "X-Unique-Upload-Id: evil-1"
    size = len(photo)
    for name, value in {
        "backwards": "bytes 10-5/100",
        "beyond the total": f"bytes 0-{size - 1}/5",
        "negative": "bytes -5-10/100",
        "words": "bytes first-last/all",
        "another unit": f"pixels 0-{size - 1}/{size}",
        "no unit": f"0-{size - 1}/{size}",
        "more than was sent": f"bytes 0-{size * 2}/{size * 2 + 1}",
        "less than was sent": "bytes 0-9/10",
        "an exabyte": "bytes 0-999999999999999998/999999999999999999",
        "a negative total": f"bytes 0-{size - 1}/-7",
        "5,000 digits": f"bytes 0-{'9' * 5_000}/{'9' * 5_000}",
        "digits of another script": "bytes \uff10-\uff11/\uff12",
        "nothing": "",
        "several": "bytes 0-1/2, bytes 2-3/4",
        "hexadecimal": "bytes 0x0-0x9/0x10",
    }.items():
        yield f"range: {name}", sent(photo, identified, f"Content-Range: {value}")
    whole = f"Content-Range: bytes 0-{size - 1}/{size}"
    yield "range: twice", sent(photo, identified, whole, "Content-Range: bytes 0-0/1")
    yield "upload id: none", sent(photo[:10], "Content-Range: bytes 0-9/100")
    for name, value in {
        "empty": "",
        "leads up": "../../../../etc/passwd",
        "50,000 letters": "u" * 50_000,
    }.items():
        yield f"upload id: {name}", sent(photo, f"X-Unique-Upload-Id: {value}", "Content-Range: bytes 5-3/9")
    yield (
        "upload id: twice",
        sent(photo, identified, "X-Unique-Upload-Id: evil-2", "Content-Range: bytes 5-3/9"),
    )


def _paths(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    signed = caller.signed(("public_id", "evil"))
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "PROPFIND"):
        whole = caller.upload(signed, photo)
        yield f"method: {method} of an upload", method.encode() + whole.removeprefix(b"POST")
    for path in (
        "/",
        "//v1_1/test/image/upload",
        "/v1_1",
        "/v1_1/../../etc/passwd",
        "/v1_1/%2e%2e/%2e%2e/etc/passwd",
        "/v1_1/test/image/upload/%00",
        "/v1_1/test/%ff%fe/upload",
        "/v1_1/test/resources/image/upload/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/v1_1/test/resources/image/upload/a%00b",
        "/v1_1/test/resources/image/upload/" + "a" * 30_000,
        "/v1_1/test/resources/image/upload/" + "a/" * 10_000,
        "/v1_2/test/image/upload",
        "/v1_1/test/image/upload?" + "a=1&" * 5_000,
        "/test/image/upload/v1/../../../../etc/passwd",
        "/test/image/upload/v1/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/test/image/upload/v1/..%5c..%5cgateway.toml",
        "/test/image/upload/v99999999999999999999/missing.jpg",
        "/test/raw/upload/v1/chunks/test",
        "/v2/tags/../../etc/passwd",
    ):
        for method in ("GET", "POST"):
            yield f"path: {method} {path[:60]}", request(method, path, b"", caller.basic)


def _admin(caller: Caller) -> Iterator[tuple[str, bytes]]:
    for query in (
        "max_results=-1",
        "max_results=1e9",
        "max_results=" + "9" * 5_000,
        "max_results=nan",
        "next_cursor=../../etc/passwd",
        "next_cursor=" + "A" * 20_000,
        "next_cursor=%00%ff",
        "direction=sideways",
        "start_at=never",
    ):
        yield f"list: {query[:40]}", caller.admin("GET", f"resources/image?{query}")
    for name, expression in {
        "10,000 parentheses": "(" * 10_000 + "tags:a" + ")" * 10_000,
        "10,000 NOTs": "NOT " * 10_000 + "tags:a",
        "a parenthesis too few": "(tags:a",
        "a parenthesis too many": "tags:a)",
        "an open quote": 'tags:"a',
        "a million letters": "tags:" + "a" * 1_000_000,
        "50,000 ORs": " OR ".join(f"tags:a{i}" for i in range(50_000)),
        "a field of its own": "__class__:a",
        "a date that is none": "uploaded_at>9999999999999d",
        "a size that is none": "bytes>1e999m",
        "a range backwards": "bytes:[9 TO",
        "operators alone": "AND OR NOT",
        "wildcards alone": "tags:" + "*a" * 20_000,
    }.items():
        yield f"search: {name}", caller.admin("POST", "resources/search", {"expression": expression})
    for name, body in {
        "a sort that is none": {"sort_by": [{"__class__": "asc"}]},
        "an expression that is none": {"expression": {"a": 1}},
        "a negative page": {"max_results": -1},
        "a cursor that is none": {"next_cursor": "AAAA" * 1_000},
        "an aggregate that is none": {"aggregate": [["a"]]},
    }.items():
        yield f"search: {name}", caller.admin("POST", "resources/search", body)
    yield "delete: of nothing in particular", caller.admin("DELETE", "resources/image/upload", {})
    yield (
        "delete: 10,000 ids",
        caller.admin("DELETE", "resources/image/upload", {"public_ids": [f"a{i}" for i in range(10_000)]}),
    )
    yield "update: of nothing", caller.admin("POST", "resources/image/upload/missing", {"tags": "a"})
    yield "update: leads up", caller.admin("POST", "resources/image/upload/..%2f..%2fa", {"tags": "a"})
