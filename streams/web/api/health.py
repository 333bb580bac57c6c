"""Whether the worker is alive, and whether it works on uploads."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from schemas.answers.trends import Health, PartitionState
from schemas.times import utc_datetime
from streams.tag.rules_watch import RulesWatch
from streams.web.api.routes import NoParameters, Reply, Route


class CommittedState(Protocol):
    """How far a partition's state is: see `streams.state.partition.PartitionState`."""

    @property
    def next_offset(self) -> int:
        """The first offset of the source partition that is not folded in."""

    @property
    def event_time(self) -> int | None:
        """The latest event time that was folded in, in milliseconds."""


class Unit(Protocol):
    """A partition in work: see `streams.units.unit.Unit`."""

    @property
    def partition(self) -> int:
        """The number of the partition."""

    @property
    def is_ready(self) -> bool:
        """Whether it reads its log."""

    @property
    def end_offset(self) -> int | None:
        """The end of its log, as last heard; None: not heard yet."""

    @property
    def state(self) -> CommittedState:
        """What it has committed."""


class Worker(Protocol):
    """Whose health it is: see `streams.app.worker.Worker`."""

    @property
    def status(self) -> str:
        """Give what the worker does: starting, waiting for Kafka, ready, stopping."""

    @property
    def rules(self) -> RulesWatch | None:
        """Give the rules for tags; None before they are read."""

    @property
    def units(self) -> Mapping[int, Unit]:
        """Give the partitions in work."""


class HealthRoutes:
    """Answers for one worker, also while Kafka is away."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/healthz", NoParameters, Health, self.healthz, needs_state=False, open=True),
            Route("/readyz", NoParameters, Health, self.readyz, {503: Health}, needs_state=False, open=True),
        ]

    async def healthz(self, _question: NoParameters) -> Health:
        """Tell that the process and its event loop are alive."""
        return self._health()

    async def readyz(self, _question: NoParameters) -> Health | Reply:
        """Tell whether uploads are being worked on: 200, or 503 with the reason in `status`."""
        health = self._health()
        loaded = all(state.ready for state in health.partitions)
        if health.status == "ready" and not loaded:
            health = msgspec.structs.replace(health, status="loading state")
        return health if health.status == "ready" else Reply(health, 503)

    def _health(self) -> Health:
        units, rules = self._worker.units, self._worker.rules
        states = [_state(unit) for _, unit in sorted(units.items())]
        if rules is None:
            return Health(self._worker.status, states)
        return Health(self._worker.status, states, rules.current.hash, rules.error)


def for_strangers(answer: msgspec.Struct | Reply) -> msgspec.Struct | Reply:
    """Give what somebody without a token is told: of the health, the status alone."""
    told = answer.answer if isinstance(answer, Reply) else answer
    told = Health(told.status, []) if isinstance(told, Health) else told
    return Reply(told, answer.status) if isinstance(answer, Reply) else told


def _state(unit: Unit) -> PartitionState:
    state, end = unit.state, unit.end_offset
    lag = None if end is None else max(end - state.next_offset, 0)
    at = None if state.event_time is None else utc_datetime(state.event_time)
    return PartitionState(unit.partition, unit.is_ready, state.next_offset, lag, at)
