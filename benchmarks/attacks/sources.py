"""Where the uploads of an attack are from: a good source and a hostile one, each a process of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.processes import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOOD, HOSTILE = "127.0.0.1", "127.0.0.2"
ONLOOKER, ATTACKER = "onlooker", "attacker"
SETTINGS = {
    "TAGSTREAM_ALLOW_SOURCES": "127.0.0.0/8",
    "TAGSTREAM_KNOWN_IMAGES": "0",  # the good source's photo counts each time
}
"""Of a worker that is to fetch from them."""


class Sources(NamedTuple):
    """Both of them.

    Attributes:
        honest: What an honest upload says besides its public id.
    """

    honest: dict[str, str]
    hostile_port: int
    server: Program

    def url(self, path: str, host: str = HOSTILE) -> str:
        """A URL of the hostile source, which answers by every address of loopback."""
        return f"http://{host}:{self.hostile_port}/{path}"

    async def sent(self) -> dict[str, int]:
        """How many bytes the hostile source has sent, by kind."""
        found: dict[str, int] = await self.server.ask({})
        return found


@contextlib.asynccontextmanager
async def open_sources() -> AsyncIterator[Sources]:
    """Start both."""
    good, hostile = (
        Program("benchmarks.image_server"),
        Program("benchmarks.attacks.hostile_server", "0.0.0.0"),
    )
    try:
        honest = {"url": f"http://{GOOD}:{await good.start()}/0.2mp/1"}
        honest |= {"tenant": ONLOOKER, "auto_tagging": "0.2"}
        yield Sources(honest, await hostile.start(), hostile)
    finally:
        await good.stop()
        await hostile.stop()
