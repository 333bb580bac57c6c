"""Re-tags: other rules or another model, the same image; what people said stays, counts follow exactly."""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from support.fakes import NAMES, RULES

from schemas.dead_letters import read_fault
from schemas.results import ModelInfo
from schemas.uploads import Record, UploadData
from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.fetcher import Fetched
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Deferred, Done, Outcome, Output, Rederived, Tagged
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import RulesFile
from streams.state.partition import PartitionState
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.order import Turn

HOUR_MS = 3_600_000
PHOTO = b'{"koala": 0.9, "tree": 0.6, "web site": 0.5}'
URL = "http://h/koala.jpg"


def rules(**content: Any) -> Rules:  # noqa: ANN401 - rules
    return Rules(msgspec.convert({"threshold": 0.4} | content, RulesFile))


class World:
    """One partition from event to row: the real categorizer and fold, a stub tagger, photos in memory."""

    def __init__(self) -> None:
        self.state = PartitionState(0)
        self.rules = rules()
        self.models = dict.fromkeys(("imagga_tagging", "tagstream"), ModelInfo("stub", "1"))
        self.photos: dict[str, bytes | Exception] = {URL: PHOTO}
        self.fetched = 0
        self.offset = 0

    async def fetch(self, url: str, _tenant: str, /) -> Fetched:
        self.fetched += 1
        found = self.photos[url]
        if isinstance(found, Exception):
            raise found
        return Fetched(found, 0.0)

    async def compute(self, record: Record) -> Outcome:
        offer = Offer(self.models, ("imagga_tagging",))
        categorizer = Categorizer(self, StubTagger(), offer, lambda: self.rules)
        return await categorizer.outcome(record, self.state.rows, _predecessors, Turn())

    def record(self, **data: Any) -> Record:  # noqa: ANN401 - fields of the event
        self.offset += 1
        event = UploadData(**({"public_id": "img", "event_id": f"e{self.offset}"} | data))
        value = msgspec.json.encode(event)
        return Record(
            topic="t", partition=0, offset=self.offset, timestamp=86_400_000, key=b"img", value=value
        )

    def fold(self, record: Record, outcome: Outcome) -> list[Output]:
        changes = Changes(self.state.rows)
        fold(changes, Done(record, outcome), RULES)
        for table, key, value in changes.encoded():
            self.state.apply(table, key, value)
        return changes.outputs

    async def see(self, **data: Any) -> list[Output]:  # noqa: ANN401 - fields of the event
        """Handle the next event; return what it sends."""
        record = self.record(**data)
        return self.fold(record, await self.compute(record))

    async def upload(self, **data: Any) -> list[Output]:  # noqa: ANN401 - fields of the event
        return await self.see(**{"url": URL, "uploaded_at": "1970-01-01T01:00:00Z", "user_id": "ann"} | data)

    async def retag(self, mode: str = "rules", **data: Any) -> list[Output]:  # noqa: ANN401
        return await self.see(type="image.retag", retag=mode, **data)

    @property
    def image(self) -> Any:  # noqa: ANN401 - a row
        return orjson.loads(self.state.rows["images"]["img"])

    def counts(self, window: str = "all:0:") -> dict[str, int]:
        rows = {key: orjson.loads(row)["n"] for key, row in self.state.rows["trends"].items()}
        return {key.removeprefix(window): n for key, n in rows.items() if key.startswith(window)}

    def interests(self) -> list[dict[str, int]]:
        return [orjson.loads(row)["t"] for row in self.state.rows["interests"].values()]


async def _predecessors() -> None:
    """Every record before is folded in."""


@pytest.fixture
async def world() -> World:
    world = World()
    await world.upload()
    return world


def updates(outputs: list[Output]) -> list[tuple[list[str], list[str]]]:
    found = [orjson.loads(output.value or b"") for output in outputs if output.topic == NAMES.tag_updates]
    return [(update["resources"][0]["added"], update["resources"][0]["removed"]) for update in found]


def topics(outputs: list[Output]) -> list[str]:
    return [output.topic for output in outputs]


async def test_other_rules_make_other_tags_without_a_look_at_the_image(world: World) -> None:
    """Threshold, renames and blocks; the counts move in the windows of the upload, and nothing is fetched."""
    world.rules = rules(threshold=0.55, rename={"koala": "bear"}, block=["web site"])
    outputs = await world.retag()
    assert world.fetched == 1
    assert updates(outputs) == [(["bear"], ["koala", "web site"])]
    assert topics(outputs) == [NAMES.tag_updates]
    assert orjson.loads(outputs[0].value or b"")["cause"]["type"] == "image.retag"
    for window in ("all:0:", "day:0:", "hour:3600:", "minute:3600:"):
        assert world.counts(window) == {"bear": 1, "tree": 1}
    assert world.interests() == [{"bear": 1, "tree": 1}]
    assert world.image["at"] == HOUR_MS
    assert world.image["rules"] == world.rules.hash == world.image["history"][-1]["rules"]


