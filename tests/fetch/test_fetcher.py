"""The fetcher against a real server: hostile URLs and answers, good photos, limits that hold."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import ipaddress
import socket
import ssl
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httpx
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st
from support.photo_server import PHOTOS, PhotoServer, drips, floods, hangs, says, says_later, writes

from streams.fetch.addresses import AddressPolicy
from streams.fetch.circuit_breakers import OPENS_AFTER
from streams.fetch.data_urls import MAX_DATA_URL_BYTES, percent_decoded
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.responses import MAX_RETRY_AFTER
from streams.fetch.urls import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.photo_server import Connection, Script

LIMITS = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=5.0, answer=5.0, concurrency=8, per_host=4
)
HASTY = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=0.3, answer=0.3, concurrency=8, per_host=4
)
LOOPBACK = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))
NOBODY = AddressPolicy()
UPGRADE = b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
BOMB = gzip.compress(bytes(10_000_000))
MEGABYTE = b"x" * 1_000_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    async with PhotoServer() as started:
        yield started


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name has an address, and nothing is asked on the network."""

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", getaddrinfo)


@pytest.fixture
def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name below .test leads to loopback."""

    def getaddrinfo(host: str, port: int, **__: object) -> list[tuple[object, ...]]:
        assert host.endswith(".test")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", getaddrinfo)


async def fault_of(url: str, policy: AddressPolicy = LOOPBACK, limits: FetchLimits = LIMITS) -> SourceError:
    """The error that a URL ends in, after a look at its message."""
    async with Fetcher(policy, limits) as fetcher:
        with pytest.raises(SourceError) as caught:
            await fetcher.fetch(url)
    message = str(caught.value)
    assert len(message) < 700
    assert "secret" not in message
    assert message.isprintable()
    return caught.value


def words(text: str) -> list[str]:
    return text.split()


REFUSED = words("""
    http://127.0.0.1/ http://127.0.0.1:80/ https://127.0.0.1/ http://127.0.0.1:8080/ http://127.0.0.1./
    http://127.1/ http://127.0.1/ http://2130706433/ http://0x7f000001/ http://0x7F.1/
    http://017700000001/ http://0177.1/ http://0/ http://00/ http://0.0.0.0/ http://127。0。0。1/
    http://127。1/ http://127.0.0.1?x http://127.0.0.1#x http://0x7f.0x0.0x0.0x1/ HTTP://127.0.0.1/
    http://2852039166/ http://0xA9FEA9FE/ http://[::1]/ http://[0:0:0:0:0:0:0:1]/ http://[0000::1]:443/
    http://[::]/ http://[::127.0.0.1]/ http://[::ffff:127.0.0.1]/ http://[::FFFF:7F00:1]/
    http://[::ffff:169.254.169.254]/ http://[::ffff:0:127.0.0.1]/ http://[2002:7f00:1::]/
    http://[64:ff9b::127.0.0.1]/ http://[64:ff9b::a9fe:a9fe]/ http://[64:ff9b:1::1]/
    http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/ http://[fe80::1]/ http://[fc00::1]/
    http://[fd00:ec2::254]/ http://[ff02::1]/ http://[fec0::1]/ http://10.0.0.1/ http://172.16.0.1/
    http://192.168.1.1/ http://100.64.0.1/ http://169.254.169.254/latest/meta-data/
    http://100.100.100.200/ http://192.0.0.192/ http://168.63.129.16/ http://224.0.0.1/ http://240.0.0.1/
    http://255.255.255.255/ http://8.8.8.8:22/ http://8.8.8.8:8080/ http://8.8.8.8:6379/
    https://[2606:4700::1111]:25/
