"""The web as it is: large heads, a length told twice, bodies stored compressed, odd data URLs."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.photo_server import PhotoServer, says, writes

from streams.fetch.addresses import AddressPolicy
from streams.fetch.data_urls import read_data_url
from streams.fetch.errors import SourceGoneError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.wire.head_lines import HeadLines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.photo_server import Script

LIMITS = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=5.0, answer=5.0, concurrency=8, per_host=4
)
LOOPBACK = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))
PHOTO = bytes(range(256)) * 100
LENGTH = f"content-length: {len(PHOTO)}\r\n".encode()
OK = b"HTTP/1.1 200 OK\r\n"
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(PHOTO) + RAW.flush()


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    async with PhotoServer() as started:
        yield started


COOKIES = b"".join(b"Set-Cookie: c%d=1\r\n" % number for number in range(150))
GOOD: dict[str, Script] = {
    "150 cookies": writes(OK + COOKIES + LENGTH + b"\r\n" + PHOTO),
    "a header of 20 KB": writes(OK + b"x: " + b"y" * 20_000 + b"\r\n" + LENGTH + b"\r\n" + PHOTO),
    "a length twice": writes(OK + LENGTH + b"Content-LENGTH:" + LENGTH[15:] + b"\r\n" + PHOTO),
    "a length as a list": writes(OK + LENGTH[:-2] + b", 25600\r\n\r\n" + PHOTO),
    "gzip": says("200 OK", "content-encoding: gzip", body=gzip.compress(PHOTO)),
    "x-gzip": says("200 OK", "content-encoding: X-Gzip", body=gzip.compress(PHOTO)),
    "gzip of several": says(
        "200 OK", "content-encoding: gzip", body=gzip.compress(PHOTO[:99]) + gzip.compress(PHOTO[99:])
    ),
    "deflate": says("200 OK", "content-encoding: deflate", body=zlib.compress(PHOTO)),
    "deflate without a header": says("200 OK", "content-encoding: deflate", body=RAW_DEFLATE),
}


@pytest.mark.parametrize("name", GOOD)
async def test_answers_as_servers_give_them(server: PhotoServer, name: str) -> None:
    """Each is the photo."""
    server.scripts["/odd"] = GOOD[name]
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        assert (await fetcher.fetch(server.url("/odd"))).data == PHOTO


async def test_unpacked_bytes_count_as_those_of_an_image(server: PhotoServer) -> None:
    """The limit and the memory of images are of what is unpacked."""
    server.scripts["/odd"] = GOOD["gzip"]
    small = replace(LIMITS, max_bytes=len(PHOTO) - 1)
    async with Fetcher(LOOPBACK, small) as fetcher:
        with pytest.raises(SourceGoneError) as caught:
            await fetcher.fetch(server.url("/odd"))
    assert caught.value.code == "image_too_large"


async def test_the_limit_of_redirects_is_a_setting(server: PhotoServer) -> None:
    """As many as it says are followed, and none where it is 0."""
    for number in range(9):
        server.scripts[f"/r{number}"] = says("302 Found", f"location: /r{number + 1}")
    server.scripts["/r9"] = says("200 OK", body=PHOTO)
    for limit, start, good in ((9, 0, True), (8, 0, False), (0, 9, True), (0, 8, False)):
        async with Fetcher(LOOPBACK, replace(LIMITS, max_redirects=limit)) as fetcher:
            if good:
                assert (await fetcher.fetch(server.url(f"/r{start}"))).data == PHOTO
                continue
            with pytest.raises(SourceGoneError, match=f"more than {limit} redirects"):
                await fetcher.fetch(server.url(f"/r{start}"))


@example([1] * 300)
@given(st.lists(st.integers(1, 40)))
def test_heads_pass_whole_however_they_are_cut(cuts: list[int]) -> None:
    """Whatever pieces it comes in, a head has each length once, and loses nothing else."""
    head = OK + COOKIES[:90] + LENGTH + b"content-length : 1\r\n" + LENGTH + b"a: b\r\n\r\n" + LENGTH
    wanted = OK + COOKIES[:90] + LENGTH + b"content-length : 1\r\na: b\r\n\r\n" + LENGTH
    lines, found, at = HeadLines(), b"", 0
    for cut in [*cuts, len(head)]:
        found += lines.passed(head[at : at + cut])
        at += cut
    assert found == wanted


@pytest.mark.parametrize(
    "url",
    [
        "data:image/jpeg;base64," + base64.encodebytes(PHOTO).decode(),
        "data:image/jpeg;base64," + base64.b64encode(PHOTO + b"x").decode().rstrip("="),
        "data:image/jpeg; base64," + base64.b64encode(PHOTO).decode(),
        "data:image/jpeg; BASE64 ," + base64.encodebytes(PHOTO).decode().replace("\n", "%0D%0A"),
        "data:;base64,\t" + base64.b64encode(PHOTO).decode() + " ",
    ],
)
def test_data_urls_as_browsers_read_them(url: str) -> None:
    """White space and missing padding are no faults, and blanks may stand before `base64`."""
    assert read_data_url(url, 1_000_000).removesuffix(b"x") == PHOTO


@pytest.mark.parametrize("digits", ["A", "AAAAA", "AA=A", "A===", "AAA==", "AAAA=", "=", "A-A_", "AAA\x0bA"])
def test_what_browsers_refuse_is_refused(digits: str) -> None:
    """Base64 that ends within a byte, padding within, and signs that are none of it."""
    with pytest.raises(SourceGoneError):
        read_data_url(f"data:;base64,{digits}", 1000)
