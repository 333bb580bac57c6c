import asyncio
import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway.requests import (
    KeepingSink,
    multipart,
    pieces_of,
    read_body,
    read_multipart,
    receiving,
    scope_of,
    texts,
)

from streams.gateway.requests.bodies import Buffers, Limits
from streams.gateway.requests.forms import Forms
from streams.gateway.requests.parts import FormShape
from streams.gateway.requests.problems import BadCallError, CallerGoneError, TooOftenError

PHOTO = bytes(range(256)) * 40
SMALL = Limits(file=1000, text=100, texts=150, buffered=400, json=300, fields=10)


@pytest.mark.parametrize("piece", [1, 7, 64, 65_536])
async def test_a_form_however_it_is_cut(piece: int) -> None:
    """Fields and bytes are the same whatever pieces they come in; the file's bytes are in no field."""
    content = multipart(
        ("timestamp", b"1"), ("file", b"koala.jpg", PHOTO), ("tags", "käfer,koala".encode()), boundary="-123-"
    )
    form, sink = await read_multipart(content, piece=piece, boundary="-123-")
    assert texts(form) == {"timestamp": "1", "tags": "käfer,koala"}
    assert (bytes(sink.data), sink.ended, sink.before) == (PHOTO, True, ["timestamp"])
    assert form.file is sink.part
    assert form.file is not None
    assert form.file.filename == "koala.jpg"


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("kö.jpg".encode(), "kö.jpg"),
        ("kö.jpg".encode("latin-1"), "kö.jpg"),
        (b"k\x2d.jpg", "k-.jpg"),
        (b"C:\\photos\\koala.jpg", "koala.jpg"),
        (b"../../etc/passwd", "passwd"),
        (b'a"b.jpg', "a"),
        (b"k\x00\x07.jpg", "k.jpg"),
        (b"x" * 3000, "x" * 255),
        (b"", ""),
    ],
)
async def test_names_of_files(sent: bytes, known: str) -> None:
    """UTF-8, else Latin-1; the last part of a path; no character that nobody sees. None of them fails."""
    _, sink = await read_multipart(multipart(("file", sent, b"x")))
    assert sink.part is not None
    assert sink.part.filename == known


async def test_a_content_type_with_more_than_the_boundary() -> None:
    """A charset behind the boundary is no part of it: Java's SDK sends one."""
    scope = scope_of([("content-type", "multipart/form-data; boundary=x; charset=UTF-8")])
    form = await Forms().read(scope, receiving([multipart(("a", b"1"))]))
    assert texts(form) == {"a": "1"}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", None, ""])
async def test_urlencoded_bodies(kind: str | None) -> None:
    """With their Content-Type or without one."""
    form, _ = await read_body(b"tags=a%2Cb&context=k%3Dv%26w&public_ids[]=x&public_ids[]=y", kind)
    assert form.fields.array("tags") == ["a", "b"]
    assert form.fields.text("context") == "k=v&w"
    assert form.fields.array("public_ids") == ["x", "y"]


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", None])
async def test_json_bodies(kind: str | None) -> None:
    """Numbers and booleans are texts like any others; null is absent."""
    form, _ = await read_body(
        b'{"auto_tagging":0.4,"tags":true,"ids":["a","b,c"],"gone":null}', kind, method="GET"
    )
    assert texts(form) == {"auto_tagging": "0.4", "tags": "true", "ids": "a,b,c"}
    assert form.fields.array("ids") == ["a", "b,c"]
    assert form.fields.flag("tags") is True


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/json", "image/jpeg", "", None])
async def test_no_body_at_all(kind: str | None) -> None:
    """It has no fields but those of the query, whatever its Content-Type says."""
    form, _ = await read_body(b"", kind, query="max_results=3&tags=true", method="DELETE")
    assert texts(form) == {"max_results": "3", "tags": "true"}


async def test_the_body_wins_over_the_query() -> None:
    """A field of both is the body's."""
    form, _ = await read_body(b"a=1", None, query="a=2&b=3")
    assert texts(form) == {"a": "1", "b": "3"}


@pytest.mark.parametrize(
    "array",
    [
        b"k[]=a&k[]=b",
        b"k[0]=a&k[1]=b",
        b"k[1]=b&k[0]=a",
        b"k=a&k=b",
        b"k=a,b",
        b'k=["a","b"]',
        b'{"k":["a","b"]}',
    ],
)
async def test_arrays_in_all_their_forms(array: bytes) -> None:
    """They are the same array."""
    form, _ = await read_body(array)
    assert form.fields.array("k") == ["a", "b"]


async def test_an_array_of_nothing_but_commas() -> None:
    """It is refused before a million empty items are made of it."""
    form, _ = await read_body(b"k=a" + b"," * 200 + b"b")
    assert form.fields.array("k", most=100) == ["a", "b"]
    form, _ = await read_body(b"k=" + b"," * 2000)
    with pytest.raises(BadCallError, match="2000 commas"):
        form.fields.array("k", most=100)