""")

INVALID = [
    *words("""
    http://0177.0.0.1/ http://127.0.0.256/ http://[::1%25lo]/ http://[::1%lo]/ http://[fe80::1%25eth0]/
    http://[2606:4700::1%]:80]/ http://[::1 http://::1]/ http://[::1]evil.example/ http://[v1.x]/
    http://evil[::1]/ http://134744072/ http://8.8/ http://user:secret@example.test/
    http://example.test:80@127.0.0.1/ http://secret@127.0.0.1/ http://:secret@a.test/
    http://a.test\\@127.0.0.1/ http://127.0.0.1\\@a.test/ http://127.0.0.1\\.a.test/
    http:\\\\127.0.0.1\\ http:/127.0.0.1/ http:127.0.0.1/ http:///127.0.0.1/ http:// http:///x
    ///127.0.0.1/ //127.0.0.1/x 127.0.0.1/x http://%31%32%37.0.0.1/ http://127.0.0.1%2f.a.test/
    http://127.0.0.1%00.a.test/ http://a%40127.0.0.1/ http://127.0.0.1{/ http://a|b/ http://a"b/
    http://a*b/ http://①②⑦.⓪.⓪.①/ http://\u217cocalhost/ http://xn--/ http://xn--a/ http://\u202etest/
    http://a.test:0/ http://a.test:-1/ http://a.test:65536/ http://a.test:99999999/ http://a.test:http/
    http://a.test:80:90/ http://a.test:secret@b.test:x/ file:///etc/passwd FILE:///etc/passwd
    gopher://127.0.0.1/ ftp://127.0.0.1/ javascript:alert(1) dict://a.test/ jar:http://a.test!/
    blob:http://a.test/x about:blank ws://a.test/ unix:///run/docker.sock http+unix://%2frun/ data
    data:image/png;base64 data:image/png;base64,??? data:;base64,A \ud800 http://\ud800/ data:,\ud800
    """),
    "",
    " http://a.test/",
    "http:// 127.0.0.1/",
    "http://a.test /",
    "http://127.0.0.1\t/",
    "http://a.test\r\nHost: 127.0.0.1/",
    "http://a.test/\r\nX: y",
    "http://a.test/\x00",
    "http://a.test\n@127.0.0.1/",
    "http://" + "a" * 254 + "/",
    "http://" + "a" * 70_000 + "/",
    "http://a.test/" + "b" * 70_000,
    "http://a.test:" + "9" * 5_000 + "/",
    "x" * 100_000 + "://a.test/",
    "data:," + "x" * (MAX_DATA_URL_BYTES + 1),
    "data:;base64," + "A" * (MAX_DATA_URL_BYTES * 2),
]


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("url", REFUSED)
async def test_refused_urls(url: str) -> None:
    """No spelling of an address that is not public, or of another port, is connected to."""
    assert (type(fault := await fault_of(url, NOBODY)), fault.code) == (SourceGoneError, "refused_address")


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("url", INVALID, ids=lambda url: ascii(url[:40]))
async def test_invalid_urls(url: str) -> None:
    """What is no plain http, https or data URL is refused before anything is looked up."""
    assert (type(fault := await fault_of(url, NOBODY)), fault.code) == (SourceGoneError, "invalid_url")


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(
    "url", ["http://localhost./", "http://a..b/", "http://.../", "http://a_b.test/", "http://a.test:+80"]
)
async def test_unknown_hosts(url: str) -> None:
    """A name without an address may get one later."""
    assert (type(fault := await fault_of(url, NOBODY)), fault.code) == (SourceBusyError, "unknown_host")


class AnyAddress(AddressPolicy):
    def check_host(self, host: str, port: int) -> None:
        """Refuse nothing."""


class NoAddress(AddressPolicy):
    """Refuses each host."""

    def check_host(self, host: str, port: int) -> None:
        raise NOBODY.refused(host, port)


TROUBLE = st.lists(
    st.sampled_from(
        [*"/:@?#[]\\%.&=+ \t\r\n\0{}|\"'<>^`~;,!$()*_-019azAZ", "http", "https", "://", "data:", ";base64,",
         "%2f", "127.0.0.1", "::1", "xn--", "。", "①", "é", "\u202e", "\xad", "\ud800", "\U0001f600",
         "localhost", "0x7f"]
    ),
    max_size=20,
).map("".join)  # fmt: skip


@given(
    st.one_of(
        st.text(max_size=60), TROUBLE, TROUBLE.map("http://".__add__), TROUBLE.map("https://a.test/".__add__)
    )
)
def test_any_url(url: str) -> None:
    """Whatever text a URL is, only a source's fault comes out, and its message is fit for a log."""

    async def attempt() -> SourceGoneError | None:
        async with Fetcher(NoAddress(), LIMITS) as fetcher:
            try:
                await fetcher.fetch(url)
            except SourceGoneError as error:
                return error
        return None

    message = str(asyncio.run(attempt()) or "a data URL")
    assert len(message) < 700
    assert message.isprintable()
    assert len(shown(url)) <= 200


@given(st.one_of(TROUBLE.map("http://".__add__), st.text(max_size=30).map("https://".__add__)))
def test_both_parsers_agree(url: str) -> None:
    """The host and the port that are checked are those that aiohttp connects to, whose parser is another."""
    with suppress(SourceError):
        request = Fetcher(AnyAddress(), LIMITS)._request(url)
        parsed = yarl.URL(str(request.url), encoded=True)
        assert parsed.raw_host == request.url.raw_host.decode().lower()
        assert parsed.port == request.url.port or request.url.port is None
        assert parsed.user is parsed.password is None
        assert yarl.URL(str(request.url)).raw_host


