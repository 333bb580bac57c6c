"""The role `trends`: which tags begin to rise, are at their height and rise no longer."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import NoReturn

from schemas.topics import TopicNames
from streams.app.services.membership import Membership
from streams.app.services.service import Spawn, WebPart
from streams.app.settings import Settings
from streams.app.telemetry import WorkerTelemetry
from streams.kafka.admin import ensure_more_topics
from streams.kafka.connection import KafkaConnection
from streams.rises.service import RiseService
from streams.rises.unit import Judging
from streams.rises.watchlists import Watchlists
from streams.rises.windows import WINDOWS
from streams.state.replica import Replica


class TellingTrends:
    """Judges counts, as a member of a group of its own."""

    web = WebPart()

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        end_process: Callable[[str, BaseException], NoReturn],
        headers: Mapping[str, tuple[str, bytes]],
        telemetry: WorkerTelemetry,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._names = TopicNames.of(settings)
        self._end_process = end_process
        self._headers = headers
        self._telemetry = telemetry
        self._service: RiseService | None = None
        self._group = Membership("trends")

    @property
    def waits_for(self) -> str | None:
        """The group's first word on who judges."""
        return self._group.waits_for

    async def open(self, _stack: AsyncExitStack) -> None:
        """Read the watchlists.

        Raises:
            SettingsError: They cannot be read.
        """
        watchlists = await asyncio.to_thread(Watchlists.read, self._settings.watchlists)
        window = WINDOWS[self._settings.trends_window]
        judging = Judging(window, watchlists, self._end_process, self._headers, self._telemetry.rises)
        self._service = RiseService(self._connection, self._names, judging)
        self._telemetry.read_rises(self._service)

    async def start(self, _replica: Replica, spawn: Spawn) -> None:
        """Make the topics that are missing, and join the group."""
        if self._service is None:
            raise RuntimeError("it was not opened")
        await ensure_more_topics(self._connection, self._settings, self._names.trend_configs)
        await self._group.join(self._service, spawn)

    async def stop(self) -> None:
        """Leave the group."""
        await self._group.leave()
