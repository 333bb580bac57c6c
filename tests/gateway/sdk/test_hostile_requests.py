"""Whatever a stranger sends is refused with an answer that SDKs can read, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from support.examples import PHOTOS
from support.hostile.bodies import bodies
from support.hostile.caller import Caller
from support.hostile.fields import ANSWERED, fields
from support.hostile.files import files
from support.hostile.identities import identities
from support.hostile.imagga import imagga
from support.sdk.deployment import Gateway

OWNER = Gateway.caller
NEIGHBOUR = Caller("elsewhere", "elsewhere", "another-secret")
STRANGER = Caller(OWNER.cloud, OWNER.key, "a guess")
BROKEN = (
    "heads: ",
    "length: ",
    "chunks: ",
    "not HTTP",
    "method: BREW",
    "method: CONNECT",
)  # no HTTP, or too much of it
KINDS = (identities, bodies, fields, files, imagga)
PHOTO = (PHOTOS / "cat.jpg").read_bytes()
NAMES = [name for make in KINDS for name, _ in make(Gateway.caller, PHOTO)]


@pytest.fixture(scope="session")
def requests() -> dict[str, bytes]:
    """All requests by name, signed now."""
    return {name: request for make in KINDS for name, request in make(Gateway.caller, PHOTO)}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topic(gateway: Gateway) -> AsyncIterator["Topic"]:
    """The upload topic."""
    async with AIOKafkaConsumer(bootstrap_servers=gateway.cluster.bootstrap) as consumer:
        yield Topic(consumer, gateway)


class Topic:
    """Counts events."""

    def __init__(self, consumer: AIOKafkaConsumer, gateway: Gateway) -> None:
        uploads, partitions = gateway.cluster.names.uploads, range(gateway.cluster.partitions)
        self._consumer, self._places = consumer, [TopicPartition(uploads, number) for number in partitions]

    async def ends(self) -> dict[TopicPartition, int]:
        """How many records each partition has had."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._places)
        return ends


def test_there_are_many() -> None:
    """Each with a name of its own."""
    assert len(set(NAMES)) == len(NAMES) >= 300


@pytest.mark.kafka
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", NAMES)
async def test_refused(gateway: Gateway, topic: Topic, requests: dict[str, bytes], name: str) -> None:
    """No fault of ours, no object, no event; the reason is told as SDKs read it."""
    ends, stored = await topic.ends(), gateway.stored
    status, answer = await gateway.ask(requests[name])
    assert status < 500
    assert await topic.ends() == ends
    assert gateway.stored == stored
    if status and name.removeprefix("call: ") not in ANSWERED and not name.startswith("JSON of a search"):
        assert 400 <= status < 500, answer
        assert reason(name, answer)


def reason(name: str, answer: Any) -> str:  # noqa: ANN401 - JSON
    """Why a request is refused, where its client looks for it."""
    if name.startswith("imagga: ") or "/v2/" in name:
        assert answer["status"]["type"] == "error"
        return str(answer["status"]["text"])
    return str(answer["error"] if name.startswith(BROKEN) else answer["error"]["message"])


SIZE = len(PHOTO)
CHUNKS: dict[str, list[tuple[Caller, int, int, int]]] = {  # who sends which bytes, of how many
    "overlap": [(OWNER, 0, 9_999, SIZE), (OWNER, 5_000, 14_999, SIZE), (OWNER, 15_000, SIZE - 1, SIZE)],
    "two totals": [(OWNER, 0, 9_999, SIZE), (OWNER, 10_000, 19_999, 20_000)],
    "two totals, one of them unknown": [(OWNER, 0, 9_999, 20_000), (OWNER, 10_000, SIZE - 1, SIZE)],
    "a hole": [(OWNER, 0, 9_999, SIZE), (OWNER, 20_000, SIZE - 1, SIZE)],
    "no beginning": [(OWNER, 10_000, SIZE - 1, SIZE), (OWNER, 10_000, SIZE - 1, SIZE)],
    "two clouds": [(OWNER, 0, 9_999, SIZE), (NEIGHBOUR, 10_000, SIZE - 1, SIZE)],
    "nobody's second half": [(OWNER, 0, 9_999, SIZE), (STRANGER, 10_000, SIZE - 1, SIZE)],
    "the end first, of another file": [(OWNER, 10_000, 19_999, 20_000), (OWNER, 0, SIZE - 2, SIZE)],
}


@pytest.mark.kafka
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", CHUNKS)
async def test_chunks_that_make_no_file(gateway: Gateway, topic: Topic, name: str) -> None:
    """Nothing becomes of them: they are refused, or wait for others until they are swept."""
    ends, stored = await topic.ends(), gateway.stored
    for who, first, last, total in CHUNKS[name]:
        heads = (f"X-Unique-Upload-Id: {name}", f"Content-Range: bytes {first}-{last}/{total}")
        status, answer = await gateway.ask(who.upload(who.signed(), PHOTO[first : last + 1], *heads))
        assert status in {200, 400, 401}
        assert "error" in answer or answer["done"] is False
    assert await topic.ends() == ends
    assert {key for key in gateway.stored - stored if not key.startswith("_chunks/")} == set()


async def half_a_call(gateway: Gateway, sent: int, *, hung_up: bool) -> bytes:
    """What answers an upload of which only the head and so many bytes of the body come."""
    whole = gateway.caller.upload(gateway.caller.signed(("public_id", "late")), PHOTO)
    head = whole.index(b"\r\n\r\n") + 4
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(whole[: head + sent])
        await writer.drain()
        if hung_up:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 75)
    finally:
        writer.close()


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_bodies_that_stay_away(gateway: Gateway, topic: Topic) -> None:
    """Half a call is none: its connection ends within a minute, and neither object nor event is there."""
    ends, stored = await topic.ends(), gateway.stored
    calls = [half_a_call(gateway, sent, hung_up=up) for sent in (0, 200, 20_000) for up in (True, False)]
    for answer in await asyncio.gather(*calls):
        assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 420"))
    assert await topic.ends() == ends
    assert gateway.stored == stored
