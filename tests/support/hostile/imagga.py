"""Calls of Imagga's API that nobody may make, or that ask for what nobody should get."""

from collections.abc import Iterator
from urllib.parse import quote

from support.hostile.caller import BOUNDARY, Caller, closing, part, request
from support.hostile.fields import URLS

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
FORM = "application/x-www-form-urlencoded"
HIDDEN = ("200,000 letters", "8 MB of no image", "a line break")  # not in a query


def imagga(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Each a name and a request."""
    for name, header in {
        "nothing": "X-None: 1",
        "no base64": "Authorization: Basic !!!!",
        "wrong secret": "Authorization: Basic dGVzdGtleTpndWVzcw==",
        "Bearer": "Authorization: Bearer token",
    }.items():
        yield f"imagga: by {name}", request("GET", "/v2/tags?image_url=http://a.example/a.jpg", b"", header)
    for name, url in URLS.items():
        if name not in HIDDEN:
            asked = f"/v2/tags?image_url={quote(url, safe='')}"
            yield f"imagga: URL, {name}", request("GET", asked, b"", caller.basic)
    for query in (
        "limit=x",
        "limit=" + "9" * 1_000,
        "threshold=nan",
        "threshold=1e999",
        "language=" + ",".join(f"x{number}" for number in range(600)),
        "language=../../etc",
        "image_upload_id=../../../etc/passwd",
        "image_upload_id=",
        "image_upload_id=" + "i" * 3_000,
        "image_url=" + "a" * 3_000,
        "",
    ):
        yield f"imagga: query {query[:30]}", request("GET", f"/v2/tags?{query}", b"", caller.basic)
    yield from _bodies(caller, photo)
    for path in ("tags/nobody_tagging", "tags/..%2f..%2fetc", "uploads", "uploads/x", "nothing", "%00", ".."):
        yield f"imagga: GET {path}", request("GET", f"/v2/{path}", b"", caller.basic)
    for upload_id in ("missing", "..%2f..%2f..%2fetc%2fpasswd", "%00", "a" * 3_000):
        asked = f"/v2/uploads/{upload_id}"
        yield f"imagga: DELETE {upload_id[:30]}", request("DELETE", asked, b"", caller.basic)


def _bodies(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    def sent(body: bytes, kind: str = MULTIPART, path: str = "tags") -> bytes:
        return request("POST", f"/v2/{path}", body, caller.basic, kind=kind)

    for name, content in {"nothing": b"", "text": b"koala" * 100, "half a photo": photo[:300]}.items():
        for path in ("tags", "uploads"):
            if (path, name) != ("uploads", "half a photo"):
                yield (
                    f"imagga: {path} of {name}",
                    sent(part("image", content, "a.jpg") + closing(), path=path),
                )
    yield "imagga: no file", sent(closing())
    yield "imagga: another field", sent(part("picture", photo, "a.jpg") + closing())
    yield "imagga: broken base64", sent(b"image_base64=@@@@", FORM)
    yield "imagga: base64 of text", sent(b"image_base64=a29hbGE%3D", FORM)
    yield "imagga: 20 MB of base64", sent(b"image_base64=" + b"A" * 20_000_000, FORM)
    yield "imagga: 10,000 parts", sent(b"".join(part(f"x{i}", "1") for i in range(10_000)) + closing())
    yield "imagga: JSON", sent(b'{"image_base64": ', "application/json")
