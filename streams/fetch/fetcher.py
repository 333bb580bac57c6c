"""Fetching strangers' URLs: bounded in size, time and reach. Uses httpx on aiohttp's connector."""

import asyncio
import contextlib
import functools
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import aiohttp
import httpx

from streams.fetch.addresses import AddressPolicy, CheckedResolver, NameLookups
from streams.fetch.circuit_breakers import CircuitBreakers
from streams.fetch.data_urls import read_data_url
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.files import SourceFiles
from streams.fetch.object_store import SCHEME, Buckets, ObjectStore
from streams.fetch.responses import check_response, is_packed, redirect_target, source_fault
from streams.fetch.room.admission import Admission
from streams.fetch.room.byte_budget import ByteBudget
from streams.fetch.room.slots import PLACES_PER_SLOT, FetchSlots, HostSlots
from streams.fetch.roots import BucketObject, RootedFile, SourceRoots
from streams.fetch.urls import check_url, host_of, shown, too_large
from streams.fetch.wire.connector import open_connector
from streams.fetch.wire.request_headers import RequestHeaders
from streams.fetch.wire.transport import AiohttpTransport
from streams.fetch.wire.unpacking import unpacked

DEFAULT_REDIRECTS = 3
MAX_CHUNKS = 1024
_SHORT = 65_536  # characters of a data URL that are read at once, without a thread
NO_ROOTS = SourceRoots()
NO_HEADERS = RequestHeaders()
_HEADERS = httpx.Headers({"accept": "image/*", "accept-encoding": "identity", "user-agent": "tagstream"})


def _nothing() -> None:
    """Nothing is held."""


class Fetched:
    """The bytes of an image. As a context manager it releases them, if nobody has done so before.

    Attributes:
        data: The bytes; none once they are released.
        size: How many they were.
        elapsed_ms: The milliseconds that it took to get them.
        host: Where they are from.
    """

    def __init__(
        self, data: bytes, elapsed_ms: float, release: Callable[[], None] = _nothing, host: str = ""
    ) -> None:
        self.data = data
        self.size = len(data)
        self.elapsed_ms = elapsed_ms
        self.host = host
        self._give_back = release

    def release(self) -> None:
        """Free the memory for those that wait for some; more than once does no harm."""
        self.data = b""
        self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@dataclass(frozen=True)
class FetchLimits:
    """Bounds of every fetch.

    Attributes:
        max_bytes: Largest image.
        max_bytes_in_flight: Most bytes of all images that are being fetched or were not released yet.
        deadline: Seconds of the whole fetch, redirects included. Waiting for memory is not the source's fault
            and does not count; a fetch gives that up after as many seconds.
        answer: Seconds in which each request must be connected and its answer's head be there.
        concurrency: Most fetches at once, but for those that take long: see `streams.fetch.room.slots`.
        per_host: The same from one host, but for those that others overtake.
        max_redirects: Most redirects that are followed.
    """

    max_bytes: int
    max_bytes_in_flight: int
    deadline: float
    answer: float
    concurrency: int
    per_host: int
    max_redirects: int = DEFAULT_REDIRECTS