async def test_what_rules_hid_is_not_lost(world: World) -> None:
    """What taggers said is kept: when a rule goes, the tag that it hid comes back as it was."""
    before = world.image
    world.rules = rules(block=["koala", "tree"], rename={"web site": "page"})
    await world.retag()
    assert world.image["tags"] == ["page"]
    assert world.image["scores"] == {"imagga_tagging": [["page", 0.5]]}
    world.rules = rules()
    await world.retag()
    for name in ("tags", "by", "scores", "rules"):
        assert world.image[name] == before[name]
    assert "raw" not in world.image


async def test_what_taggers_said_is_kept_where_rules_held_from_the_beginning() -> None:
    """An image that was uploaded under rules is re-tagged without them as if there had been none."""
    world = World()
    world.rules = rules(block=["tree"], rename={"koala": "bear"})
    await world.upload()
    world.rules = rules()
    await world.retag()
    assert world.image["tags"] == ["koala", "tree", "web site"]
    assert world.counts() == {"koala": 1, "tree": 1, "web site": 1}


async def test_a_threshold_that_the_event_named_holds() -> None:
    """The rules' threshold stands in where the event named none, at the re-tag as at the upload."""
    world = World()
    await world.upload(auto_tagging=0.55)
    world.rules = rules(threshold=0.95)
    assert updates(await world.retag()) == []
    assert world.image["tags"] == ["koala", "tree"]


async def test_ten_re_tags_leave_people_s_word_alone(world: World) -> None:
    """What a person removed stays away, what one added stays, whatever the rules make of the rest."""
    await world.see(type="image.tags-edited", added=["zoo"], removed=["tree"], by="ann")
    for number in range(10):
        world.rules = rules(threshold=0.1 * (number % 3), rename={"koala": f"koala {number}"})
        world.models = dict.fromkeys(world.models, ModelInfo("stub", f"{number + 2}"))
        await world.retag("model" if number % 2 else "rules")
        assert world.image["tags"] == ["zoo", f"koala {number}", "web site"]
    assert world.counts() == {"zoo": 1, "koala 9": 1, "web site": 1}
    await world.see(type="image.tags-edited", added=["tree"], by="ann")
    assert dict(zip(world.image["tags"], world.image["by"], strict=True))["tree"] == [
        "people",
        "imagga_tagging",
    ]


async def test_a_re_tag_of_an_image_that_is_as_it_should_be_tells_nothing(world: World) -> None:
    """The row says that it happened; no count moves, and nothing is sent."""
    counts = dict(world.state.rows["trends"])
    assert await world.retag() == []
    assert world.image["cause"] == ["kafka:t", "e2", "image.retag"]
    assert world.state.rows["trends"] == counts


async def test_the_same_re_tag_twice_is_one(world: World) -> None:
    """Source and id are the idempotency key here, too."""
    await world.retag(event_id="run/img")
    before = world.image
    world.rules = rules(threshold=0.55)
    assert await world.retag(event_id="run/img") == []
    assert world.image == before


async def test_re_tags_do_not_push_uploads_out_of_memory(world: World) -> None:
    """The repeat of an upload is told after any number of re-tags."""
    for number in range(20):
        world.rules = rules(threshold=0.5 + number / 100)
        await world.retag()
    before = world.image
    assert await world.upload(event_id="e1") == []
    assert world.image == before


async def test_another_model_looks_again(world: World) -> None:
    """It fetches and infers; time, version and owner are the image's, in the row and in what is sent."""
    await world.upload(version=7, uploaded_at="1970-01-01T02:00:00Z", auto_tagging=0.55)
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    world.photos[URL] = b'{"koala": 0.9, "sky": 0.7, "tree": 0.5}'
    outputs = await world.retag("model")
    assert topics(outputs) == [NAMES.categorizations, NAMES.tag_updates]
    told = orjson.loads(outputs[0].value or b"")
    assert (told["version"], told["user_id"], told["uploaded_at"]) == (7, "ann", "1970-01-01T02:00:00Z")
    assert (told["tags"], told["model"]["version"]) == (["koala", "sky"], "2")
    assert told["cause"]["type"] == "image.retag"
    assert updates(outputs) == [(["sky"], ["tree"])]
    image = world.image
    assert (image["at"], image["version"], image["user"]) == (2 * HOUR_MS, 7, "ann")
    assert image["model"] == ["stub", "2"]
    assert world.counts("hour:7200:") == {"koala": 1, "sky": 1}


