"""Fetching strangers' URLs: bounded in size, time and reach. Uses httpx on aiohttp's connector."""

import asyncio
import base64
import binascii
import contextlib
import time
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from streams.addresses import AddressPolicy, CheckedResolver
from streams.errors import SourceBusyError, SourceError, SourceGoneError

MAX_REDIRECTS = 3
MAX_DATA_URL_BYTES = 1_000_000
_BUSY_STATUSES = frozenset({408, 425, 429})
_HEADERS = {"accept": "image/*", "accept-encoding": "identity", "user-agent": "tagstream"}


@dataclass(frozen=True)
class Fetched:
    """The bytes of an image, and the milliseconds that it took to get them."""

    data: bytes
    elapsed_ms: float


@dataclass(frozen=True)
class FetchLimits:
    """Bounds of every fetch. `deadline` is in seconds and covers the whole fetch, redirects included."""

    max_bytes: int
    deadline: float
    concurrency: int
    per_host: int


class Fetcher:
    """Fetches images over HTTP. Use it as an async context manager."""

    def __init__(self, policy: AddressPolicy, limits: FetchLimits) -> None:
        self._policy = policy
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._policy),
            use_dns_cache=False,  # the answer that was checked is the one that is used
            limit=self._limits.concurrency,
            limit_per_host=self._limits.per_host,
        )
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=session, trust_env=False),
            headers=_HEADERS,
            trust_env=False,
            follow_redirects=False,
            timeout=self._limits.deadline,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def fetch(self, url: str) -> Fetched:
        """Get the bytes behind an http, https or data URL.

        Raises:
            SourceGoneError: They cannot be had.
            SourceBusyError: They cannot be had now.
        """
        started = time.perf_counter()
        if url[:5].lower() == "data:":
            return Fetched(_read_data_url(url), (time.perf_counter() - started) * 1000)
        async with self._slots:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._limits.deadline):
                    data = await self._get(url)
            except TimeoutError:
                message = f"no complete answer within {self._limits.deadline:g} s from {shown(url)}"
                raise SourceBusyError("timeout", message) from None
        return Fetched(data, (time.perf_counter() - started) * 1000)

    async def _get(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            request = self._request(url)
            async with self._stream(request) as response:
                if response.is_redirect:
                    url = _target(response)
                    continue
                _check_status(response, url)
                return await self._read_body(response, url)
        message = f"more than {MAX_REDIRECTS} redirects, last to {shown(url)}"
        raise SourceGoneError("too_many_redirects", message)

    def _request(self, url: str) -> httpx.Request:
        if self._client is None:
            raise RuntimeError("use the Fetcher as an async context manager")
        try:
            request = self._client.build_request("GET", url)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise SourceGoneError("invalid_url", f"{shown(url)}: {error}") from error
        _check_url(request.url)
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        self._policy.check_host(request.url.host.lower().rstrip("."), port)
        return request

    @contextlib.asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        if self._client is None:
            raise RuntimeError("use the Fetcher as an async context manager")
        try:
            response = await self._client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except SourceError:
            raise
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            raise _source_fault(error, str(request.url)) from error

    async def _read_body(self, response: httpx.Response, url: str) -> bytes:
        limit = self._limits.max_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(url, limit)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise _too_large(url, limit)
        return bytes(body)


def shown(url: str) -> str:
    """Give a URL fit for logs and messages: no credentials, no query, not endless."""
    parts = urllib.parse.urlsplit(url[:2048]) if "[" not in url[:2048] else None
    if parts is None or not parts.scheme:
        return repr(url[:64])
    if parts.scheme.lower() == "data":
        return "data:…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def _check_url(url: httpx.URL) -> None:
    if url.scheme not in {"http", "https"}:
        raise SourceGoneError("invalid_url", f"scheme {url.scheme!r}: only http, https and data are fetched")
    if not url.host:
        raise SourceGoneError("invalid_url", "the URL names no host")
    if url.userinfo:
        raise SourceGoneError("invalid_url", "credentials in a URL are refused; use a signed URL")


def _target(response: httpx.Response) -> str:
    location = response.headers.get("location", "")
    try:
        return str(response.request.url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise SourceGoneError("invalid_url", f"redirect to {location[:100]!r}: {error}") from error


def _check_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        return
    message = f"status {status} from {shown(url)}"
    if status in _BUSY_STATUSES or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise SourceBusyError(f"http_{status}", message, _retry_after(response))
    raise SourceGoneError(f"http_{status}", message)


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdigit() else None


def _source_fault(error: Exception, url: str) -> SourceError:
    """Turn what the client raised into a source's fault. Our resolver's own verdict comes through."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SourceError):
            return cause
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError):
        return SourceGoneError("invalid_answer", f"{shown(url)}: {error!r}"[:300])
    return SourceBusyError("connection_failed", f"{shown(url)}: {error!r}"[:300])


def _too_large(url: str, limit: int) -> SourceGoneError:
    return SourceGoneError("image_too_large", f"{shown(url)} has more than {limit} bytes")


def _read_data_url(url: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma or len(payload) > MAX_DATA_URL_BYTES * 4 // 3 + 4:
        rule = f"a data URL needs a comma and at most {MAX_DATA_URL_BYTES} bytes"
        raise SourceGoneError("invalid_url", rule)
    raw = urllib.parse.unquote_to_bytes(payload)
    if not header.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceGoneError("invalid_url", f"the data URL is not base64: {error}") from error
