"""A source that fails once: when it is asked again at once."""

import msgspec
import pytest
from support.fakes import record

from schemas.results import ModelInfo
from schemas.uploads import UploadData
from streams.fetch.errors import SourceBusyError
from streams.fetch.fetcher import Fetched
from streams.fold.outcomes import Deferred, Outcome, Tagged
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.pool import TaggedImage
from streams.tag.stub import StubTagger
from streams.units.order import Turn

OFFER = Offer({"imagga_tagging": ModelInfo("stub", "1")}, ("imagga_tagging",))
EVENT = msgspec.json.encode(UploadData(public_id="img", url="http://h/1.jpg"))


class Hiccup:
    """A source that fails once."""

    def __init__(self, error: SourceBusyError) -> None:
        self.turn = Turn()
        self.attempts = 0
        self._error = error

    async def fetch(self, _: str, _tenant: str, /) -> Fetched:
        self.attempts += 1
        if self.attempts == 1:
            raise self._error
        return Fetched(b'{"koala": 0.9}', 0.0)

    async def outcome(self) -> Outcome:
        return await Categorizer(self, StubTagger(), OFFER).outcome(
            record(value=EVENT), {"images": {}}, _predecessors, self.turn
        )


async def _predecessors() -> None:
    """Every record before is folded in."""


async def test_a_hiccup_is_asked_again() -> None:
    """The second attempt follows soon."""
    hiccup = Hiccup(SourceBusyError("http_503", "status 503"))
    assert isinstance(await hiccup.outcome(), Tagged)
    assert hiccup.attempts == 2


@pytest.mark.parametrize(
    "error", [SourceBusyError("timeout", "no answer"), SourceBusyError("http_429", "status 429", 30.0)]
)
async def test_a_source_that_needs_time_is_given_time(error: SourceBusyError) -> None:
    """After a timeout, or where it names a delay, there is no second attempt at once."""
    hiccup = Hiccup(error)
    outcome = await hiccup.outcome()
    assert isinstance(outcome, Deferred)
    assert outcome.fault.reason == error.code
    assert hiccup.attempts == 1


class Steady:
    """A source that always answers."""

    async def fetch(self, _: str, _tenant: str, /) -> Fetched:
        return Fetched(b"{}", 0.0)


class BrokenTagger:
    """Taggers none of which can work now."""

    async def tag(self, *_: object, **__: object) -> TaggedImage:
        raise MemoryError


async def test_a_fault_of_ours_may_pass() -> None:
    """A worker that lacks memory now says nothing against the image: it is tried again later."""
    event = record(value=EVENT)
    outcome = await Categorizer(Steady(), BrokenTagger(), OFFER).outcome(event, {}, _predecessors, Turn())
    assert isinstance(outcome, Deferred)
    assert (outcome.fault.reason, outcome.fault.stage, outcome.fault.retryable) == (
        "internal_error",
        "decode",
        True,
    )
    assert outcome.upload is not None
