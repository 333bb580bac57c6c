"""A webhook whose receiver fails, and a program that is stopped meanwhile."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from support.cluster import Cluster
from support.examples import Programs, listening, until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Receiver:
    """Somebody else's server. Bodies by idempotency key: taken, and refused while it fails."""

    port: int = 0
    fails: bool = True
    taken: dict[str, bytes] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        key = request.headers["idempotency-key"]
        if self.fails:
            self.refused.append(key)
            return web.Response(status=503)
        self.taken[key] = await request.read()
        return web.Response(status=204)


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/tags", receiver.take)
    async with listening(app) as receiver.port:
        yield receiver


async def test_nothing_is_lost_while_the_receiver_fails(
    cluster: Cluster, programs: Programs, koala: str, receiver: Receiver, tmp_path: Path
) -> None:
    """What it refuses comes again with the same key, also after a restart; in the end it has every update."""
    await cluster.publish([UploadData(public_id="hooked", url=koala, auto_tagging=0.4)])
    command = ("examples/webhook.py", f"http://127.0.0.1:{receiver.port}/tags")

    async def refused_twice() -> bool:
        return len(receiver.refused) >= 2

    async with programs.running(tmp_path / "log", *command) as program:
        await until(refused_twice)
        assert await program.interrupt() == 0
        assert "delivered" not in program.log
    assert len(set(receiver.refused)) == 1

    receiver.fails = False

    async def updates() -> dict[str, bytes] | None:
        records = await cluster.read(cluster.names.tag_updates)
        told = {dict(record.headers)["ce_id"].decode(): record.value for record in records}
        return told if told and told == receiver.taken else None

    async with programs.running(tmp_path / "log", *command) as program:
        assert set(receiver.refused) <= (await until(updates)).keys()
        assert await program.interrupt() == 0
        assert "delivered" in program.log