REDIRECTIONS = [
    ("http://169.254.169.254/latest/", "refused_address"),
    ("http://127.0.0.1:1/", "refused_address"),
    ("http://127.0.0.2/", "refused_address"),
    ("//10.0.0.1/x", "refused_address"),
    ("http://2130706433/", "refused_address"),
    ("http://[::ffff:7f00:1]/", "refused_address"),
    ("https://[::1]/", "refused_address"),
    ("file:///etc/passwd", "invalid_url"),
    ("data:image/png;base64,AAAA", "invalid_url"),
    ("gopher://127.0.0.1/", "invalid_url"),
    ("http://user:secret@127.0.0.1/", "invalid_url"),
    ("http://[::1", "invalid_url"),
    ("http:///x", "http_404"),
    ("http://a.test:x/?secret", "invalid_url"),
    ("http://xn--a/?secret", "invalid_url"),
    ("http://a\xad\xff/", "invalid_url"),
    ("//[", "invalid_url"),
    ("http://a.test:99999/", "invalid_url"),
    ("", "too_many_redirects"),
    ("?", "too_many_redirects"),
    ("/hostile", "too_many_redirects"),
    ("/\\127.0.0.1/", "http_404"),
    ("x" * 8_000, "http_404"),
]


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(("location", "code"), REDIRECTIONS)
async def test_hostile_redirects(server: PhotoServer, location: str, code: str) -> None:
    """Where a redirect leads to is checked like any other URL."""
    server.scripts["/hostile"] = says("302 Found", f"location: {location}")
    policy = AddressPolicy.parse(f"127.0.0.1:{server.port}")
    fault = await fault_of(server.url("/hostile"), policy)
    assert (type(fault), fault.code) == (SourceGoneError, code)
    assert len(server.targets) <= 4


