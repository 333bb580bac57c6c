"""What waits for a stranger's server, and what does not."""

import msgspec
import pytest
from support.fakes import record

from schemas.results import ModelInfo
from schemas.uploads import Upload, UploadData
from streams.fetch.fetcher import Fetched
from streams.fold.outcomes import Deleted, Edited, Outcome, Rederived, Rejected, Stored, Tagged
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.order import Turn

OFFER = Offer({"imagga_tagging": ModelInfo("stub", "1")}, ("imagga_tagging",))


class Source:
    """A source that answers at once, and says nothing of its load."""

    async def fetch(self, _: str, _tenant: str, /) -> Fetched:
        return Fetched(b'{"koala": 0.9}', 0.0)


class NotedTurn(Turn):
    """Notes what a record says, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def is_about(self, image: str) -> None:
        self.said.append(f"about {image}")

    async def wait_for_source(self, _: Upload | None) -> None:
        self.said.append("waits")

    def go_on(self) -> None:
        self.said.append("goes on")


async def _predecessors() -> None:
    """Every record before is folded in."""


async def said_of(value: bytes) -> tuple[list[str], Outcome]:
    turn = NotedTurn()
    categorizer = Categorizer(Source(), StubTagger(), OFFER)
    outcome = await categorizer.outcome(record(value=value), {"images": {}}, _predecessors, turn)
    return turn.said, outcome


async def test_an_upload_says_its_image_before_it_waits() -> None:
    """Those behind it of the same image know whom they follow, however long its source takes."""
    said, outcome = await said_of(msgspec.json.encode(UploadData(public_id="img", url="http://h/1.jpg")))
    assert said == ["about img", "waits", "goes on"]
    assert isinstance(outcome, Tagged)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "image.deleted"}, Deleted),
        ({"type": "image.tags-edited", "added": ["x"]}, Edited),
        ({"type": "image.retag", "retag": "rules"}, Rederived),
        ({"url": "http://h/1.jpg", "categorization": []}, Stored),
        ({"url": "data:image/png;base64,AAAA"}, Tagged),
    ],
    ids=["deletion", "edit", "re-tag by rules", "no add-on", "data URL"],
)
async def test_what_needs_no_source_waits_for_none(event: dict[str, object], expected: type) -> None:
    """Others' hosts may be away for hours: none of these asks them anything."""
    said, outcome = await said_of(msgspec.json.encode({"public_id": "img"} | event))
    assert "waits" not in said
    assert said[0] == "about img"
    assert isinstance(outcome, expected)


async def test_what_cannot_be_parsed_is_about_no_image() -> None:
    """It waits for nobody."""
    said, outcome = await said_of(b"{")
    assert said == []
    assert isinstance(outcome, Rejected)
