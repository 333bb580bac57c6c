"""What is committed, as the page is told of it: little, and never more than there is room for."""

import asyncio
from typing import Any

import msgspec
import pytest

from schemas.dead_letters import Fault
from streams.kafka.output_follower import OutputRecord
from streams.page.watching.feed import Watcher
from streams.page.watching.telling import Told, told_of

CATEGORIZATION = {
    "public_id": "koala",
    "user_id": "u1",
    "tenant": "acme",
    "tags": ["koala"],
    "info": {
        "categorization": {
            "a": {
                "status": "complete",
                "data": [{"tag": "koala", "confidence": 0.9}, {"tag": "tree", "confidence": 0.2}],
            },
            "b": {"status": "complete", "data": [{"tag": "tree", "confidence": 0.5}]},
        }
    },
    "timings_ms": {"fetch": 1, "decode": 2, "inference": 3, "total": 7.5},
    "cause": {"source": "s", "id": "e1", "type": "image.uploaded"},
}
UPDATE = {
    "resources": [{"public_id": "koala", "added": ["tree"], "removed": ["pond"]}],
    "tags": ["tree"],
    "cause": {"source": "s", "id": "e2", "type": "image.tags-edited"},
}
FAULT = Fault("http_404", "fetch", False, "SourceGoneError", "status 404 " + "x" * 1000)


def output(kind: Any, value: Any, fault: Fault | None = None) -> OutputRecord:  # noqa: ANN401 - as the record's
    structured = isinstance(value, bytes) and b"specversion" in value
    headers = [("content-type", b"application/cloudevents+json")] if structured else []
    return OutputRecord(kind, "key", value, headers, fault)


def test_a_result_is_told_with_its_best_tags() -> None:
    """Of all add-ons together, best first, with what it took."""
    told = told_of(output("categorization", CATEGORIZATION))
    assert (told.public_id, told.event_id, told.tenant, told.user_id) == ("koala", "e1", "acme", "u1")
    assert told.scores == [("koala", 0.9), ("tree", 0.5)]
    assert (told.tags, told.ms) == (["koala"], 7.5)


def test_a_change_of_tags_is_told() -> None:
    """What came, and what went."""
    told = told_of(output("tag-update", UPDATE))
    assert (told.added, told.removed, told.tenant) == (["tree"], ["pond"], "")


@pytest.mark.parametrize(
    ("value", "tenant", "public_id"),
    [
        (b'{"public_id":"x","tenant":"acme","url":"http://h"}', "acme", "x"),
        (b'{"public_id":"x","url":"http://h"}', "", "x"),
        (
            b'{"specversion":"1.0","id":"1","source":"s","type":"image.uploaded","data":{"public_id":"x"}}',
            "",
            "x",
        ),
        (b"\xff\xfe", None, "key"),
        (b"[" * 100_000, None, "key"),
        (None, None, "key"),
    ],
)
def test_whose_a_dead_letter_is(value: bytes | None, tenant: str | None, public_id: str) -> None:
    """As its event says, in either form; of one that cannot be read nobody knows."""
    told = told_of(output("dead-letter", value, FAULT))
    assert (told.tenant, told.public_id, told.reason) == (tenant, public_id, "http_404")
    assert len(told.message) == 300


def told(number: int) -> Told:
    return Told(kind="categorization", public_id=str(number), event_id="", tenant="")


async def test_whoever_is_slow_misses_the_oldest() -> None:
    """There is room for so many; what did not fit is counted once."""
    watcher = Watcher(lambda _: True, room=3)
    for number in range(10):
        watcher.offer(told(number), output("categorization", {}))
    assert [each.public_id for each, _ in await watcher.some(1)] == ["7", "8", "9"]
    assert (watcher.take_skipped(), watcher.take_skipped()) == (7, 0)


async def test_only_what_is_wanted_is_kept() -> None:
    """And nothing is waited for longer than one likes."""
    watcher = Watcher(lambda each: each.public_id == "2", room=3)
    for number in range(5):
        watcher.offer(told(number), output("categorization", {}))
    assert [each.public_id for each, _ in await watcher.some(1)] == ["2"]
    assert await watcher.some(0.01) == []


async def test_who_waits_is_let_go_at_the_end() -> None:
    """A stop of the worker waits for nobody who watches."""
    watcher = Watcher(lambda _: True, room=3)
    waiting = asyncio.create_task(watcher.some(60))
    await asyncio.sleep(0)
    watcher.close()
    assert await asyncio.wait_for(waiting, 1) == []
    assert watcher.closed


def test_little_is_told() -> None:
    """A result with a thousand tags is told in less than a kilobyte."""
    many = [{"tag": f"tag-{number}", "confidence": 0.5} for number in range(1000)]
    value = {**CATEGORIZATION, "tags": [each["tag"] for each in many]}
    value["info"] = {"categorization": {"a": {"status": "complete", "data": many}}}
    assert len(msgspec.json.encode(told_of(output("categorization", value)))) < 1000
