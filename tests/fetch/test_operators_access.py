"""What the operator gives for sources: headers by host, and credentials for buckets."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from support.photo_server import PhotoServer, says

from schemas.errors import SettingsError
from streams.fetch.addresses import AddressPolicy
from streams.fetch.errors import SourceError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.roots import SourceRoots
from streams.fetch.wire.request_headers import RequestHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMITS = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=5.0, answer=5.0, concurrency=8, per_host=4
)
LOOPBACK = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))
FILE = """
[hosts."*"]
User-Agent = "Shop/1.0 (+https://shop.example)"
[hosts."http://127.0.0.1:{port}"]
Authorization = "Bearer ${{PHOTOS_TOKEN}}"
[hosts."127.0.0.1"]
X-Api-Key = "${{PHOTOS_TOKEN}}"
"""
ENVIRONMENT = {"PHOTOS_TOKEN": "s3cret"}


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    async with PhotoServer() as started:
        yield started


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "headers.toml"
    path.write_text(text, "utf-8")
    return path


async def test_requests_carry_the_headers_of_their_host(server: PhotoServer, tmp_path: Path) -> None:
    """A secret goes to the host and port that are named, by https unless http is said, nowhere else."""
    server.scripts["/1"] = says("302 Found", f"location: {server.url('/2', 'localhost')}")
    server.scripts["/2"] = says("200 OK", body=b"x")
    headers = RequestHeaders.read(written(tmp_path, FILE.format(port=server.port)), ENVIRONMENT)
    policy = AddressPolicy.parse("127.0.0.1,localhost")
    async with Fetcher(policy, LIMITS, headers=headers) as fetcher:
        assert (await fetcher.fetch(server.url("/1"))).data == b"x"
    first, second = (head.lower() for head in server.heads)
    assert b"authorization: bearer s3cret" in first
    assert b"x-api-key" not in first
    assert b"s3cret" not in second
    assert b"user-agent: shop/1.0" in first
    assert b"user-agent: shop/1.0" in second


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1", "only sections"),
        ('[hosts."a b"]', "is no host"),
        ('[hosts."a.test"]\nHost = "x"', "no header that can be set"),
        ('[hosts."a.test"]\n"a:b" = "x"', "no header that can be set"),
        ('[hosts."a.test"]\nA = 1', "must be a text"),
        ('[hosts."a.test"]\nA = "${NOPE}"', "which the environment lacks"),
        ('[hosts."a.test"]\nA = "a\\nb"', "visible ASCII"),
        ('[hosts."*"]\nA = "${PHOTOS_TOKEN}"', "name its host"),
        ("[hosts", "no TOML"),
    ],
)
def test_a_bad_file_is_refused_without_its_secrets(tmp_path: Path, text: str, said: str) -> None:
    """The message names the section and the header, the rule and the cure."""
    with pytest.raises(SettingsError) as caught:
        RequestHeaders.read(written(tmp_path, text), ENVIRONMENT)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    """An object store that lets in whoever signs, at the endpoint that the environment names."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.raw_path, request.headers.get("authorization", "")))
        signed = request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=KEY/")
        if not signed or request.path.endswith("forbidden.jpg"):
            return web.Response(status=403)
        return (
            web.Response(body=b"photo")
            if request.path == "/photos/2026/a b.jpg"
            else web.Response(status=404)
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": "KEY",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_REGION": "eu-west-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield asked
    await runner.cleanup()


async def test_a_bucket_is_read_with_credentials(bucket: list[Any]) -> None:
    """A bucket without a base is asked by signed requests; what lies outside of its root is not."""
    roots = SourceRoots.parse("s3://photos/2026")
    async with Fetcher(LOOPBACK, LIMITS, roots) as fetcher:
        assert (await fetcher.fetch("s3://photos/2026/a%20b.jpg")).data == b"photo"
        for url, code in {
            "s3://photos/2026/none.jpg": "object_missing",
            "s3://photos/2026/forbidden.jpg": "http_403",
            "s3://photos/2025/a.jpg": "invalid_url",
            "s3://others/2026/a.jpg": "invalid_url",
            "s3://photos/2026/": "invalid_url",
        }.items():
            with pytest.raises(SourceError) as caught:
                await fetcher.fetch(url)
            assert caught.value.code == code, url
    assert {path for path, _ in bucket} == {
        "/photos/2026/a%20b.jpg",
        "/photos/2026/none.jpg",
        "/photos/2026/forbidden.jpg",
    }
    assert all("AWS4-HMAC-SHA256" in authorization for _, authorization in bucket)
