"""Events that ask for no add-on: nobody looks at their images."""

import msgspec
import pytest
from support.fakes import record

from schemas.results import ModelInfo
from schemas.uploads import UploadData, UploadType
from streams.fetch.fetcher import Fetched
from streams.fold.outcomes import Outcome, Stored, Tagged
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.order import Turn

OFFER = Offer({"imagga_tagging": ModelInfo("stub", "1")}, ("imagga_tagging",))


class Source:
    """A source that counts its callers."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, _: str, _tenant: str, /) -> Fetched:
        self.asked += 1
        return Fetched(b'{"koala": 0.9}', 0.0)


async def _predecessors() -> None:
    """Every record before is folded in."""


async def outcome(source: Source, **fields: object) -> Outcome:
    event = UploadData(public_id="img", url="http://h/1.jpg", **fields)  # type: ignore[arg-type]
    return await Categorizer(source, StubTagger(), OFFER).outcome(
        record(value=msgspec.json.encode(event)), {"images": {}}, _predecessors, Turn()
    )


@pytest.mark.parametrize("kind", [UploadType.UPLOADED, UploadType.UPDATED])
async def test_an_empty_list_fetches_nothing(kind: UploadType) -> None:
    """Neither the source nor a model is asked, also where the bytes would be no image."""
    source = Source()
    assert isinstance(await outcome(source, type=str(kind), categorization=[]), Stored)
    assert source.asked == 0


async def test_saying_nothing_asks_for_the_default() -> None:
    """An event without add-ons, or with a blank text, is tagged."""
    source = Source()
    assert isinstance(await outcome(source), Tagged)
    assert isinstance(await outcome(source, categorization=""), Tagged)
    assert source.asked == 2
