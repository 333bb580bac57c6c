"""Looking up host names, each in a thread that nobody else needs.

The C library's look-up cannot be cancelled, and a hostile name server can hold it up for as long as the
machine's resolver is configured to insist. A resolver library that needs no threads (c-ares, by way of
`aiodns`) would ask nobody but DNS, whatever the operator configured for the machine, and its mere presence
makes it the resolver of each of aiohttp's sessions.
"""

import functools
import socket
from socket import getaddrinfo

from streams.own_threads import OwnThreads

Found = list[tuple[str, socket.AddressFamily]]


class NameLookups:
    """Looks names up, at most `limit` at once, those that nobody waits for any more included."""

    def __init__(self, limit: int) -> None:
        self._threads = OwnThreads(limit)

    async def addresses(self, host: str, port: int, family: socket.AddressFamily) -> Found:
        """Give the addresses of a host, in the order in which they should be tried.

        Raises:
            OSError: There are none, or none that can be found now.
            UnicodeError: No host can have such a name.
        """
        return await self._threads.run(functools.partial(_look_up, host, port, family))


def _look_up(host: str, port: int, family: socket.AddressFamily) -> Found:
    found = getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(str(entry[4][0]), entry[0]) for entry in found]
