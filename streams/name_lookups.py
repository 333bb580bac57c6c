"""Looking up host names, each in a thread that nobody else needs.

The C library's look-up cannot be cancelled, and a hostile name server can hold it up for as long as the
machine's resolver is configured to insist. In asyncio's own few threads it would stop whatever else runs
there, and keep the process from ending. A resolver library that needs no threads (c-ares, by way of `aiodns`)
would ask nobody but DNS, whatever the operator configured for the machine, and its mere presence makes it the
resolver of each of aiohttp's sessions.
"""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from socket import getaddrinfo

Found = list[tuple[str, socket.AddressFamily]]


class NameLookups:
    """Looks names up, at most `limit` at once, those that nobody waits for any more included."""

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def addresses(self, host: str, port: int, family: socket.AddressFamily) -> Found:
        """Give the addresses of a host, in the order in which they should be tried.

        Raises:
            OSError: There are none, or none that can be found now.
            UnicodeError: No host can have such a name.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Found] = loop.create_future()

        def settle(outcome: Found | Exception) -> None:
            self._free.release()
            if answer.done():  # cancelled meanwhile
                return
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        def tell(outcome: Found | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, outcome)

        thread = threading.Thread(target=_look_up, args=(host, port, family, tell), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(errno.EAGAIN, str(error)) from error
        return await answer


def _look_up(
    host: str, port: int, family: socket.AddressFamily, tell: Callable[[Found | Exception], None]
) -> None:
    try:
        found = getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001 - whoever asked decides what it means
        tell(error)
    else:
        tell([(str(entry[4][0]), entry[0]) for entry in found])
