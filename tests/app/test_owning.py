"""Which units there are, while the group decides anew and the worker stops."""

import asyncio
from pathlib import Path

from schemas.topics import TopicNames
from streams.app.owned_units import OwnedUnits
from streams.app.settings import Settings
from streams.kafka.connection import KafkaConnection
from streams.state.partition import PartitionState
from streams.state.replica import Replica


class SlowUnit:
    """A unit that takes its time to close."""

    def __init__(self, state: PartitionState) -> None:
        self.partition = state.partition
        self.at_work = False

    def start(self) -> None:
        self.at_work = True

    def resume(self) -> None:
        """It was not suspended."""

    async def close(self) -> None:
        await asyncio.sleep(0.02)
        self.at_work = False


async def test_nothing_is_taken_while_a_worker_stops(tmp_path: Path) -> None:
    """A rebalance that ends meanwhile would start units that nobody closes, on states given back."""
    settings = Settings(data_dir=tmp_path, partitions=2)
    connection = KafkaConnection("localhost:9")
    replica = Replica(connection, TopicNames.of(settings), 2, follows=False)
    made: list[SlowUnit] = []

    def new_unit(state: PartitionState) -> SlowUnit:
        made.append(SlowUnit(state))
        return made[-1]

    owned = OwnedUnits(replica, new_unit)  # type: ignore[arg-type]
    await owned.own({0, 1})
    assert [unit.at_work for unit in made] == [True, True]
    stopping = asyncio.create_task(owned.close())
    await asyncio.sleep(0.005)
    await owned.own({0, 1})
    await stopping
    await owned.own({0, 1})
    assert [unit.at_work for unit in made] == [False, False]
    assert not owned.units
