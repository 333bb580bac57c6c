"""The role `tag`: a member of the group, which works on the partitions that the group gives it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from schemas.errors import SettingsError
from streams.app.assembly import fold_rules_of, open_categorizer, unit_maker
from streams.app.faust.app import Tagstream
from streams.app.owned_units import OwnedUnits
from streams.app.services.service import Spawn, WebPart
from streams.app.settings import variable
from streams.app.telemetry import WorkerTelemetry
from streams.state.replica import Replica
from streams.telemetry.tracing import Tracing
from streams.units.unit import Unit
from streams.units.work import Work

if TYPE_CHECKING:
    from streams.fetch.circuit_breakers import CircuitBreakers
    from streams.tag.looking import Looker
    from streams.tag.rules_watch import RulesWatch

log = logging.getLogger(__name__)

_STOP_DEADLINE = 10.0  # seconds that a graceful stop may take after its partitions are given back


class Tagging:
    """Tags uploads, by the Faust application.

    Attributes:
        rules: The rules for tags; None before they are read.
        looker: Looks at images that are no event; None before models are loaded.
        circuits: Those of the hosts that images are fetched from; None before models are loaded.
    """

    web = WebPart()

    def __init__(
        self,
        app: Tagstream,
        telemetry: WorkerTelemetry,
        tracing: Tracing,
        end_process: Callable[[str, BaseException], NoReturn],
        headers: Mapping[str, tuple[str, bytes]],
    ) -> None:
        """Prepare.

        Args:
            app: The Faust application.
            telemetry: Is told how it is doing.
            tracing: Begins spans.
            end_process: Ends the process, saying where it failed and why.
            headers: What records of a topic carry besides their own headers; it may change meanwhile.
        """
        self.rules: RulesWatch | None = None
        self.looker: Looker | None = None
        self.circuits: CircuitBreakers | None = None
        self._app = app
        self._telemetry = telemetry
        self._tracing = tracing
        self._end_process = end_process
        self._headers = headers
        self._work: Work | None = None
        self._owned: OwnedUnits | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def units(self) -> Mapping[int, Unit]:
        """The partitions in work."""
        return self._owned.units if self._owned else {}

    @property
    def waits_for(self) -> str | None:
        """The group's first word on what is ours."""
        return None if self._app.assigned.is_set() else "joining the group"

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Load models and rules.

        Raises:
            ManifestError: A model folder cannot be used.
            SettingsError: The allowed sources or the rules cannot be read.
        """
        self._telemetry.read_units(lambda: self.units)
        settings = self._app.settings
        categorizer, taggers = await open_categorizer(settings, stack, self._telemetry)
        self.rules, self.looker, self.circuits = taggers.rules, taggers.looker, taggers.circuits
        self._work = Work(
            categorizer=categorizer,
            rules=fold_rules_of(settings),
            commit=self._app.micro_batches.commit,
            end_process=self._end_process,
            meter=self._telemetry.units,
            tracing=self._tracing,
            overloaded=categorizer.is_overloaded,
            headers=self._headers,
        )

    async def start(self, replica: Replica, spawn: Spawn) -> None:
        """Join the group, and wait for partitions."""
        app = self._app
        if self._work is None:
            raise RuntimeError("it was not opened")
        maker = unit_maker(app.settings, app.connection, app.names, self._work)
        self._owned = OwnedUnits(replica, maker)
        app.work_with(self._owned, self._give_way)
        app.finalize()
        self._running = spawn(self._run_app())
        await app.assigned.wait()

    async def _run_app(self) -> None:
        await self._app.start()
        await self._app.wait_until_stopped()
        if not self._stopping:
            self._end_process("Faust stopped", self._app.crash_reason or RuntimeError("without a reason"))

    async def stop(self) -> None:
        """Finish the transactions under way, give the partitions back and leave."""
        self._stopping = True
        if self._owned is None or self._running is None:
            return
        log.info("stopping: giving the partitions back")
        await self._owned.close()
        self._running.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._app.stop(), _STOP_DEADLINE)
        log.info("stopped")

    def _give_way(self) -> None:
        settings = self._app.settings
        group, name = settings.app_id, settings.group_instance_id
        rule = f"another worker came into group {group!r} under this name and has taken its place"
        cure = "give each worker a name of its own"
        fault = SettingsError(f"{variable('instance_id')}={name!r}: {rule}; {cure}")
        self._end_process("membership", fault)
