"""The Faust application: its topic, its tables, its agent, and who owns which partition.

Faust keeps the group membership, the assignment, the tables and the agent. It does not deliver: each owned
partition has a unit that reads the log by itself (docs/decisions/0001-units-read-the-log.md), and
hands the agent each micro-batch that is done.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from faust.types import TP

from schemas.topics import TABLES, TopicNames
from streams.app.faust.channel import CommitRequest, MicroBatchChannel
from streams.app.faust.options import faust_options
from streams.app.faust.tables import LedgerTable, LedgerTableManager
from streams.app.owned_units import OwnedUnits
from streams.app.settings import Settings
from streams.kafka.connection import KafkaConnection
from streams.kafka.groups.membership import Membership
from streams.units.micro_batch import fold_and_commit

_HELP = {
    "images": "State of each image: tags, scores, owner, event time, version, cause.",
    "trends": "Images per tag: all time, and by minute, hour and day of the event time.",
    "interests": "Images per tag of each user, by day of the event time.",
    "retries": "Events whose source was busy, with the time at which they are tried again.",
    "meta": "@offset of each partition: how far its log is folded in.",
}
_FOR_EVER = 10**9  # seconds; Faust's consumer is paused on purpose and must not be taken for hung


class Tagstream(faust.App):  # type: ignore[misc]  # Faust is untyped here
    """Owns partitions as the group decides.

    Attributes:
        names: The topics.
        micro_batches: What the units request to the agent.
        assigned: Set once the group has said which partitions are ours.
    """

    logger = logging.getLogger("faust.tagstream")

    def __init__(  # noqa: ANN204 - untyped as its base
        self,
        *args: Any,  # noqa: ANN401
        settings: Settings,
        connection: KafkaConnection,
        **kwargs: Any,  # noqa: ANN401
    ):
        super().__init__(*args, **kwargs)
        self.settings = settings
        self.connection = connection
        self.names = TopicNames.of(settings)
        self.micro_batches = MicroBatchChannel(self, self.names.upload_log)
        self.assigned = asyncio.Event()
        self._membership = Membership(connection, settings.app_id, settings.group_instance_id)
        self._owned: OwnedUnits | None = None
        self._on_taken: Callable[[], None] = lambda: None
        self._joins_again = True  # once, if the first assignment is empty

    def work_with(self, owned: OwnedUnits, on_taken: Callable[[], None]) -> None:
        """Say who works on the partitions that are ours, before the start and in its event loop.

        Args:
            owned: Their units.
            on_taken: Called when another worker of our name has taken our place in the group.
        """
        self._owned, self._on_taken = owned, on_taken
        self.loop = self.topics.loop = asyncio.get_running_loop()  # the topics took another one when made

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        if not self._member_id and await self._membership.taken():
            self._on_taken()
        if self._owned is not None:
            await self._owned.suspend()
        await super()._on_partitions_revoked(revoked)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._membership.member_id = self._member_id
        if self._owned is not None and not self.should_stop:
            await self._owned.own({tp.partition for tp in assigned if tp.topic == self.names.upload_log})
            self._show_rows(self._owned)
            self.assigned.set()
        await super()._on_partitions_assigned(assigned, generation_id)
        if self._joins_again and not assigned:
            self._join_again()
        self._joins_again = False

    def _show_rows(self, owned: OwnedUnits) -> None:
        for name in TABLES:
            self.tables[name].data.partitions = {
                partition: unit.state.rows[name] for partition, unit in owned.units.items()
            }

    def _join_again(self) -> None:
        """Let the group decide anew, if we lead it.

        A static member that is back gets what it had, without a rebalance. That was nothing where the upload
        topic was away when it ended, and nobody else would notice that the topic is there now.
        """
        thread = self.consumer._thread  # noqa: SLF001 - aiokafka's own call for it, in the thread that may make it
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)  # noqa: SLF001

    @property
    def _member_id(self) -> str:
        """Our id in the group; empty where the broker does not know us, or not any more."""
        return str(self.consumer._thread._consumer._coordinator.member_id)  # noqa: SLF001 - nobody else tells


def create_app(settings: Settings, connection: KafkaConnection) -> Tagstream:
    """The application with its topic, tables and agent; nothing runs yet."""
    app = Tagstream(
        settings.app_id,
        settings=settings,
        connection=connection,
        **faust_options(connection),
        Table=LedgerTable,
        TableManager=LedgerTableManager,
        Worker="streams.app.faust_worker.FaustWorker",
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
    app.topics.add(app.topic(app.names.upload_log, key_type=bytes, value_type=bytes, acks=False))
    for name in TABLES:
        app.Table(name, help=_HELP[name], key_type=str)

    @app.agent(app.micro_batches, name="streams.app.commit_outcomes", concurrency=settings.partitions)  # type: ignore[untyped-decorator]
    async def commit_outcomes(requests: faust.Stream[CommitRequest]) -> None:
        """Fold each micro-batch of outcomes; commit results, tag-updates, dead letters, rows and offset."""
        async for request in requests:
            await request.answer(fold_and_commit(request.batch))

    return app
