"""Bodies that are none, never end, or are more than anybody needs."""

from collections.abc import Iterator

from support.hostile.caller import BOUNDARY, Caller, closing, part, request

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
FORM = "application/x-www-form-urlencoded"
DEEP = 100_000


def bodies(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Each a name and a request; who sends it is known, so what is wrong is the body alone."""
    yield from _multipart(caller, photo)
    yield from _urlencoded(caller)
    yield from _json(caller)
    yield from _headers(caller, photo)


def _multipart(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    file = part("file", photo, "photo.jpg")
    good = b"".join(part(name, value) for name, value in caller.signed())

    def sent(body: bytes, kind: str = MULTIPART) -> bytes:
        return request("POST", caller.path("image/upload"), body, caller.basic, kind=kind)

    yield "multipart: no boundary", sent(good + file + closing(), "multipart/form-data")
    yield "multipart: an empty boundary", sent(good + file + closing(), "multipart/form-data; boundary=")
    yield "multipart: a long boundary", sent(b"", "multipart/form-data; boundary=" + "b" * 5_000)
    yield "multipart: another boundary", sent(good + file + closing(), "multipart/form-data; boundary=other")
    yield "multipart: not ended", sent(good + file)
    yield "multipart: cut in a part's head", sent(good + b"--" + BOUNDARY.encode() + b"\r\nContent-Disp")
    yield "multipart: nothing", sent(b"")
    yield "multipart: no file", sent(good + closing())
    yield "multipart: two files", sent(good + file + file + closing())
    yield (
        "multipart: a file and a URL",
        sent(good + file + part("file", "https://photos.example/a.jpg") + closing()),
    )
    yield (
        "multipart: 10,000 parts",
        sent(b"".join(part(f"x{i}", "1") for i in range(10_000)) + file + closing()),
    )
    yield (
        "multipart: 10,000 files",
        sent(good + b"".join(part("file", b"x", f"{i}.jpg") for i in range(10_000)) + closing()),
    )
    yield "multipart: a field of 8 MB", sent(part("context", "a" * 8_000_000) + file + closing())
    yield "multipart: a file for a field", sent(part("public_id", photo, "id.txt") + file + closing())
    yield (
        "multipart: no name",
        sent(f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\n1\r\n".encode() + file + closing()),
    )
    yield "multipart: no disposition", sent(f"--{BOUNDARY}\r\n\r\n1\r\n".encode() + file + closing())
    yield (
        "multipart: a head of 1 MB",
        sent(part("a", "1", None, "X-Long: " + "a" * 1_000_000) + file + closing()),
    )
    yield (
        "multipart: 10,000 heads of a part",
        sent(part("a", "1", None, *(f"X-{i}: 1" for i in range(10_000))) + file + closing()),
    )
    yield "multipart: a name of 100,000 letters", sent(part("n" * 100_000, "1") + file + closing())
    yield "multipart: a NUL in a name", sent(part("pub\0lic_id", "1") + part("\0", "1") + closing())
    yield "multipart: 2 MB before the first part", sent(b"x" * 2_000_000 + good + closing())
    yield "multipart: boundaries alone", sent(f"--{BOUNDARY}\r\n".encode() * 50_000)
    yield "multipart: not UTF-8", sent(part("public_id", b"\xff\xfe") + file + closing())


def _urlencoded(caller: Caller) -> Iterator[tuple[str, bytes]]:
    def sent(body: bytes, kind: str | None = FORM) -> bytes:
        return request("POST", caller.path("image/explicit"), body, caller.basic, kind=kind)

    yield "form: 100,000 pairs", sent(b"&".join(b"a%d=1" % i for i in range(100_000)))
    yield "form: 500,000 ampersands", sent(b"&" * 500_000)
    yield "form: broken escapes", sent(b"public_id=%zz%&type=upload")
    yield "form: not UTF-8", sent(b"public_id=%ff%fe&type=upload")
    yield "form: a NUL", sent(b"public_id=a%00b&type=upload")
    yield "form: half a surrogate", sent(b"public_id=%ed%a0%80&type=upload")
    yield "form: 5 MB", sent(b"public_id=" + b"a" * 5_000_000)
    yield "form: endless brackets", sent(b"public_id" + b"[a]" * 20_000 + b"=1")
    yield "form: an index of 30 digits", sent(b"public_ids[" + b"9" * 30 + b"]=1")
    yield "no type: bytes", sent(bytes(range(256)) * 10, None)
    yield "another type", sent(b"<a/>", "application/xml")
    yield "a type that is none", sent(b"public_id=a", ";;;=/=")


def _json(caller: Caller) -> Iterator[tuple[str, bytes]]:
    for name, body in {
        "broken": b'{"tags": ',
        "a list": b"[1, 2]",
        "a number": b"7",
        "null": b"null",
        "deep lists": b"[" * DEEP + b"]" * DEEP,
        "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "not UTF-8": b'{"tags": "\xff"}',
        "half a surrogate": b'{"tags": "\\ud800"}',
        "NaN": b'{"auto_tagging": NaN, "categorization": "imagga_tagging"}',
        "a number of 5,000 digits": b'{"auto_tagging": '
        + b"9" * 5_000
        + b', "categorization": "imagga_tagging"}',
        "a huge exponent": b'{"auto_tagging": 1e999, "categorization": "imagga_tagging"}',
        "an object for a text": b'{"tags": {"a": {"b": 1}}}',
        "100,000 names": b"{" + b",".join(b'"a%d":1' % i for i in range(100_000)) + b"}",
        "3 MB": b'{"tags": "' + b"a" * 3_000_000 + b'"}',
        "a byte order mark": b'\xff\xfe{\x00"\x00',
    }.items():
        yield f"JSON: {name}", caller.admin("POST", "resources/image/upload/missing", body)
        if name not in {"an object for a text", "NaN"}:
            yield f"JSON of a search: {name}", caller.admin("POST", "resources/search", body)


def _headers(caller: Caller, photo: bytes) -> Iterator[tuple[str, bytes]]:
    ping = caller.path("ping")
    yield "heads: 10,000", request("GET", ping, b"", *(f"X-{i}: 1" for i in range(10_000)))
    yield "heads: one of 1 MB", request("GET", ping, b"", "X-Long: " + "a" * 1_000_000)
    yield "heads: a cookie of 200 kB", request("GET", ping, b"", "Cookie: " + "a=b;" * 50_000)
    yield "length: negative", b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n" % ping.encode()
    yield "length: a word", b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n" % ping.encode()
    yield (
        "length: two",
        b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" % ping.encode(),
    )
    upload = caller.path("image/upload").encode()
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n" % (upload, MULTIPART.encode())
    head += caller.basic.encode() + b"\r\n"
    yield (
        "length: of an exabyte",
        head + b"Content-Length: 1000000000000000000\r\n\r\n" + part("file", photo, "a.jpg"),
    )
    yield "chunks: no size", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    yield "chunks: negative", head + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n"
    yield "chunks: too many digits", head + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nabc"
    yield "chunks: and a length", head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    yield "chunks: of another coding", head + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    yield (
        "compressed: a bomb",
        request(
            "POST",
            caller.path("image/upload"),
            b"\x1f\x8b\x08" + b"\0" * 1_000,
            caller.basic,
            "Content-Encoding: gzip",
            kind=MULTIPART,
        ),
    )
    yield "not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n"