GONE, BUSY = SourceGoneError, SourceBusyError
HEADERS = b"".join(b"x-%d: y\r\n" % number for number in range(100_000))
ANSWERS: dict[str, tuple[Script, type[SourceError], str]] = {
    "no content": (writes(b"HTTP/1.1 204 No Content\r\n\r\n", close=False), GONE, "http_204"),
    "not modified": (writes(b"HTTP/1.1 304 Not Modified\r\n\r\n", close=False), GONE, "http_304"),
    "partial": (says("206 Partial Content", "content-range: bytes 0-1/9", body=b"xx"), GONE, "http_206"),
    "choices": (says("300 Multiple Choices"), GONE, "http_300"),
    "redirect to nowhere": (says("302 Found"), GONE, "http_302"),
    "upgrade": (writes(UPGRADE + MEGABYTE), GONE, "http_101"),
    "not found": (says("404 Not Found"), GONE, "http_404"),
    "latin-1 reason": (says("404 P\xe1gina no encontrada"), GONE, "http_404"),
    "forbidden": (says("403 Forbidden"), GONE, "http_403"),
    "too many requests": (says("429 Too Many Requests"), BUSY, "http_429"),
    "server error": (says("500 Oops"), BUSY, "http_500"),
    "status 999": (says("999 Whatever"), BUSY, "http_999"),
    "status 000": (says("000 Nothing"), GONE, "http_0"),
    "gzip of too much": (says("200 OK", "content-encoding: gzip", body=BOMB), GONE, "image_too_large"),
    "gzip cut off": (says("200 OK", "content-encoding: gzip", body=BOMB[:99]), GONE, "invalid_answer"),
    "no gzip": (says("200 OK", "content-encoding: gzip", body=b"xyz"), GONE, "invalid_answer"),
    "gzip in gzip": (says("200 OK", "content-encoding: gzip, gzip", body=BOMB), GONE, "invalid_answer"),
    "accepted": (says("202 Accepted"), BUSY, "http_202"),
    "locked": (says("423 Locked"), BUSY, "http_423"),
    "too early": (says("425 Too Early"), BUSY, "http_425"),
    "two codings": (says("200 OK", "content-encoding: identity, BR", body=b"x"), GONE, "invalid_answer"),
    "http 0.9": (writes(b"<html>hello</html>\n"), GONE, "invalid_answer"),
    "another protocol": (writes(b"SSH-2.0-OpenSSH_9.7\r\n"), GONE, "invalid_answer"),
    "binary": (writes(bytes(range(256)) * 100), GONE, "invalid_answer"),
    "header without a colon": (writes(OK + b"secret\r\n\r\n"), GONE, "invalid_answer"),
    "header with a null": (writes(OK + b"a: \0secret\r\n\r\n"), GONE, "invalid_answer"),
    "one huge header": (writes(OK + b"a: " + MEGABYTE + b"\r\n\r\n"), GONE, "invalid_answer"),
    "endless header": (floods(OK + b"a: ", MEGABYTE), GONE, "invalid_answer"),
    "many headers": (writes(OK + HEADERS + b"\r\n"), GONE, "invalid_answer"),
    "huge status line": (writes(b"HTTP/1.1 200 " + MEGABYTE + b"\r\n\r\n"), GONE, "invalid_answer"),
    "length is no number": (writes(OK + b"content-length: x\r\n\r\nx"), GONE, "invalid_answer"),
    "negative length": (writes(OK + b"content-length: -1\r\n\r\nx"), GONE, "invalid_answer"),
    "superscript length": (writes(OK + b"content-length: \xb2\r\n\r\nxx"), GONE, "invalid_answer"),
    "two lengths": (writes(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"), GONE, "invalid_answer"),
    "length beyond 64 bits": (writes(OK + b"content-length: 9%099d\r\n\r\n" % 0), GONE, "invalid_answer"),
    "length and chunks": (
        writes(OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        GONE,
        "invalid_answer",
    ),
    "huge length": (writes(OK + b"content-length: 999999999999\r\n\r\nx"), GONE, "image_too_large"),
    "one byte too long": (says("200 OK", body=MEGABYTE + b"x"), GONE, "image_too_large"),
    "endless chunks": (floods(CHUNKED, b"ffff\r\n" + b"x" * 65535 + b"\r\n"),
                       GONE, "image_too_large"),
    "endless body": (floods(OK + b"\r\n", MEGABYTE), GONE, "image_too_large"),
    "endless continue": (floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 999), GONE, "invalid_answer"),
    "endless hints": (floods(b"", b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 9), GONE, "invalid_answer"),
    "a chunk of endless zeros": (floods(CHUNKED, b"0" * 65_536), GONE, "invalid_answer"),
    "an endless extension": (floods(CHUNKED + b"5;", b"a" * 65_536), GONE, "invalid_answer"),
    "chunks of a byte": (floods(CHUNKED, b"1\r\nx\r\n" * 9_999), GONE, "invalid_answer"),
    "an endless trailer": (floods(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 9_999),
                           GONE, "invalid_answer"),
    "closed at once": (writes(b""), BUSY, "connection_failed"),
    "closed in the status line": (writes(b"HTTP/1.1 20"), BUSY, "connection_failed"),
    "closed in the headers": (writes(OK + b"content-le"), BUSY, "connection_failed"),
    "closed in the body": (writes(OK + b"content-length: 100\r\n\r\nxxx"), BUSY, "connection_failed"),
    "closed before the body": (writes(OK + b"content-length: 100\r\n\r\n"), BUSY, "connection_failed"),
    "closed in a chunk": (writes(CHUNKED + b"9\r\nxxx"), BUSY, "connection_failed"),
    "closed after a chunk": (writes(CHUNKED + b"1\r\nx\r\n"), BUSY, "connection_failed"),
    "a chunk of no length": (writes(CHUNKED + b"zz\r\nx"), GONE, "invalid_answer"),
}  # fmt: skip
SLOW: dict[str, Script] = {
    "silence": hangs,
    "slow body": drips(OK + b"content-length: 1000\r\n\r\n", b"x", 0.02),
    "slow chunks": drips(CHUNKED, b"1\r\nx\r\n", 0.02),
    "slow status line": drips(b"", b"H", 9),
    "slow headers": drips(OK, b"a: b\r\n", 0.02),
    "slow continue": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "slow redirect": says_later(0.1, says("302 Found", "location: /hostile")),
    "endless trailer": drips(CHUNKED + b"0\r\n", b"a: b\r\n", 0.02),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_hostile_answers(server: PhotoServer, name: str) -> None:
    """Each bad answer has a reason of its own, and costs no more memory than the limit of a fetch."""
    server.scripts["/hostile"], kind, code = ANSWERS[name]
    tracemalloc.start()
    fault = await fault_of(server.url("/hostile?secret"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (type(fault), fault.code) == (kind, code)
    assert peak < 30_000_000


@pytest.mark.parametrize("name", SLOW)
async def test_slow_answers(server: PhotoServer, name: str) -> None:
    """The deadline is over the whole fetch: single bytes that keep coming do not move it."""
    server.scripts["/hostile"] = SLOW[name]
    started = time.perf_counter()
    fault = await fault_of(server.url("/hostile?secret"), limits=HASTY)
    assert (type(fault), fault.code) == (SourceBusyError, "timeout")
    assert time.perf_counter() - started < 3


async def test_nobody_listens() -> None:
    """A port that is closed today may be open tomorrow."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        fault = await fault_of(f"http://127.0.0.1:{free.getsockname()[1]}/?secret")
    assert (type(fault), fault.code) == (SourceBusyError, "connection_failed")


async def test_no_tls(server: PhotoServer) -> None:
    """A server that speaks no TLS fails as a connection."""
    fault = await fault_of(server.url("/koala.jpg").replace("http:", "https:"))
    assert (type(fault), fault.code) == (SourceBusyError, "connection_failed")


async def test_a_certificate_that_nobody_trusts(key_pair: tuple[str, str]) -> None:
    """It is renewed sooner or later: nothing of its host is given up at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*key_pair)
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        fault = await fault_of(f"https://127.0.0.1:{port}/koala.jpg?secret")
    assert (type(fault), fault.code) == (SourceBusyError, "connection_failed")
    assert "Certificate" in str(fault)


def in_future(**kwargs: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(**kwargs), usegmt=True)


class InFuture:
    """A date that is made when it is asked for: collecting tests may be long past."""

    def __init__(self, **kwargs: float) -> None:
        self._kwargs = kwargs

    def __str__(self) -> str:
        return in_future(**self._kwargs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("9" * 400, MAX_RETRY_AFTER),
        (InFuture(hours=1), pytest.approx(3600, abs=60)),
        (InFuture(days=9), MAX_RETRY_AFTER),
        (InFuture(days=-9), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        ("-1", None),
        ("1.5", None),
        ("\xb2", None),
        ("soon", None),
        ("", None),
    ],
)
async def test_retry_after(server: PhotoServer, text: object, expected: float | None) -> None:
    """A busy source says when to come back, in seconds or as a date; nonsense says nothing."""
    server.scripts["/busy"] = says("503 Busy", f"retry-after: {text}")
    fault = await fault_of(server.url("/busy"))
    assert isinstance(fault, SourceBusyError)
    assert fault.retry_after == expected


async def test_photos(server: PhotoServer) -> None:
    """Photos arrive byte for byte, over one connection that is kept."""
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        for path in sorted(PHOTOS.glob("*.jpg")):
            fetched = await fetcher.fetch(server.url(f"/{path.name}"))
            assert fetched.data == path.read_bytes()
            assert 0 < fetched.elapsed_ms < 5000
    assert server.accepted == 1


async def test_ways_to_send_a_photo(server: PhotoServer) -> None:
    """Chunks, a body that ends with the connection, and a Latin-1 reason phrase make no difference."""
    server.scripts |= {
        "/chunked": writes(CHUNKED + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: r\r\n\r\n"),
        "/closed": writes(b"HTTP/1.0 200 OK\r\n\r\nabcde"),
        "/reason": says("200 D'accord, c'est \xe7a", "content-encoding: identity", body=b"abcde"),
        "/early": writes(
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK + b"content-length: 5\r\n\r\nabcde"
        ),
    }
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        for path in ("/chunked", "/closed", "/reason", "/early"):
            assert (await fetcher.fetch(server.url(path))).data == b"abcde"


async def test_urls_are_sent_as_written(server: PhotoServer) -> None:
    """Signed URLs reach the source byte for byte; fragments stay here, and we say little about us."""
    target = "/a%2Fb%2Cc%3A~%7E;d?sig=a%2Bb%3D%2F%2C%7E%20+x&e=%41&u=http%3A%2F%2Fx"
    server.scripts[target.partition("?")[0]] = says("200 OK", "set-cookie: a=b", body=b"x")
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        for _ in range(2):
            await fetcher.fetch(server.url(target + "#fragment"))
    assert server.targets == [target] * 2
    head = server.heads[1].decode().lower()
    names = {line.partition(":")[0] for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}
    assert "accept-encoding: identity" in head


@pytest.mark.usefixtures("test_names")
async def test_redirects(server: PhotoServer) -> None:
    """Three redirects are followed, also relative ones and to other hosts; a fourth is not."""
    server.scripts |= {
        "/4": says("301 Moved", "location: /3", body=b"moved"),
        "/3": says("302 Found", f"location: {server.url('/2', 'other.test')}"),
        "/2": says("307 Temporary", "location: ./1"),
        "/1": says("308 Permanent", "location: panda.jpg?a=%2C"),
    }
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        fetched = await fetcher.fetch(server.url("/3"))
        assert fetched.data == (PHOTOS / "panda.jpg").read_bytes()
        assert server.targets == ["/3", "/2", "/1", "/panda.jpg?a=%2C"]
        with pytest.raises(SourceGoneError, match="more than 3 redirects") as caught:
            await fetcher.fetch(server.url("/4"))
    assert caught.value.code == "too_many_redirects"


async def test_a_redirect_to_a_dead_host(server: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host that fails is left alone, not the one that leads there."""
    monkeypatch.setattr("streams.fetch.circuit_breakers.FAILS_FOR", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{free.getsockname()[1]}"
        leads_there = says("302 Found", f"location: http://{dead}/koala.jpg")
        server.scripts |= {f"/hostile-{number}": leads_there for number in range(OPENS_AFTER + 1)}
        async with Fetcher(LOOPBACK, LIMITS) as fetcher:
            codes = []
            for number in range(OPENS_AFTER + 1):
                with pytest.raises(SourceBusyError) as caught:
                    await fetcher.fetch(server.url(f"/hostile-{number}"))
                codes.append(caught.value.code)
            assert codes == ["connection_failed"] * OPENS_AFTER + ["circuit_open"]
            assert fetcher.circuit_breakers.open_hosts == [dead]
            with await fetcher.fetch(server.url("/koala.jpg")) as fetched:
                assert fetched.size > 0


async def test_rebinding(server: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the answer that was checked: there is one look-up for each."""
    answers = ["127.0.0.1", "169.254.169.254"]

    def getaddrinfo(host: str, port: int, **__: object) -> list[tuple[object, ...]]:
        assert host == "rebinding.test"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", getaddrinfo)
    server.scripts["/x"] = writes(OK + b"connection: close\r\n\r\nabc")
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        assert (await fetcher.fetch(server.url("/x", "rebinding.test"))).data == b"abc"
        with pytest.raises(SourceGoneError) as caught:
            await fetcher.fetch(server.url("/x", "rebinding.test"))
    assert caught.value.code == "refused_address"
    assert not answers
    assert server.targets == ["/x"]


@pytest.mark.usefixtures("test_names")
@pytest.mark.parametrize("per_host", [1, 3])
async def test_limit_per_host(server: PhotoServer, per_host: int) -> None:
    """No host is asked for more than its share at once, and no more connections are opened to it."""
    server.scripts["/x"] = says_later(0.02, says("200 OK", body=b"x"))
    server.scripts["/to-a"] = says("302 Found", f"location: {server.url('/x', 'a.test')}")
    limits = FetchLimits(
        max_bytes=10, max_bytes_in_flight=500, deadline=5.0, answer=5.0, concurrency=16, per_host=per_host
    )
    urls = [server.url("/x", "a.test")] * 12 + [server.url("/to-a", f"{name}.test") for name in "bcdefg"]
    async with Fetcher(LOOPBACK, limits) as fetcher:
        await asyncio.gather(*(fetcher.fetch(url) for url in urls))
        assert not fetcher._host_slots
    assert server.most_busy[f"a.test:{server.port}"] == per_host


@pytest.mark.usefixtures("test_names")
async def test_limit_of_all(server: PhotoServer) -> None:
    """All hosts together get no more than the limit."""
    server.scripts["/x"] = says_later(0.02, says("200 OK", body=b"x"))
    limits = FetchLimits(
        max_bytes=10, max_bytes_in_flight=500, deadline=5.0, answer=5.0, concurrency=3, per_host=2
    )
    async with Fetcher(LOOPBACK, limits) as fetcher:
        fetches = [fetcher.fetch(server.url("/x", f"h{number % 6}.test")) for number in range(18)]
        most = 0
        pending = asyncio.gather(*fetches)
        while not pending.done():
            most = max(most, server.busy.total())
            await asyncio.sleep(0.002)
        await pending
    assert most == 3


@pytest.mark.usefixtures("test_names")
async def test_a_slow_host_starves_no_other(server: PhotoServer) -> None:
    """However many fetches wait for a slow host, another host's come through, and none times out."""
    server.scripts["/slow"] = says_later(0.2, says("200 OK", body=b"x"))
    limits = FetchLimits(
        max_bytes=1_000_000,
        max_bytes_in_flight=4_000_000,
        deadline=0.7,
        answer=0.7,
        concurrency=4,
        per_host=2,
    )
    async with Fetcher(LOOPBACK, limits) as fetcher:
        slow = [asyncio.create_task(fetcher.fetch(server.url("/slow", "slow.test"))) for _ in range(10)]
        await asyncio.sleep(0.05)
        for _ in range(5):
            await fetcher.fetch(server.url("/koala.jpg", "fast.test"))
        assert sum(task.done() for task in slow) < 5
        assert {(await task).data for task in slow} == {b"x"}


@pytest.mark.usefixtures("test_names")
async def test_silent_hosts_hold_up_no_other(server: PhotoServer) -> None:
    """More of them than there are slots, long before their fetches have failed."""
    server.scripts["/hang"] = hangs
    limits = FetchLimits(
        max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=60, answer=60, concurrency=4, per_host=2
    )
    async with Fetcher(LOOPBACK, limits) as fetcher:
        urls = [server.url("/hang", f"silent-{number}.test") for number in range(6)]
        silent = [asyncio.create_task(fetcher.fetch(url)) for url in urls * 2]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert (await fetcher.fetch(server.url("/koala.jpg", "good.test"))).data
        assert not any(task.done() for task in silent)
        for task in silent:
            task.cancel()
        await asyncio.gather(*silent, return_exceptions=True)


async def test_cancelling(server: PhotoServer) -> None:
    """Cancelled fetches give back their slots and close their connections, wherever they are."""
    server.scripts |= {"/hang": hangs, "/drip": drips(OK + b"content-length: 99\r\n\r\n", b"x", 0.01)}
    limits = FetchLimits(
        max_bytes=1_000_000,
        max_bytes_in_flight=4_000_000,
        deadline=5.0,
        answer=5.0,
        concurrency=2,
        per_host=2,
    )
    async with Fetcher(LOOPBACK, limits) as fetcher:
        for _ in range(3):
            paths = ["/hang", "/drip", "/hang", "/drip", "/koala.jpg"]
            tasks = [asyncio.create_task(fetcher.fetch(server.url(path))) for path in paths]
            await asyncio.sleep(0.05)
            assert server.open == 2
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
            async with asyncio.timeout(1):
                while server.open:
                    await asyncio.sleep(0.005)
        await asyncio.gather(*(fetcher.fetch(server.url("/koala.jpg")) for _ in range(4)))
        del outcomes, task, tasks  # their tracebacks hold the slots
        gc.collect()
        assert not fetcher._host_slots


async def test_answers_that_nobody_asked_for(server: PhotoServer) -> None:
    """A server that goes on after its answer is left at once, and none of that becomes another's answer."""

    async def insists(connection: Connection) -> None:
        await connection.send(OK + b"content-length: 1\r\n\r\nx")
        await asyncio.sleep(0.02)
        await floods(b"", b"HTTP/1.1 204 Never Asked\r\n\r\n" * 999)(connection)

    server.scripts["/insists"] = insists
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        assert (await fetcher.fetch(server.url("/insists"))).data == b"x"
        async with asyncio.timeout(1):
            while server.open:
                await asyncio.sleep(0.005)
        assert (await fetcher.fetch(server.url("/cat.jpg"))).data == (PHOTOS / "cat.jpg").read_bytes()


async def test_faults_leave_nothing_behind(server: PhotoServer) -> None:
    """After each kind of fault the slots are free, and only connections that can be used again stay open."""
    limits = FetchLimits(
        max_bytes=1_000_000,
        max_bytes_in_flight=4_000_000,
        deadline=0.3,
        answer=0.3,
        concurrency=1,
        per_host=1,
    )
    async with Fetcher(LOOPBACK, limits) as fetcher:
        for name, (script, _, _) in ANSWERS.items():
            server.scripts["/hostile"] = script
            with pytest.raises(SourceError):
                await fetcher.fetch(server.url("/hostile"))
            assert (await fetcher.fetch(server.url("/cat.jpg"))).data, name
        async with asyncio.timeout(1):
            while server.open > 1:
                await asyncio.sleep(0.005)


async def test_data_urls() -> None:
    """A data URL carries its bytes itself, as Base64 or as text; no slot or server is needed."""
    koala = (PHOTOS / "koala.jpg").read_bytes()
    async with Fetcher(NOBODY, LIMITS) as fetcher:
        url = "data:image/jpeg;base64," + base64.b64encode(koala).decode()
        assert (await fetcher.fetch(url)).data == koala
        assert (await fetcher.fetch(url.replace("data:", "DATA:").replace("+", "%2B"))).data == koala
        assert (await fetcher.fetch("data:,a%20b,c")).data == b"a b,c"
        assert (await fetcher.fetch("data:,")).data == b""


@pytest.mark.parametrize("sign", ["%", "%4", "%41", "%%41", "x"])
async def test_a_data_url_holds_nobody_up(sign: str) -> None:
    """However it is written, a data URL of any size is read beside the event loop, in no time."""
    url = "data:," + sign * (MAX_DATA_URL_BYTES // len(sign))
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    async with Fetcher(NOBODY, LIMITS) as fetcher:
        looking = asyncio.create_task(look())
        started = time.process_time()
        data = (await fetcher.fetch(url)).data
        took = time.process_time() - started
        looking.cancel()
    assert data == unquote_to_bytes(url[len("data:,") :])
    assert took < 0.15, "half a second and more, with an object for each sign"
    assert longest < 0.15


@given(st.text("%04aAfFgG é"))
def test_percent_encoding(text: str) -> None:
    """Percent signs are read as the standard library reads them, hexadecimal digits or none behind them."""
    assert percent_decoded(text.encode()) == unquote_to_bytes(text)


@pytest.mark.parametrize(
    "url", ["http://" + "a" * 1_000_000, "x" * 1_000_000, "http://a.test/?" + "b" * 1_000_000]
)
def test_long_urls_are_shown_in_no_time(url: str) -> None:
    """What logs tell of a URL does not depend on how much more there is of it."""
    started = time.thread_time()
    assert len(shown(url)) <= 200
    assert time.thread_time() - started < 0.005


async def test_a_data_url_keeps_to_the_limit_of_images() -> None:
    """An image's limit holds for data URLs, where it is lower than theirs."""
    fault = await fault_of(
        "data:,xxx",
        limits=FetchLimits(
            max_bytes=2, max_bytes_in_flight=4, deadline=1, answer=1, concurrency=1, per_host=1
        ),
    )
    assert (type(fault), fault.code) == (SourceGoneError, "image_too_large")


async def test_outside_its_context() -> None:
    """A fetcher that was not entered says so."""
    with pytest.raises(RuntimeError, match="context manager"):
        await Fetcher(LOOPBACK, LIMITS).fetch("http://127.0.0.1/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/b.jpg?token=secret#secret", "https://a.test/b.jpg"),
        ("https://user:secret@a.test:8080/@b.jpg", "https://a.test:8080/@b.jpg"),
        ("HTTP://secret@[::1]:80/x", "HTTP://[::1]:80/x"),
        ("http:///user:secret@a.test/", "http:///a.test/"),
        ("user:secret@a.test/x?secret", "'a.test/x'"),
        ("user:se/cret@a.test", "'a.test'"),
        ("data:image/png;base64,secret", "data:…"),
        ("http://a℀b]/x?secret", "http://a℀b]/x"),
        ("http://a.test/\r\n\x1b[31m\u202e\ud800", "http://a.test/\ufffd\ufffd\ufffd[31m\ufffd\ufffd"),
        ("http://user:" + "secret" * 1000 + "@a.test/", "http://a.test/"),
        ("http://a.test/" + "x" * 999, "http://a.test/" + "x" * 186),
        ("", "''"),
    ],
)
def test_shown(url: str, expected: str) -> None:
    """What logs and messages tell of a URL has no credentials, no query, no control characters and an end."""
    assert shown(url) == expected


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="/?#@"), min_size=1))
def test_shown_tells_no_query(path: str, word: str) -> None:
    """Neither credentials nor the query are shown, whatever stands around them."""
    mark = "sEcReT"
    for url in (
        f"http://{mark}:{mark}@{word}/?{path}{mark}",
        f"http://h/{path}?{mark}",
        f"{mark}@{word}?{mark}",
    ):
        assert mark not in shown(url)


def test_httpx_keeps_its_word() -> None:
    """The transport's parts that the fetcher leans on: a stream of bytes, and no decoding of hosts."""
    assert httpx.Request("GET", "http://XN--BCHER-KVA.test/").url.raw_host == b"xn--bcher-kva.test"


async def test_an_image_in_many_small_pieces_arrives_whole(
    server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces are put together now and then, so that none is lost and many small ones take little memory."""
    monkeypatch.setattr("streams.fetch.fetcher.MAX_CHUNKS", 4)
    body = bytes(range(30))

    async def in_pieces(connection: Connection) -> None:
        await connection.send(OK + b"content-length: 30\r\n\r\n")
        for number in body:
            await connection.send(bytes([number]))
            await asyncio.sleep(0.002)

    server.scripts["/pieces"] = in_pieces
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        with await fetcher.fetch(server.url("/pieces")) as fetched:
            assert fetched.data == body
