"""Reading the changelogs of partitions into their states, committed records only."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import TABLES, TopicNames
from streams.state.partition import PartitionState
from streams.state.turns import in_turns

log = logging.getLogger(__name__)

CHUNK = 200  # records asked for at once
PORTION = 16_384  # bytes of rows that are applied at once
_TURN = 0.002  # seconds that records are applied before the event loop gets a turn


def changelog_partitions(
    names: TopicNames, states: Iterable[PartitionState]
) -> dict[TopicPartition, tuple[PartitionState, str]]:
    """The changelog partitions of some states, each with its state and table."""
    return {
        TopicPartition(names.changelog(table), state.partition): (state, table)
        for state in states
        for table in TABLES
    }


async def catch_up(
    consumer: AIOKafkaConsumer,
    names: TopicNames,
    state: PartitionState,
    ends: Mapping[TopicPartition, int],
    clock: Callable[[], float] = time.time,
) -> None:
    """Read what the changelogs of a partition hold beyond the state's positions.

    Where the state turns out to be of another incarnation of the topics, or is too old, it is read anew.

    Args:
        consumer: Reads them, committed records only.
        names: What they are called.
        state: Whose rows are read.
        ends: How far to read: the logs' ends, not their last stable offsets. A broker answers the end of a
            transaction before it writes the markers, so what is committed may not be stable yet.
        clock: Seconds since the epoch.
    """
    while True:
        began = clock()
        forget_if_old(state, names, began)
        await _read_on(consumer, names, state, ends)
        state.fresh_at = began
        if not state.is_older_than(names.trusted_seconds, clock()):  # else we were suspended meanwhile
            state.loaded = True
            return


def forget_if_old(state: PartitionState, names: TopicNames, now: float) -> bool:
    """Clear a state that may miss the removal of a row: its mark may be compacted away by now."""
    if not state.is_older_than(names.trusted_seconds, now):
        return False
    log.warning(
        "partition %d: its state is %.0f s old, longer than the marks of removed rows are relied on "
        "(TAGSTREAM_KEEP_TOMBSTONES=%g days): reading the changelogs from their beginning",
        state.partition,
        now - (state.fresh_at or now),
        names.keep_tombstones,
    )
    state.clear()
    return True


async def _read_on(
    consumer: AIOKafkaConsumer,
    names: TopicNames,
    state: PartitionState,
    ends: Mapping[TopicPartition, int],
) -> None:
    places = changelog_partitions(names, [state])
    starts = await consumer.beginning_offsets(list(places))
    identity = state.identity
    if any(state.positions[table] > ends[place] for place, (_, table) in places.items()):
        state.clear()
    state.positions["meta"] = 0  # short, and it tells whose state this is
    await _read_to(consumer, places, starts, ends)
    if identity is not None and state.identity != identity:
        state.clear()
        await _read_to(consumer, places, starts, ends)


async def _read_to(
    consumer: AIOKafkaConsumer,
    places: dict[TopicPartition, tuple[PartitionState, str]],
    starts: dict[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> None:
    consumer.assign(list(places))
    for place, (state, table) in places.items():
        consumer.seek(place, max(state.positions[table], starts[place]))
    while [place for place in places if await consumer.position(place) < ends[place]]:
        batches = await consumer.getmany(timeout_ms=200, max_records=CHUNK)
        for place, messages in batches.items():
            await absorb(*places[place], messages)
        await asyncio.sleep(0)
    for place, (state, table) in places.items():
        state.positions[table] = await consumer.position(place)


async def absorb(
    state: PartitionState,
    table: str,
    messages: Sequence[ConsumerRecord],
    follows: Callable[[], bool] = lambda: True,
) -> None:
    """Apply records of a changelog, some at a time: a row may take an index a millisecond and more.

    Args:
        state: The partition's.
        table: Whose changelog it is.
        messages: The records.
        follows: Whether this is still ours to do; asked at each turn.
    """
    async for some in in_turns(_portions(messages), _TURN):
        if not follows():
            return
        state.apply_all(table, [(message.key.decode(), message.value) for message in some])
        state.positions[table] = some[-1].offset + 1


def _portions(messages: Sequence[ConsumerRecord]) -> Iterator[list[ConsumerRecord]]:
    portion: list[ConsumerRecord] = []
    size = 0
    for message in messages:
        size += len(message.value or b"")
        if portion and size > PORTION:
            yield portion
            portion, size = [], len(message.value or b"")
        portion.append(message)
    if portion:
        yield portion
