"""How fresh and how complete the state behind an answer is."""

from typing import Protocol, TypedDict

from schemas.answers.trends import PartitionState, Window
from streams.web.access.errors import QuestionError, UnavailableError, UnknownError


class Freshness(Protocol):
    """What the API asks before it answers; see `streams.state.replica.Replica`."""

    def as_of(self) -> list[PartitionState]:
        """Tell for each partition how far its state is."""

    @property
    def complete(self) -> bool:
        """Tell whether every partition's state is here, and Kafka answers."""

    @property
    def behind(self) -> list[int]:
        """Give the partitions that are not loaded, or whose uploads wait and make no progress."""


class LateFreshness:
    """Freshness of a state that is made only after the API has begun to listen.

    Attributes:
        source: Whom to ask; None until the partitions are known.
    """

    def __init__(self) -> None:
        self.source: Freshness | None = None

    def as_of(self) -> list[PartitionState]:
        """Tell for each partition how far its state is; none is known at first."""
        return self.source.as_of() if self.source else []

    @property
    def complete(self) -> bool:
        """Tell whether every partition's state is here."""
        return self.source is not None and self.source.complete

    @property
    def behind(self) -> list[int]:
        """Give the partitions that are behind."""
        return self.source.behind if self.source else []


ALWAYS = Window("all", None, None)
_SOON = {"retry-after": "2"}  # seconds


class Provenance(TypedDict):
    """The fields that `schemas.answers.trends.Answer` has."""

    window: Window
    as_of: list[PartitionState]
    complete: bool
    behind: list[int]


def provenance(freshness: Freshness, window: Window = ALWAYS) -> Provenance:
    """Give the fields that every answer has: `Answer(**provenance(…), …)`."""
    return Provenance(
        window=window,
        as_of=freshness.as_of(),
        complete=freshness.complete,
        behind=freshness.behind,
    )


def not_found(known: Provenance, code: str, message: str) -> QuestionError:
    """Give the reason why something was not found: it is not there, or may be in what is not loaded yet.

    Args:
        known: How complete the state was that it was looked for in.
        code: Says what is unknown, if all of the state is here.
        message: Likewise.
    """
    if known["complete"]:
        return UnknownError(code, message)
    if known["as_of"] and all(state.ready and state.lag is None for state in known["as_of"]):
        reason = "not found so far, but Kafka does not answer, so that it may be newer; ask again in a moment"
        return UnavailableError("kafka_away", reason, _SOON)
    missing = [str(state.partition) for state in known["as_of"] if not state.ready]
    lacks = ("partitions " if missing[1:] else "partition ") + ", ".join(missing) if missing else "the state"
    verb = "are" if missing[1:] else "is"
    reason = f"not found so far, but {lacks} {verb} still being loaded; ask again in a moment"
    return UnavailableError("loading", reason, _SOON)