async def test_the_same_model_does_not_look_again(world: World) -> None:
    """A run that is resumed fetches nothing twice; the rules are applied all the same."""
    world.rules = rules(threshold=0.55)
    await world.retag("model")
    assert world.fetched == 1
    assert world.image["tags"] == ["koala", "tree"]


async def test_each_add_on_has_its_model() -> None:
    """A look is due where the model of any add-on of the image is another; those that are gone do not run."""
    world = World()
    await world.upload(categorization="imagga_tagging,tagstream")
    world.models["tagstream"] = ModelInfo("stub", "2")
    await world.retag("model")
    assert world.fetched == 2
    assert (world.image["model"], world.image["models"]) == (["stub", "1"], {"tagstream": ["stub", "2"]})
    await world.retag("model")
    assert world.fetched == 2
    del world.models["tagstream"]
    await world.retag("model")
    assert set(world.image["scores"]) == {"imagga_tagging"}
    assert "models" not in world.image


def newer_upload(world: World) -> Record:
    return world.record(url=URL, uploaded_at="1970-01-01T03:00:00Z", user_id="bob")


def deletion(world: World) -> Record:
    return world.record(type="image.deleted", uploaded_at="1970-01-01T03:00:00Z")


@pytest.mark.parametrize("newer", [newer_upload, deletion])
async def test_what_comes_after_a_look_began_wins(world: World, newer: Callable[[World], Record]) -> None:
    """The image was uploaded anew, or deleted, while the re-tag fetched it: the re-tag changes nothing."""
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    retag = world.record(type="image.retag", retag="model")
    old_look = await world.compute(retag)
    assert isinstance(old_look, Tagged)
    world.photos[URL] = b'{"sky": 0.9}'
    change = newer(world)
    world.fold(change, await world.compute(change))
    before = world.image
    assert world.fold(retag, old_look) == []
    assert world.image == before


async def test_an_edit_while_a_re_tag_looks_counts_as_well(world: World) -> None:
    """Edits do not overtake re-tags, nor re-tags edits: both take effect."""
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    retag = world.record(type="image.retag", retag="model")
    look = await world.compute(retag)
    await world.see(type="image.tags-edited", removed=["tree"])
    world.fold(retag, look)
    assert world.image["model"] == ["stub", "2"]
    assert world.image["tags"] == ["koala", "web site"]


async def test_an_image_whose_source_is_gone_keeps_its_tags(world: World) -> None:
    """The re-tag is a dead letter; a source that is busy makes it wait."""
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    before = world.image
    world.photos[URL] = SourceGoneError("http_404", "gone")
    (letter,) = await world.retag("model")
    assert read_fault(letter.headers).reason == "http_404"
    world.photos[URL] = SourceBusyError("timeout", "busy")
    outcome = await world.compute(world.record(type="image.retag", retag="model"))
    assert isinstance(outcome, Deferred)
    assert outcome.upload is None
    assert world.image == before


async def test_an_image_without_a_url_cannot_be_looked_at_again() -> None:
    """It was given as a data URL, which is not kept; the letter says so. Rules need no look."""
    world = World()
    world.photos["data:,x"] = PHOTO
    await world.upload(url="data:,x")
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    (letter,) = await world.retag("model")
    assert read_fault(letter.headers).reason == "unknown_image"
    assert "`data:`" in read_fault(letter.headers).message
    assert updates(await world.retag(event_id="x")) == []
    assert world.image["cause"][1] == "x"


@pytest.mark.parametrize("mode", ["rules", "model"])
async def test_images_that_are_not_there(world: World, mode: str) -> None:
    """One that was never seen is a dead letter; one that was deleted stays so."""
    (letter,) = await world.retag(mode, public_id="typo")
    assert read_fault(letter.headers).reason == "unknown_image"
    await world.see(type="image.deleted", uploaded_at="1970-01-01T03:00:00Z")
    world.models = dict.fromkeys(world.models, ModelInfo("stub", "2"))
    assert await world.retag(mode) == []
    assert world.image["deleted"]


async def test_an_image_from_before_thresholds_were_kept_is_left_alone(world: World) -> None:
    """What its event asked for is not known: the rules alone are no reason to change its tags."""
    row = world.image
    del row["asked"]
    world.state.apply("images", "img", orjson.dumps(row))
    world.rules = rules(threshold=0.95)
    assert await world.retag() == []
    assert world.image["tags"] == ["koala", "tree", "web site"]


async def test_a_re_tag_is_no_news(world: World) -> None:
    """The latest event time that is told of stays that of the uploads and edits."""
    await world.retag(uploaded_at="2020-01-01T00:00:00Z")
    assert orjson.loads(world.state.rows["meta"]["@offset"])["at"] == HOUR_MS
    outcome = await world.compute(world.record(type="image.retag"))
    assert isinstance(outcome, Rederived)
