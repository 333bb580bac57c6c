"""The doctor's checks while a worker runs: what has changed since it started would refuse its next start."""

import asyncio
import logging

from streams.app.checks.kafka import check_kafka
from streams.app.checks.local import check_machine
from streams.app.settings import Settings
from streams.kafka.checks.findings import Finding
from streams.kafka.connection import KafkaConnection

log = logging.getLogger(__name__)

_PATIENCE = 60.0  # seconds that all checks may take


class RepeatedChecks:
    """Checks again and again. Never ends a worker: what it finds is for metrics.

    Attributes:
        findings: Of the last time; None: there was none yet.
    """

    def __init__(self, connection: KafkaConnection, settings: Settings) -> None:
        self.findings: list[Finding] | None = None
        self._connection = connection
        self._settings = settings

    async def run(self) -> None:
        """Check every `check_interval` seconds, for ever."""
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self.findings = await self._check()
            except Exception as error:  # noqa: BLE001 - no check is worth a worker
                log.warning("the checks could not be made: %r", error)
            await asyncio.sleep(self._settings.check_interval)

    async def _check(self) -> list[Finding]:
        machine = await asyncio.to_thread(lambda: list(check_machine(self._settings)))
        return [*machine, *await check_kafka(self._connection, self._settings)]
