"""The moment that is exported: between two transactions, whatever order the ends of topics are told in."""

from collections.abc import Collection, Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from streams.export import cut
from streams.export.cut import find_cut

IMAGES, COUNTS = (TopicPartition(topic, 0) for topic in ("images", "counts"))


class Looks:
    """A consumer that is told one pair of ends after the other, the last one for ever."""

    def __init__(self, *ends: tuple[int, int]) -> None:
        self._ends = iter(ends)
        self._last = ends[0]

    async def end_offsets(self, _places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self._last = next(self._ends, self._last)
        return dict(zip((IMAGES, COUNTS), self._last, strict=True))


async def cut_of(stable: Iterator[tuple[int, int]], ends: Iterator[tuple[int, int]]) -> tuple[int, int]:
    found = await find_cut(Looks(*stable), Looks(*ends), [IMAGES, COUNTS])
    return found[IMAGES], found[COUNTS]


async def test_at_rest() -> None:
    """Two looks that are alike, and nothing open."""
    assert await cut_of(iter([(5, 7)]), iter([(5, 7)])) == (5, 7)


async def test_a_transaction_that_is_ending() -> None:
    """Its marker is in one topic and not yet in the other: its rows of that one would be missing."""
    stable, ends = [(9, 7), (9, 7), (9, 11), (9, 11)], [(9, 11)]
    assert await cut_of(iter(stable), iter(ends)) == (9, 11)


async def test_a_transaction_between_the_answers_of_two_topics() -> None:
    """One look has the first topic before it and the second behind it, and sees nothing open."""
    looks = [(5, 11), (9, 11), (9, 11)]
    assert await cut_of(iter(looks), iter(looks)) == (9, 11)


async def test_two_looks_that_are_alike_must_follow_each_other() -> None:
    """What was seen before an open transaction says nothing of the time behind it."""
    stable, ends = [(5, 7), (5, 7), (9, 11), (9, 11)], [(5, 7), (9, 11)]
    assert await cut_of(iter(stable), iter(ends)) == (9, 11)


async def test_never_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that hangs, or one always open, ends the export with the cure."""
    monkeypatch.setattr(cut, "_PATIENCE", 0.05)
    with pytest.raises(KafkaTimeoutError, match="partition 0: no moment without an open transaction"):
        await cut_of(iter([(5, 7)]), iter([(9, 11)]))
