"""Fetching strangers' URLs: bounded in size, time and reach. Uses httpx on aiohttp's connector."""

import asyncio
import base64
import binascii
import contextlib
import functools
import re
import time
import urllib.parse
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
import httpx
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from streams.addresses import AddressPolicy, CheckedResolver
from streams.errors import SourceBusyError, SourceError, SourceGoneError

MAX_REDIRECTS = 3
MAX_DATA_URL_BYTES = 1_000_000
MAX_RETRY_AFTER = 86_400.0
MAX_UNREAD_ANSWERS = 16
_BUSY_STATUSES = frozenset({408, 425, 429})
_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADERS = {"accept": "image/*", "accept-encoding": "identity", "user-agent": "tagstream"}
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")  # nothing that two parsers could read differently
_HIERARCHY = re.compile(r"[a-z][a-z0-9+.-]*:/+", re.IGNORECASE)
_sent_url: ContextVar[str] = ContextVar("sent_url")


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
    """Fetches images over HTTP. Use it as an async context manager.

    It asks the transport, not an `httpx.AsyncClient`: that would keep the cookies of every host for ever,
    log whole URLs, and parse each redirect a second time.
    """

    def __init__(self, policy: AddressPolicy, limits: FetchLimits) -> None:
        self._policy = policy
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._host_slots: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()
        self._transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._policy),
            use_dns_cache=False,  # the answer that was checked is the one that is used
            limit=self._limits.concurrency,
            limit_per_host=self._limits.per_host,  # binds after a redirect to another host, too
        )
        protocol: type[ResponseHandler] = _Answers
        answers = functools.partial(protocol, loop=asyncio.get_running_loop())
        connector._factory = answers  # noqa: SLF001 - no argument of the connector sets it
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=[_faithfully],
        )
        self._transport = AiohttpTransport(client=session, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def fetch(self, url: str) -> Fetched:
        """Get the bytes behind an http, https or data URL.

        Raises:
            SourceGoneError: They cannot be had.
            SourceBusyError: They cannot be had now.
        """
        started = time.perf_counter()
        if url[:5].lower() == "data:":
            data = _read_data_url(url, self._limits.max_bytes)
            return Fetched(data, (time.perf_counter() - started) * 1000)
        request = self._request(url)
        # The host's slot comes first: who waits for a slow host holds none of the slots that all share.
        async with self._slots_of(_host(request.url)), self._slots:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._limits.deadline):
                    data = await self._get(request)
            except TimeoutError:
                message = f"no complete answer within {self._limits.deadline:g} s from {shown(url)}"
                raise SourceBusyError("timeout", message) from None
        return Fetched(data, (time.perf_counter() - started) * 1000)

    def _slots_of(self, host: str) -> asyncio.Semaphore:
        """Give a host's slots, which live as long as someone holds or awaits one."""
        return self._host_slots.setdefault(host, asyncio.Semaphore(self._limits.per_host))

    async def _get(self, request: httpx.Request) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with self._stream(request) as response:
                if not response.has_redirect_location:
                    _check_answer(response)
                    return await self._read_body(response)
                url = _target(response)
            request = self._request(url)
        message = f"more than {MAX_REDIRECTS} redirects, last to {shown(url)}"
        raise SourceGoneError("too_many_redirects", message)

    def _request(self, url: str) -> httpx.Request:
        try:
            request = httpx.Request("GET", url, headers=_HEADERS)
        except (httpx.InvalidURL, ValueError) as error:
            raise SourceGoneError("invalid_url", f"{shown(url)}: {error!s:.100}") from error
        port = _check_url(request.url)
        self._policy.check_host(_host(request.url), port)
        return request

    @contextlib.asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        if self._transport is None:
            raise RuntimeError("use the Fetcher as an async context manager")
        _sent_url.set(str(request.url))
        try:
            response = await self._transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        except SourceError:
            raise
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            raise _source_fault(error, str(request.url)) from error

    async def _read_body(self, response: httpx.Response) -> bytes:
        limit = self._limits.max_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(str(response.url), limit)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise _too_large(str(response.url), limit)
        return bytes(body)


class _Answers(ResponseHandler):
    """Leaves a server that sends answers which nobody asked for.

    aiohttp would keep them all, also on idle connections: gigabytes, and an event loop without a pause.
    """

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self) > MAX_UNREAD_ANSWERS and self.transport is not None:
            self.transport.abort()


