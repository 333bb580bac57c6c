"""httpx's transport on aiohttp's client, which takes a third of the CPU time of httpx's own.

What goes over the wire is what the request says: aiohttp adds no query decoding, cookies, proxies, redirects
or decompression.
"""

from collections.abc import AsyncIterator

import aiohttp
import httpx
from yarl import URL

from streams.fetch.wire.connector import MAX_HEAD_BYTES

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends GET requests by a connector, which it closes at the end.

    Faults come as aiohttp's exceptions. There is no timeout: the caller has one around the whole fetch.
    """

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            max_line_size=MAX_HEAD_BYTES,  # of all lines together: the connector counts
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEAD_BYTES,
            timeout=_NO_TIMEOUT,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the head of the answer."""
        # As text, aiohttp would decode `%2C` and the like in it: signatures break.
        url = URL(str(request.url), encoded=True).with_fragment(None)
        headers = request.headers.multi_items()
        response = await self._session.get(url, headers=headers, allow_redirects=False)
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Body(response), request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.content.iter_any():
            yield chunk

    async def aclose(self) -> None:
        self._response.release()  # a connection whose answer was not read to its end is closed
        await self._response.wait_for_close()
