"""What the role `tag` does where topics are copied to the log of the state: upload topics, and sources'."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import NoReturn

from schemas.sources.translate import Translator
from schemas.topics import TopicNames
from streams.app.services.membership import Membership
from streams.app.services.service import Spawn, WebPart
from streams.app.settings import Settings
from streams.app.telemetry import WorkerTelemetry
from streams.kafka.connection import KafkaConnection
from streams.repartition.input_partition import Repartitioning
from streams.repartition.service import RepartitionService
from streams.state.replica import Replica
from streams.units.unit import Unit


class RepartitioningUploads:
    """A share of the upload topics' partitions, as their group decides."""

    web = WebPart()

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        telemetry: WorkerTelemetry,
        units: Callable[[], Mapping[int, Unit]],
        end_process: Callable[[str, BaseException], NoReturn],
    ) -> None:
        """Prepare.

        Args:
            settings: The operator's.
            connection: How to reach Kafka.
            telemetry: Is told how much is not copied yet.
            units: Gives the partitions of the state in work.
            end_process: Ends the process, saying where it failed and why.
        """
        shared = Repartitioning(
            connection,
            TopicNames.of(settings),
            settings.partitions,
            settings.commit_interval,
            end_process,
            {topic: Translator(mapping) for topic, mapping in settings.mappings.items()},
            telemetry.sources,
        )
        self._units = units
        self._telemetry = telemetry
        self._service = RepartitionService(shared, self._folded)
        self._group = Membership("upload topics")

    @property
    def lag(self) -> int:
        """Records that are known of and not copied."""
        return sum(each.lag or 0 for each in list(self._service.inputs.values()))

    @property
    def waits_for(self) -> str | None:
        """The group's first word on what is ours."""
        return self._group.waits_for

    async def open(self, _stack: AsyncExitStack) -> None:
        """Have it told how far this is; nothing is needed before Kafka."""
        self._telemetry.read_repartitioning(lambda: self.lag)

    async def start(self, _replica: Replica, spawn: Spawn) -> None:
        """Join the group."""
        await self._group.join(self._service, spawn)

    async def stop(self) -> None:
        """Finish the transactions under way, give the partitions back and leave."""
        await self._group.leave()

    def _folded(self) -> dict[int, int]:
        return {
            partition: unit.state.next_offset for partition, unit in self._units().items() if unit.is_ready
        }