class Fetcher:
    """Fetches images over HTTP. Use it as an async context manager.

    It asks the transport, not an `httpx.AsyncClient`: that would keep the cookies of every host for ever,
    log whole URLs, and parse each redirect a second time.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        limits: FetchLimits,
        roots: SourceRoots = NO_ROOTS,
        objects: ObjectStore | None = None,
        headers: RequestHeaders = NO_HEADERS,
    ) -> None:
        self.circuit_breakers = CircuitBreakers()
        self.budget = ByteBudget(limits.max_bytes_in_flight, limits.max_bytes)
        self._policy = policy
        self._limits = limits
        self._roots = roots
        self._objects = objects
        self._headers = headers
        self._buckets = Buckets()
        # A read may outlive its fetch, where another machine serves the folder: let as many again begin.
        self._files = SourceFiles(2 * limits.per_host)
        self._slots = FetchSlots(limits.concurrency, lambda: not self.budget.is_short)
        self._host_slots: weakref.WeakValueDictionary[str, HostSlots] = weakref.WeakValueDictionary()
        self._transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        # A look-up may outlive its fetch, where the machine's resolver insists: let as many again begin.
        lookups = NameLookups(2 * self._slots.most)
        connector = open_connector(
            CheckedResolver(self._policy, lookups),
            self._slots.most,
            (1 + PLACES_PER_SLOT) * self._limits.per_host,
        )
        self._transport = AiohttpTransport(connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def is_overloaded(self) -> bool:
        """Whether fetches wait for each other's slots or memory, and not for their sources."""
        return self.budget.is_short or self._slots.is_crowded

    async def fetch(self, url: str, tenant: str = "") -> Fetched:
        """Get the bytes behind an http, https or data URL, or behind one of a root that the operator named.

        Args:
            url: Where they are.
            tenant: Of whose share of slots and memory they are.

        Raises:
            SourceGoneError: They cannot be had.
            SourceBusyError: They cannot be had now.
        """
        if url[:5].lower() == "data:":
            return await self._hold(url, "data:", tenant, functools.partial(self._read_data_url, url))
        scheme = url.partition(":")[0].lower()
        if scheme == "file":
            return await self._fetch_file(self._roots.file_at(url), tenant)
        if scheme == SCHEME and self._objects is not None:
            return await self._fetch_object(url, tenant, self._objects)
        if (found := self._roots.object_at(url)) is not None:
            return await self._fetch_from_bucket(found, tenant)
        request = self._request(self._roots.http_url(url))
        host = host_of(request.url)
        # The host's slot comes first: who waits for a slow host has none of the slots and of the memory that
        # all share. Its circuit comes after: it may have opened while the fetch waited for the slot.
        async with self._slots_of(host).hold(), self._slots.hold(tenant):
            with self.circuit_breakers.guard(_circuit_of(request), url) as go_on_to:
                return await self._hold(url, host, tenant, functools.partial(self._get, request, go_on_to))

    async def _fetch_file(self, file: RootedFile, tenant: str) -> Fetched:
        read = functools.partial(self._files.read, file, self._limits.max_bytes)
        async with self._slots_of(file.root).hold(), self._slots.hold(tenant):
            with self.circuit_breakers.guard(file.root, file.url):
                return await self._hold(file.url, file.root, tenant, read)

    async def _fetch_object(self, url: str, tenant: str, objects: ObjectStore) -> Fetched:
        read = functools.partial(objects.fetch, url, self._limits.max_bytes)
        async with self._slots_of(SCHEME).hold(), self._slots.hold(tenant):
            with self.circuit_breakers.guard(SCHEME, url):
                return await self._hold(url, SCHEME, tenant, read)

    async def _fetch_from_bucket(self, found: BucketObject, tenant: str) -> Fetched:
        read = functools.partial(self._buckets.fetch, found, self._limits.max_bytes)
        async with self._slots_of(found.bucket).hold(), self._slots.hold(tenant):
            with self.circuit_breakers.guard(found.bucket, found.url):
                return await self._hold(found.url, found.bucket, tenant, read)

    def _slots_of(self, host: str) -> HostSlots:
        """A host's slots, which live as long as someone holds or awaits one."""
        return self._host_slots.setdefault(host, HostSlots(self._limits.per_host))

    async def _hold(
        self, url: str, host: str, tenant: str, get: Callable[[Admission], Awaitable[bytes]]
    ) -> Fetched:
        """Get an image, with memory that is held until it is released."""
        started = time.perf_counter()
        reservation = self.budget.reserve(host, tenant)
        try:
            data = await Admission(reservation, self._limits.deadline).run(get)
        except TimeoutError:
            reservation.release()
            message = f"no complete answer within {self._limits.deadline:g} s from {shown(url)}"
            raise SourceBusyError("timeout", message) from None
        except BaseException:
            reservation.release()
            raise
        reservation.complete()
        return Fetched(data, (time.perf_counter() - started) * 1000, reservation.release, host)

    async def _read_data_url(self, url: str, admission: Admission) -> bytes:
        if len(url) <= _SHORT:
            data = read_data_url(url, self._limits.max_bytes)
        else:
            data = await asyncio.to_thread(read_data_url, url, self._limits.max_bytes)
        await admission.expect(len(data))
        await admission.take(len(data))
        return data

    async def _get(
        self, request: httpx.Request, go_on_to: Callable[[str], None], admission: Admission
    ) -> bytes:
        async with contextlib.AsyncExitStack() as slots:
            for _ in range(self._limits.max_redirects + 1):
                async with self._stream(request) as response:
                    if not response.has_redirect_location:
                        check_response(response)
                        data = await self._read_body(response, admission)
                        if is_packed(response):
                            limit = self._limits.max_bytes
                            data = await unpacked(data, str(response.url), limit, admission)
                        return data
                    url = redirect_target(response)
                last, request = host_of(request.url), self._request(url)
                go_on_to(_circuit_of(request))
                if (host := host_of(request.url)) != last:
                    await slots.enter_async_context(self._slots_of(host).hold())
        message = f"more than {self._limits.max_redirects} redirects, last to {shown(url)}"
        raise SourceGoneError("too_many_redirects", message)

    def _request(self, url: str) -> httpx.Request:
        try:
            request = httpx.Request("GET", url, headers=_HEADERS)
            request.headers.update(self._headers.of(request.url))
        except (httpx.InvalidURL, ValueError) as error:
            raise SourceGoneError("invalid_url", f"{shown(url)}: {error!s:.100}") from error
        self._policy.check_host(host_of(request.url), check_url(request.url))
        return request

    @contextlib.asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        if self._transport is None:
            raise RuntimeError("use the Fetcher as an async context manager")
        try:
            response = await self._head(request, self._transport)
            try:
                yield response
            finally:
                await response.aclose()
        except SourceError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise source_fault(error, str(request.url)) from error

    async def _head(self, request: httpx.Request, transport: AiohttpTransport) -> httpx.Response:
        try:
            async with asyncio.timeout(self._limits.answer):
                return await transport.handle_async_request(request)
        except TimeoutError:
            message = f"no answer within {self._limits.answer:g} s from {shown(str(request.url))}"
            raise SourceBusyError("timeout", message) from None

    async def _read_body(self, response: httpx.Response, admission: Admission) -> bytes:
        limit = self._limits.max_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdigit():
            if int(declared) > limit:
                raise too_large(str(response.url), limit)
            await admission.expect(int(declared))
        chunks, size = [], 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > limit:
                raise too_large(str(response.url), limit)
            await admission.take(len(chunk))
            chunks.append(chunk)
            if len(chunks) == MAX_CHUNKS:  # an object per byte that drips in would take more than the byte
                chunks = [b"".join(chunks)]
        return b"".join(chunks)


def _circuit_of(request: httpx.Request) -> str:
    return request.url.netloc.decode("ascii").lower()
