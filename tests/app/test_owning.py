"""Which units there are, while the group decides anew and the worker stops."""

import asyncio
from pathlib import Path

import pytest

from schemas.topics import TopicNames
from streams.app.faust.app import create_app
from streams.app.owned_units import OwnedUnits
from streams.app.settings import Settings
from streams.kafka.connection import KafkaConnection
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.units.unit import FENCE_GRACE


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


class StuckUnit(SlowUnit):
    """A unit whose transaction is not answered until the test says so."""

    def __init__(self, state: PartitionState) -> None:
        super().__init__(state)
        self.answered = asyncio.Event()
        self.resumed = 0

    def resume(self) -> None:
        self.resumed += 1

    async def close(self) -> None:
        await self.answered.wait()
        self.at_work = False


async def test_a_transaction_without_an_answer_holds_up_no_other_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others begin and go on; its own one, should it come back, waits until the answer is there."""
    monkeypatch.setattr("streams.app.owned_units.SUSPENSION", 0.05)
    settings = Settings(data_dir=tmp_path, partitions=3)
    replica = Replica(KafkaConnection("localhost:9"), TopicNames.of(settings), 3, follows=False)
    made: list[StuckUnit] = []

    def new_unit(state: PartitionState) -> StuckUnit:
        made.append(StuckUnit(state))
        return made[-1]

    owned = OwnedUnits(replica, new_unit)  # type: ignore[arg-type]
    await owned.own({0, 1})
    async with asyncio.timeout(5):
        await owned.own({1, 2})
    assert made[0].at_work
    assert made[1].resumed == 1
    assert owned.units.keys() == {1, 2}
    again = asyncio.create_task(owned.own({0, 1, 2}))
    await asyncio.sleep(0.1)
    assert not again.done()
    made[0].answered.set()
    await again
    assert [unit.partition for unit in made] == [0, 1, 2, 0]
    for unit in made:
        unit.answered.set()
    await owned.close()
    assert not any(unit.at_work for unit in made)


def test_the_group_has_its_say_before_a_fenced_unit_ends_the_process(tmp_path: Path) -> None:
    """A member hears with a heartbeat that its name was taken: two fit into the grace of a fenced unit."""
    app = create_app(Settings(data_dir=tmp_path), KafkaConnection())
    assert 2 * app.conf.broker_heartbeat_interval <= FENCE_GRACE
