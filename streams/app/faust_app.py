"""The Faust application: who owns which partition, and which tables there are.

Faust keeps the group membership, the assignment and the tables. It does not deliver: each owned partition has
a unit of work that reads the log by itself (docs/decisions/0001-units-read-the-log.md).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from faust.types import TP

from schemas.errors import SettingsError
from schemas.topics import TABLES, TopicNames
from streams.app.faust_options import faust_options
from streams.app.settings import Settings, variable
from streams.app.tables import LedgerTable, LedgerTableManager
from streams.kafka.connection import KafkaConnection
from streams.kafka.membership import Membership
from streams.kafka.partition_log import PartitionLog
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.units.ledger import Ledger
from streams.units.unit import Pace, Unit, Work

log = logging.getLogger(__name__)

_HELP = {
    "images": "State of each image: tags, scores, owner, event time, version, cause.",
    "trends": "Images per tag: all time, and by minute, hour and day of the event time.",
    "interests": "Images per tag of each user, by day of the event time.",
    "retries": "Events whose source was busy, with the time at which they are tried again.",
    "meta": "@offset of each partition: how far its log is folded in.",
}
_FOR_EVER = 10**9  # seconds; Faust's consumer is paused on purpose and must not be taken for hung


class Tagstream(faust.App):  # type: ignore[misc]  # Faust is untyped here
    """Owns partitions, and one unit of work for each.

    Attributes:
        units: The unit of each owned partition.
        assigned: Set once the group has said which partitions are ours.
    """

    logger = logging.getLogger("faust.tagstream")

    def __init__(  # noqa: ANN204 - untyped as its base
        self,
        *args: Any,  # noqa: ANN401
        replica: Replica,
        new_unit: Callable[[PartitionState], Unit],
        membership: Membership,
        on_taken: Callable[[], None],
        **kwargs: Any,  # noqa: ANN401
    ):
        super().__init__(*args, **kwargs)
        self.units: dict[int, Unit] = {}
        self._replica = replica
        self._new_unit = new_unit
        self._membership = membership
        self._on_taken = on_taken
        self.uploads_topic = ""
        self.assigned = asyncio.Event()
        self._joins_again = True  # once, if the first assignment is empty
        self._owning = asyncio.Lock()
        self._closing = False

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        if not self._member_id and await self._membership.taken():
            self._on_taken()
        # Only a pause: most partitions come back at once, and a fence guards those that do not.
        await asyncio.gather(*(unit.suspend() for unit in self.units.values()))
        await super()._on_partitions_revoked(revoked)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._membership.member_id = self._member_id
        if not self.should_stop:
            await self._own({tp.partition for tp in assigned if tp.topic == self.uploads_topic})
        await super()._on_partitions_assigned(assigned, generation_id)
        if self._joins_again and not assigned:
            self._join_again()
        self._joins_again = False

    def _join_again(self) -> None:
        """Let the group decide anew, if we lead it.

        A static member that is back gets what it had, without a rebalance. That was nothing where the upload
        topic was away when it ended, and nobody else would notice that the topic is there now.
        """
        thread = self.consumer._thread  # noqa: SLF001 - aiokafka's own call for it, in the thread that may make it
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)  # noqa: SLF001

    @property
    def _member_id(self) -> str:
        """Give our id in the group; empty where the broker does not know us, or not any more."""
        return str(self.consumer._thread._consumer._coordinator.member_id)  # noqa: SLF001 - nobody else tells

    async def _own(self, partitions: set[int]) -> None:
        async with self._owning:  # a state that is given back and taken at once would have two who feed it
            await self._move(set() if self._closing else partitions)

    async def _move(self, partitions: set[int]) -> None:
        gone = [self.units.pop(partition) for partition in self.units.keys() - partitions]
        await asyncio.gather(*(unit.close() for unit in gone))
        for unit in gone:
            self._replica.give_back(unit.partition)
        for partition in sorted(partitions - self.units.keys()):
            self.units[partition] = self._new_unit(self._replica.take(partition))
            self.units[partition].start()
        for unit in self.units.values():
            unit.resume()
        for name in TABLES:
            self.tables[name].data.partitions = {
                partition: unit.books.state.rows[name] for partition, unit in self.units.items()
            }
        self.assigned.set()
        log.info("owning partitions %s", sorted(partitions))

    async def close_units(self) -> None:
        """Let go of every partition, and take none any more."""
        self._closing = True
        await self._own(set())


def create_app(settings: Settings, connection: KafkaConnection, replica: Replica, work: Work) -> Tagstream:
    """Wire the application; nothing runs yet."""
    names = TopicNames.of(settings)
    pace = Pace(
        max_in_flight=settings.max_in_flight,
        max_transaction=settings.max_transaction,
        commit_interval=settings.commit_interval,
        backlog_interval=settings.backlog_interval,
        max_retries=settings.max_retries,
    )

    def new_unit(state: PartitionState) -> Unit:
        return Unit(
            state.partition,
            lambda: PartitionLog(connection, names.uploads, state.partition),
            Ledger(connection, names, state),
            work,
            pace,
        )

    def give_way() -> None:
        rule = f"another worker came into group {settings.app_id!r} under this name and has taken its place"
        cure = "give each worker a name of its own"
        fault = f"{variable('instance_id')}={settings.group_instance_id!r}: {rule}; {cure}"
        work.doom("membership", SettingsError(fault))

    app = Tagstream(
        settings.app_id,
        replica=replica,
        new_unit=new_unit,
        membership=Membership(connection, settings.app_id, settings.group_instance_id),
        on_taken=give_way,
        **faust_options(connection),
        Table=LedgerTable,
        TableManager=LedgerTableManager,
        datadir=settings.data_dir / "faust",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
        broker_max_poll_interval=_FOR_EVER,
        consumer_group_instance_id=settings.group_instance_id,
        consumer_max_fetch_size=1,  # what Faust fetches is never looked at
    )
    app.uploads_topic = names.uploads
    app.topics.add(app.topic(names.uploads, key_type=bytes, value_type=bytes, acks=False))
    for name in TABLES:
        app.Table(name, help=_HELP[name], key_type=str)
    return app
