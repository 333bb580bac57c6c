"""Asking a server of the operator's own: bounded in time, bytes and questions at once."""

import asyncio
from collections.abc import Mapping

import aiohttp
from yarl import URL

from streams.fetch.circuit_breakers import CircuitBreakers
from streams.fetch.errors import SourceBusyError
from streams.fetch.responses import retry_after_of, source_fault
from streams.fetch.urls import shown
from streams.fetch.wire.connector import open_connector

_TOLD = 120  # characters of what a server says of a fault


class Asker:
    """Posts JSON to one server. Used from one event loop, and closed there."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, deadline: float, most_bytes: int, at_once: int
    ) -> None:
        """Prepare; nothing is sent before the first question.

        Args:
            url: What paths are put behind.
            headers: Of each request; secrets among them are never told.
            deadline: Seconds for a question and its answer.
            most_bytes: Of an answer.
            at_once: Questions.
        """
        self._url = url.rstrip("/")
        self._host = URL(url).authority
        self._headers = {"content-type": "application/json", "accept": "application/json", **headers}
        self._deadline = deadline
        self._most_bytes = most_bytes
        self._at_once = at_once
        self._circuits = CircuitBreakers()
        self._session: aiohttp.ClientSession | None = None
        self._asked = 0

    async def ask(self, path: str, body: bytes) -> bytes:
        """Send JSON and return what comes back.

        Raises:
            SourceBusyError: There was no answer, or none that can be used; it may be another time.
        """
        url = self._url + path
        self._asked += 1
        with self._circuits.guard(self._host, str(self._asked)):
            try:
                async with asyncio.timeout(self._deadline):
                    return await self._answer(url, body)
            except TimeoutError:
                message = f"no complete answer within {self._deadline:g} s from {shown(url)}"
                raise SourceBusyError("timeout", message) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                fault = source_fault(error, url)
                raise SourceBusyError(fault.code, str(fault)) from error

    async def aclose(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _answer(self, url: str, body: bytes) -> bytes:
        there = URL(url, encoded=True)
        async with self._opened().post(
            there, data=body, headers=self._headers, allow_redirects=False
        ) as answer:
            content = await _read(answer, self._most_bytes)
            if (status := answer.status) == 200:  # noqa: PLR2004 - OK
                return content
            said = content[:_TOLD].decode("utf-8", "replace").replace("\n", " ")
            message = f"status {status} from {shown(url)}: {said}"
            wait = retry_after_of(answer.headers.get("retry-after", ""))
            raise SourceBusyError(f"http_{status}", message, wait)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=open_connector(aiohttp.ThreadedResolver(), self._at_once),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        return self._session


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body that is no longer than it may be."""
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > most:
            answer.close()
            message = f"more than {most:,} bytes from {shown(str(answer.url))}: raise max_answer_bytes"
            raise SourceBusyError("model_server_fault", message)
    return bytes(content)