async def test_commas_within_an_array() -> None:
    """Only a plain text is split: a public id may hold a comma."""
    form, _ = await read_body(b"k[]=a,b&k[]=c&none=&j[]=")
    assert form.fields.array("k") == ["a,b", "c"]
    assert (form.fields.array("none"), form.fields.array("j"), form.fields.array("absent")) == ([], [], None)


@pytest.mark.parametrize("cut", [3, 50, 4000])
@pytest.mark.parametrize("line", [0, 76])
async def test_a_data_uri_is_a_file(cut: int, line: int) -> None:
    """Its bytes go to the sink, line breaks or not, from a multipart form as from an urlencoded one."""
    encoded = base64.b64encode(PHOTO)
    encoded = b"\r\n".join(pieces_of(encoded, line)) if line else encoded
    uri = b"data:image/jpeg;base64," + encoded
    form, sink = await read_multipart(multipart(("file", uri), ("tags", b"a")), piece=cut)
    assert (bytes(sink.data), texts(form)) == (PHOTO, {"tags": "a"})
    assert sink.part is not None
    assert (sink.part.filename, sink.part.content_type) == (None, "image/jpeg")
    escaped = uri.replace(b"+", b"%2B").replace(b"\r\n", b"%0D%0A")
    form, sink = await read_body(b"file=" + escaped + b"&tags=a", "application/x-www-form-urlencoded")
    assert (bytes(sink.data), texts(form), sink.ended) == (PHOTO, {"tags": "a"}, True)


async def test_an_address_stays_a_field() -> None:
    """A text in `file` that is no data URI is a field like others."""
    form, sink = await read_multipart(multipart(("file", b"http://h/a b&c.jpg")), piece=3)
    assert (texts(form), sink.part) == ({"file": "http://h/a b&c.jpg"}, None)
    assert texts((await read_multipart(multipart(("file", b"dat"))))[0]) == {"file": "dat"}


async def test_base64_in_a_field_of_its_own() -> None:
    """Where the shape says so, a text is a file in base64."""
    shape = FormShape("image", "image_base64")
    text = base64.urlsafe_b64encode(PHOTO).rstrip(b"=")
    form, sink = await read_body(b"limit=3&image_base64=" + text, None, shape=shape)
    assert (bytes(sink.data), texts(form)) == (PHOTO, {"limit": "3"})
    assert texts((await read_body(b"image_base64=&image_url=u", None, shape=shape))[0])["image_url"] == "u"


@pytest.mark.parametrize(
    "content",
    [
        multipart(("file", b"a", b"1"), ("file", b"b", b"2")),
        multipart(("other", b"a", b"1")),
        multipart(("file", b"a", b"1"), ("file", b"http://h/x.jpg")),
        multipart(("file", b"http://h/x.jpg"), ("file", b"data:image/png;base64,AAAA")),
        multipart(("file", b"data:image/png,plain")),
        multipart(("file", b"data:image/png;base64,????")),
        multipart(("file", b"data:" + b"x" * 5000)),
        multipart(("a\x00=b", b"1")),
        multipart(("a=b&c", b"1")),
        multipart(("a", b"\xff")),
        multipart(("a", b"1"))[:-6],
        b"--x\r\nno header\r\n\r\n1\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: attachment\r\n\r\n1\r\n--x--\r\n",
        b"anything",
    ],
)
async def test_broken_forms(content: bytes) -> None:
    """They are the caller's fault, and say what is wrong."""
    with pytest.raises(BadCallError, match=r"\w"):
        await read_multipart(content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image/jpeg", PHOTO),
        ("multipart/form-data", b"x"),
        ("application/json", b"[1]"),
        ("application/json", b'{"a":'),
        ("application/json", b'{"a":' * 300 + b"1" + b"}" * 300),
        ("application/json", b'{"a":' + b"[" * 100_000),
        (None, b"a=%ff"),
        (None, b"&".join(b"a%d=1" % number for number in range(5000))),
    ],
)
async def test_bodies_that_are_no_form(kind: str | None, content: bytes) -> None:
    """They are refused, and nothing is parsed without end."""
    with pytest.raises(BadCallError, match=r"\w"):
        await read_body(content, kind)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
async def test_compressed_bodies(encoding: str) -> None:
    """They are refused: what they unfold to is not bounded."""
    scope = scope_of([("content-encoding", encoding)])
    with pytest.raises(BadCallError, match="Content-Encoding"):
        await Forms().read(scope, receiving([b"x"]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (multipart(("file", b"a", b"x" * 1001)), "File size too large"),
        (multipart(("a", b"x" * 101)), "Field 'a' has more than 100 bytes"),
        (multipart(("a", b"x" * 90), ("b", b"x" * 90)), "more than 150 bytes together"),
        (multipart(*[("a", b"")] * 11), "exceeds a limit"),
        (multipart(("x" * 5000, b"")), "exceeds a limit"),
    ],
)
async def test_limits_of_forms(content: bytes, reason: str) -> None:
    """A file, a field, all fields, their number and their heads are bounded while they come."""
    with pytest.raises(BadCallError, match=reason):
        await read_multipart(content, forms=Forms(SMALL))


