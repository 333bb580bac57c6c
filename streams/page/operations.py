"""What operators look at: this worker's health with the doctor's checks, and the settings in force."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.answers.trends import PartitionState
from schemas.results import ModelInfo
from streams.kafka.checks.findings import Finding
from streams.page.publishing.events import FoldedState
from streams.page.requests import AnyRequest, caller_of
from streams.web.access.callers import Scope
from streams.web.access.refusals import ForbiddenError
from streams.web.api.health import Worker as ProbedWorker
from streams.web.replies import Json

_LEVELS = {"ok": "ok", "warn": "warning", "fail": "fault"}


class Worker(ProbedWorker, Protocol):
    """Whose health it is, with what only operators are told: see `streams.app.worker.Worker`."""

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The model behind each add-on."""

    @property
    def circuits(self) -> list[str] | None:
        """The hosts that are left alone; None: nothing is fetched here."""

    @property
    def findings(self) -> list[Finding] | None:
        """What the doctor's checks found; None: there was none yet."""


class ToldPartition(msgspec.Struct, frozen=True):
    """How far a partition is, and how many of its uploads wait for another try."""

    partition: int
    ready: bool
    next_offset: int
    lag: int | None
    retries: int
    owned: bool


class ToldModel(msgspec.Struct, frozen=True):
    """The model behind an add-on."""

    add_on: str
    model: str


class Check(msgspec.Struct, frozen=True):
    """What one of the doctor's checks found."""

    level: str
    text: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How this worker is."""

    status: str
    roles: list[str]
    partitions: list[ToldPartition]
    models: list[ToldModel]
    rules: str | None
    rules_error: str | None
    circuits: list[str] | None
    checks: list[Check] | None


class Setting(msgspec.Struct, frozen=True):
    """A setting; `said`: its value is another one than the default."""

    variable: str
    value: str
    description: str
    said: bool


class SettingsInForce(msgspec.Struct, frozen=True):
    """All settings."""

    settings: list[Setting]


class Operations:
    """Tells operators."""

    def __init__(
        self,
        worker: Worker,
        roles: Sequence[str],
        settings: Sequence[Setting],
        as_of: Callable[[], Sequence[PartitionState]],
    ) -> None:
        """Prepare.

        Args:
            worker: Whose health it is.
            roles: What it does.
            settings: Those in force.
            as_of: How far each partition is.
        """
        self.states = dict[int, FoldedState]()
        self._worker = worker
        self._roles = list(roles)
        self._settings = list(settings)
        self._as_of = as_of

    async def health(self, request: AnyRequest) -> Json:
        """Tell how the worker is.

        Raises:
            ForbiddenError: The caller is no operator.
        """
        _require_operator(request)
        worker, rules = self._worker, self._worker.rules
        health = Health(
            status=worker.status,
            roles=self._roles,
            partitions=[self._partition(state) for state in self._as_of()],
            models=[
                ToldModel(name, f"{model.name} {model.version}") for name, model in worker.models.items()
            ],
            rules=rules.current.hash if rules else None,
            rules_error=rules.error if rules else None,
            circuits=worker.circuits,
            checks=None if worker.findings is None else [_check(each) for each in worker.findings],
        )
        return Json(msgspec.json.encode(health))

    async def settings(self, request: AnyRequest) -> Json:
        """Tell the settings.

        Raises:
            ForbiddenError: The caller is no operator.
        """
        _require_operator(request)
        return Json(msgspec.json.encode(SettingsInForce(self._settings)))

    def _partition(self, state: PartitionState) -> ToldPartition:
        number = state.partition
        rows = self.states[number].rows if number in self.states else {}
        owned = number in self._worker.units
        return ToldPartition(
            number, state.ready, state.next_offset, state.lag, len(rows.get("retries", ())), owned
        )


def _require_operator(request: AnyRequest) -> None:
    caller = caller_of(request)
    caller.require(Scope.READ)
    if caller.tenants is not None:
        cure = "sign in with one that is for every tenant (`tagstream token new --tenant '*'`)"
        raise ForbiddenError("tenant_refused", f"this is about all tenants, and this token is not; {cure}")


def _check(finding: Finding) -> Check:
    text = ": ".join(filter(None, (finding.check, finding.value, finding.rule)))
    return Check(_LEVELS[finding.status], f"{text}; {finding.cure}" if finding.cure else text)
