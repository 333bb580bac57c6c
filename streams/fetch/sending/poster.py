"""Sending to strangers' URLs: as bounded in time and reach as fetching from them."""

import asyncio
from collections.abc import Mapping
from typing import Self

import aiohttp
import httpx
from yarl import URL

from streams.fetch.addresses import AddressPolicy, CheckedResolver, NameLookups
from streams.fetch.circuit_breakers import CircuitBreakers
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.responses import retry_after_of, source_fault
from streams.fetch.urls import check_url, host_of, shown
from streams.fetch.wire.connector import open_connector

_MAX_ANSWER = 65_536  # bytes of an answer that are read, so that its connection can be used again
_LOOKUPS = 16


class Poster:
    """Posts bodies over HTTP. Use it as an async context manager. Redirects are not followed."""

    def __init__(self, policy: AddressPolicy, *, deadline: float, at_once: int) -> None:
        self.circuit_breakers = CircuitBreakers()
        self._policy = policy
        self._deadline = deadline
        self._at_once = at_once
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        resolver = CheckedResolver(self._policy, NameLookups(_LOOKUPS))
        self._session = aiohttp.ClientSession(
            connector=open_connector(resolver, self._at_once),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], subject: str, sender: str = ""
    ) -> None:
        """Send a body; whoever takes it answers with a status of 200 to 299.

        Args:
            url: Where to.
            body: What.
            headers: Of the request.
            subject: What it is about: a receiver that fails on one subject alone is not taken for dead.
            sender: On whose behalf: what fails for one says nothing about the others' addresses there.

        Raises:
            SourceGoneError: The URL is none that may be sent to.
            SourceBusyError: It was not taken, and may be the next time.
        """
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise SourceGoneError("invalid_url", f"{shown(url)}: {error!s:.100}") from error
        self._policy.check_host(host_of(target), check_url(target))
        host = target.netloc.decode("ascii").lower()
        with self.circuit_breakers.guard(f"{host} for {sender}" if sender else host, subject):
            try:
                async with asyncio.timeout(self._deadline):
                    await self._send(str(target), body, headers)
            except TimeoutError:
                message = f"no complete answer within {self._deadline:g} s from {shown(url)}"
                raise SourceBusyError("timeout", message) from None
            except SourceError:
                raise
            except (aiohttp.ClientError, OSError, ValueError) as error:
                fault = source_fault(error, url)
                raise SourceBusyError(fault.code, str(fault)) from error

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        if self._session is None:
            raise RuntimeError("use the Poster as an async context manager")
        there = URL(url, encoded=True).with_fragment(None)
        async with self._session.post(there, data=body, headers=headers, allow_redirects=False) as answer:
            await _read_away(answer)
            if not httpx.codes.is_success(status := answer.status):
                message = f"status {status} from {shown(url)}"
                wait = retry_after_of(answer.headers.get("retry-after", ""))
                raise SourceBusyError(f"http_{status}", message, wait)


async def _read_away(answer: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end; with a long one the connection ends."""
    left = _MAX_ANSWER
    async for chunk in answer.content.iter_any():
        left -= len(chunk)
        if left < 0:
            answer.close()
            return