async def _faithfully(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Mend two habits of `httpx-aiohttp`.

    It hands URLs to aiohttp as text, and aiohttp decodes `%2C` and the like in text: signatures break.
    It encodes the reason phrase as strict UTF-8: one in Latin-1 loses the answer and leaks the connection.
    """
    request.url = type(request.url)(_sent_url.get(), encoded=True).with_fragment(None)
    response = await send(request)
    response.reason = None
    return response


def shown(url: str) -> str:
    """Give a URL fit for logs and messages: no credentials, no query, not endless, on one line."""
    if url[:5].lower() == "data:":
        return "data:…"
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    start = _HIERARCHY.match(bare)
    if start is None:  # whatever this is, what comes before an @ may be a password
        text = repr(bare.rpartition("@")[2][:64])
    else:
        authority, slash, path = bare[start.end() :].partition("/")
        text = start[0] + authority.rpartition("@")[2] + slash + path
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text[:200])


def _host(url: httpx.URL) -> str:
    """Give the host as it will be looked up; `URL.host` would decode it, and fails on bad Punycode."""
    return url.raw_host.decode("ascii").lower()


def _check_url(url: httpx.URL) -> int:
    """Refuse URLs that are not for us; give the port of the others."""
    if url.scheme not in {"http", "https"}:
        message = f"scheme {url.scheme[:64]!r}: only http, https and data are fetched"
        raise SourceGoneError("invalid_url", message)
    if not url.raw_host:
        raise SourceGoneError("invalid_url", "the URL names no host")
    if url.userinfo:
        raise SourceGoneError("invalid_url", "credentials in a URL are refused; use a signed URL")
    if not _HOST.fullmatch(_host(url)):
        raise SourceGoneError("invalid_url", f"{shown(str(url))}: no host has such a name")
    port = url.port if url.port is not None else _DEFAULT_PORTS[url.scheme]
    if not 0 < port < 2**16:
        raise SourceGoneError("invalid_url", f"{shown(str(url))}: ports go from 1 to 65535")
    return port


def _target(response: httpx.Response) -> str:
    location = response.headers["location"]
    try:
        return str(response.request.url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        message = f"redirect to {shown(location)}: {error!s:.100}"
        raise SourceGoneError("invalid_url", message) from error


def _check_answer(response: httpx.Response) -> None:
    status = response.status_code
    message = f"status {status} from {shown(str(response.url))}"
    if status in _BUSY_STATUSES or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise SourceBusyError(f"http_{status}", message, _retry_after(response))
    if status != httpx.codes.OK:
        raise SourceGoneError(f"http_{status}", message)
    encodings = response.headers.get("content-encoding", "").lower()
    if not _COMPRESSIONS.isdisjoint(re.split(r"[,\s]+", encodings)):  # not unpacked: it may be a bomb
        message = f"{shown(str(response.url))} is compressed ({encodings:.64}), though identity was asked"
        raise SourceGoneError("invalid_answer", message)


def _retry_after(response: httpx.Response) -> float | None:
    """Read the seconds or the date until which a source wants to be left alone."""
    text = response.headers.get("retry-after", "")
    try:
        numeric = text.isascii() and text.isdigit()
        seconds = float(text) if numeric else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _source_fault(error: Exception, url: str) -> SourceError:
    """Turn what the client raised into a source's fault.

    Messages tell the cause's class: its text may hold the whole URL. `httpx-aiohttp` calls every lost
    connection a ConnectTimeout, and lets through what is no HTTP as aiohttp's own ClientResponseError.
    """
    cause = error.__cause__ or error
    detail = getattr(cause, "strerror", None)
    message = f"{shown(url)}: {type(cause).__name__}" + (f" ({detail!s:.100})" if detail else "")
    if isinstance(error, httpx.UnsupportedProtocol):
        return SourceGoneError("invalid_url", message)
    if isinstance(error, (ValueError, aiohttp.ClientResponseError)):
        return SourceGoneError("invalid_answer", message)
    return SourceBusyError("connection_failed", message)


def _too_large(url: str, limit: int) -> SourceGoneError:
    return SourceGoneError("image_too_large", f"{shown(url)} has more than {limit} bytes")


def _read_data_url(url: str, limit: int) -> bytes:
    header, comma, payload = url.partition(",")
    rule = f"a data URL needs a comma and at most {MAX_DATA_URL_BYTES} bytes"
    if not comma or len(payload) > MAX_DATA_URL_BYTES * 4 // 3 + 4:
        raise SourceGoneError("invalid_url", rule)
    try:
        data = urllib.parse.unquote_to_bytes(payload)
        if header.lower().endswith(";base64"):
            data = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceGoneError("invalid_url", f"the data URL cannot be decoded: {error!s:.100}") from error
    if len(data) > MAX_DATA_URL_BYTES:
        raise SourceGoneError("invalid_url", rule)
    if len(data) > limit:
        raise _too_large(url, limit)
    return data
