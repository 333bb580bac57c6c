"""When the state of all partitions counts as complete."""

import asyncio

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.state.replica import Replica


async def test_what_is_made_of_the_state_is_part_of_being_complete() -> None:
    """Answers are complete once every partition is told and what is made of them is made, and not before."""
    making, may_end = asyncio.Event(), asyncio.Event()
    ends = {0: 0, 1: 0}

    async def prepare() -> None:
        making.set()
        await may_end.wait()

    replica = Replica(KafkaConnection(), TopicNames("app"), 2, follows=True, prepare=prepare)
    telling = asyncio.create_task(replica._build_indexes())
    replica.states[0].loaded = True
    await asyncio.sleep(0.3)
    assert not making.is_set()
    replica.states[1].loaded = True
    await making.wait()
    replica._ends = ends  # Kafka answers
    assert all(fresh.ready for fresh in replica.as_of())
    assert not replica.complete
    may_end.set()
    while not replica.complete:
        await asyncio.sleep(0.01)
    replica._ends = {}
    assert not replica.complete, "nobody knows what has come while Kafka is away"
    telling.cancel()