async def test_limits_of_whole_bodies() -> None:
    """They are refused by their announced length, or as soon as they exceed it."""
    for headers in ([("content-length", "401")], []):
        with pytest.raises(BadCallError, match=r"Got 401. Maximum is 400"):
            await Forms(SMALL).read(scope_of(headers), receiving([b"x" * 401]))
    with pytest.raises(BadCallError, match="JSON has 301 bytes"):
        await Forms(SMALL).read(scope_of(), receiving([b"{" + b" " * 300]))


async def test_memory_of_whole_bodies() -> None:
    """What all of them take together is bounded, and given back."""
    forms = Forms(Limits(), Buffers(1000, small=0))
    with pytest.raises(TooOftenError, match="try again"):
        await forms.read(scope_of(), receiving([b"a=" + b"x" * 600, b"x" * 600]))
    for _ in range(3):
        assert texts(await forms.read(scope_of(), receiving([b"a=" + b"x" * 900])))["a"] == "x" * 900


async def test_small_bodies_are_taken_whatever_large_ones_hold() -> None:
    """Whoever sends large bodies slowly, without any key, keeps no ordinary call out."""
    buffers = Buffers(1000, small=100)
    forms, coming = Forms(Limits(), buffers), asyncio.Event()

    async def slow() -> Any:  # noqa: ANN401 - an event
        if coming.is_set():
            await asyncio.Event().wait()
        coming.set()
        return {"type": "http.request", "body": b"a=" + b"x" * 1098, "more_body": True}

    large = asyncio.create_task(forms.read(scope_of(), slow))
    await coming.wait()
    assert texts(await forms.read(scope_of(), receiving([b"a=" + b"x" * 98])))["a"] == "x" * 98
    with pytest.raises(TooOftenError, match="try again"):
        await forms.read(scope_of(), receiving([b"a=" + b"x" * 99]))
    large.cancel()
    await asyncio.wait({large})
    assert texts(await forms.read(scope_of(), receiving([b"a=" + b"x" * 1098])))["a"] == "x" * 1098


async def test_all_fields_of_a_whole_body_are_bounded() -> None:
    """As those of a multipart form are: what is signed is made of all of them."""
    with pytest.raises(BadCallError, match="more than 150 bytes together"):
        await Forms(SMALL).read(scope_of(), receiving([b"a=" + b"x" * 90 + b"&b=" + b"x" * 90]))


async def test_a_body_that_does_not_come() -> None:
    """It is given up after a while; so is one that comes byte by byte."""

    async def never() -> Any:  # noqa: ANN401 - an event
        await asyncio.Event().wait()

    with pytest.raises(BadCallError, match="too slowly"):
        await Forms(Limits(idle=0.01)).read(scope_of(), never)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.05

    async def dripping() -> Any:  # noqa: ANN401 - an event
        await asyncio.sleep(0)
        assert loop.time() < until + 5
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(BadCallError, match="too slowly"):
        await Forms(Limits(start=0.05, rate=1e9)).read(scope_of(), dripping)
    pieces = [b"a=" + b"x" * 10_000_000]

    async def dripping_in_the_end() -> Any:  # noqa: ANN401 - an event
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        return await dripping()

    until = loop.time() + 0.05
    with pytest.raises(BadCallError, match="too slowly"):
        await Forms(Limits(start=0.05, rate=1e6)).read(scope_of(), dripping_in_the_end)


async def test_a_caller_who_hangs_up() -> None:
    """Reading ends."""

    async def gone() -> Any:  # noqa: ANN401 - an event
        return {"type": "http.disconnect"}

    with pytest.raises(CallerGoneError):
        await Forms().read(scope_of(), gone)


async def test_a_sink_may_refuse() -> None:
    """What it raises ends the reading, before the file's bytes are taken."""

    class Refusing(KeepingSink):
        async def begin(self, *_: object) -> None:
            raise TooOftenError("later")

    sink = Refusing()
    scope = scope_of([("content-type", "multipart/form-data; boundary=x")])
    with pytest.raises(TooOftenError):
        await Forms().read(scope, receiving([multipart(("file", b"a", PHOTO))]), sink)
    assert not sink.data


@given(content=st.binary(max_size=300), piece=st.integers(1, 40))
async def test_any_bytes_as_a_form(content: bytes, piece: int) -> None:
    """Whatever comes is a form, or the caller's fault."""
    with contextlib.suppress(BadCallError):
        await read_multipart(b"--x\r\n" + content, piece=piece)


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
async def test_any_bytes_as_a_body(content: bytes) -> None:
    """Whatever comes has fields, or is the caller's fault."""
    with contextlib.suppress(BadCallError):
        await read_body(content)
