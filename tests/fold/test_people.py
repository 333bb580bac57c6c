"""What people say of an image's tags outweighs taggers and uploads, in the tags and in every count."""

import random
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, done, edit, record, upload

from schemas.dead_letters import Fault, read_fault
from schemas.topics import MAX_RECORD_BYTES
from schemas.uploads import MAX_TAGS, Upload, UploadType
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Deferred, Done, Output
from streams.state.images.index import indexed_image
from streams.state.partition import PartitionState

HOUR_MS = 3_600_000
BUSY = Fault("http_503", "fetch", True, "SourceBusyError", "status 503")


class Partition:
    """One partition's state, fed event by event."""

    def __init__(self) -> None:
        self.state = PartitionState(0)
        self.offset = 0

    def see(self, event: Upload, **confidences: float) -> list[Output]:
        """Fold the next event of the log; return what it sends."""
        self.offset += 1
        return self.fold(done(self.offset, event, **confidences))

    def fold(self, event: Done) -> list[Output]:
        changes = Changes(self.state.rows)
        fold(changes, event, RULES)
        for table, key, value in changes.encoded():
            self.state.apply(table, key, value)
        return changes.outputs

    @property
    def image(self) -> Any:  # noqa: ANN401 - a row
        return orjson.loads(self.state.rows["images"]["img"])

    @property
    def tags(self) -> dict[str, list[str]]:
        """The image's tags with where they are from."""
        return dict(zip(self.image["tags"], self.image["by"], strict=True))

    def counts(self, window: str) -> dict[str, Any]:
        """What is counted: images and sources by tag."""
        rows = {key: orjson.loads(row) for key, row in self.state.rows["trends"].items()}
        return {
            key.split(":", 2)[2]: (row["n"], row["by"]) for key, row in rows.items() if key.startswith(window)
        }

    def interests(self) -> Counter[str]:
        rows = [orjson.loads(row)["t"] for row in self.state.rows["interests"].values()]
        return sum(map(Counter, rows), Counter())


def updates(outputs: list[Output]) -> list[tuple[list[str], list[str]]]:
    """The tag-updates among what was sent: what came, what went."""
    found = [orjson.loads(output.value or b"") for output in outputs if output.topic == NAMES.tag_updates]
    return [(update["resources"][0]["added"], update["resources"][0]["removed"]) for update in found]


def reasons(outputs: list[Output]) -> list[tuple[str, bool]]:
    faults = [read_fault(output.headers) for output in outputs if output.topic == NAMES.dead_letters]
    return [(fault.reason, fault.retryable) for fault in faults]


@pytest.fixture
def partition() -> Partition:
    """A koala by a tree, uploaded by ann in the second hour of 1970."""
    partition = Partition()
    partition.see(upload(event_id="first", user_id="ann"), koala=0.9, tree=0.8)
    return partition


def test_an_edit_changes_tags_and_counts_and_tells_of_it(partition: Partition) -> None:
    """What was removed goes, what was added comes, in every window of the upload's time and in interests."""
    outputs = partition.see(edit("e", added=["zoo"], removed=["tree"], by="bob"))
    assert partition.tags == {"zoo": ["people"], "koala": ["imagga_tagging"]}
    assert updates(outputs) == [(["zoo"], ["tree"])]
    assert {output.topic for output in outputs} == {NAMES.tag_updates}
    assert orjson.loads(outputs[0].value or b"")["cause"]["type"] == "image.tags-edited"
    for window in ("all:0:", "day:0:", "hour:3600:", "minute:3600:"):
        assert partition.counts(window) == {"zoo": (1, {"people": 1}), "koala": (1, {"imagga_tagging": 1})}
    assert partition.interests() == {"zoo": 1, "koala": 1}


@pytest.mark.parametrize("kind", [UploadType.UPLOADED, UploadType.UPDATED], ids=["a new upload", "an update"])
def test_edits_outlast_what_taggers_find_later(partition: Partition, kind: UploadType) -> None:
    """Neither another file under the same name nor a new categorization undoes what people said."""
    partition.see(edit("e", added=["zoo"], removed=["tree"], by="bob"))
    for number in range(3):
        event = upload(event_id=f"again-{number}", at=(3 + number) * HOUR_MS, kind=kind, user_id="ann")
        outputs = partition.see(event, tree=0.99, sky=0.9)
    assert partition.tags == {"zoo": ["people"], "sky": ["imagga_tagging"]}
    assert updates(outputs) == []
    assert partition.counts("all") == {"zoo": (1, {"people": 1}), "sky": (1, {"imagga_tagging": 1})}


def test_a_tag_that_came_with_the_image_can_be_removed_for_good(partition: Partition) -> None:
    """Even where the application publishes it again."""
    partition.see(upload(event_id="told", at=2 * HOUR_MS, tags=["holiday"]), koala=0.9)
    partition.see(edit("e", removed=["holiday"]))
    partition.see(upload(event_id="again", at=3 * HOUR_MS, tags=["holiday", "beach"]), koala=0.9)
    assert partition.tags == {"beach": ["own"], "koala": ["imagga_tagging"]}


def test_a_tag_that_both_give_is_both_s(partition: Partition) -> None:
    """A person confirms what a tagger found: it stays when the tagger changes its mind."""
    assert updates(partition.see(edit("e", added=["tree"]))) == []
    assert partition.tags["tree"] == ["people", "imagga_tagging"]
    assert partition.counts("all")["tree"] == (1, {"people": 1, "imagga_tagging": 1})
    partition.see(upload(event_id="again", at=3 * HOUR_MS), koala=0.9)
    assert partition.tags["tree"] == ["people"]
    assert partition.counts("all")["tree"] == (1, {"people": 1})


def test_a_person_may_change_their_mind(partition: Partition) -> None:
    """What was removed and is added again is the tagger's finding as well, as if nothing had been."""
    partition.see(edit("e1", removed=["tree"], at=2 * HOUR_MS))
    partition.see(edit("e2", added=["tree"], at=3 * HOUR_MS))
    assert partition.tags["tree"] == ["people", "imagga_tagging"]
    partition.see(edit("e3", removed=["tree"], at=4 * HOUR_MS))
    assert "tree" not in partition.tags
    assert partition.counts("all") == {"koala": (1, {"imagga_tagging": 1})}


def test_a_late_older_edit_leaves_a_newer_one_of_the_same_tag_alone(partition: Partition) -> None:
    """The latest event time counts tag by tag; what the late edit says of other tags counts."""
    partition.see(edit("new", removed=["tree"], at=5 * HOUR_MS))
    partition.see(edit("old", added=["tree", "zoo"], at=4 * HOUR_MS))
    assert partition.tags == {"zoo": ["people"], "koala": ["imagga_tagging"]}


def test_edits_and_uploads_are_ordered_apart(partition: Partition) -> None:
    """An edit that is older than the upload that is known counts all the same; versions say nothing of it."""
    partition.see(upload(event_id="v9", at=9 * HOUR_MS, version=9), koala=0.9, tree=0.8)
    partition.see(edit("e", removed=["tree"], at=5 * HOUR_MS, version=1))
    assert partition.tags == {"koala": ["imagga_tagging"]}
    assert partition.image["at"] == 9 * HOUR_MS
    assert partition.image["version"] == 9


def test_of_edits_of_one_moment_the_one_further_back_in_the_log_counts(partition: Partition) -> None:
    """Times are often whole seconds; an edit that waited aside does not overtake one behind it."""
    partition.see(edit("e1", added=["zoo"]))
    partition.see(edit("e2", removed=["zoo"]))
    assert "zoo" not in partition.tags
    partition.fold(done(1, edit("e0", added=["zoo"])))
    assert "zoo" not in partition.tags


def test_an_edit_that_comes_twice_counts_once(partition: Partition) -> None:
    """Source and id are the idempotency key: the repeat leaves no trace, whatever its event time."""
    partition.see(edit("e1", added=["zoo"]))
    partition.see(edit("e2", removed=["zoo"]))
    before = partition.image
    assert partition.see(edit("e1", added=["zoo"], at=9 * HOUR_MS)) == []
    assert partition.image == before


def test_edits_do_not_push_uploads_out_of_memory(partition: Partition) -> None:
    """The upload's repeat is told, however many edits came in between; the repeat of an edit as well."""
    for number in range(20):
        partition.see(edit(f"e{number}", added=[f"tag{number}"]))
    before = partition.image
    assert partition.see(upload(event_id="first", user_id="ann"), koala=0.9, tree=0.8) == []
    assert partition.see(edit("e13", removed=["koala"])) == []
    assert partition.image == before


def test_a_deletion_ends_edits(partition: Partition) -> None:
    """An image that comes back begins anew; an edit from before the deletion comes too late, even then."""
    partition.see(edit("e", added=["zoo"], removed=["tree"]))
    outputs = partition.see(upload(event_id="gone", at=5 * HOUR_MS, kind=UploadType.DELETED))
    assert updates(outputs) == [([], ["zoo", "koala"])]
    assert partition.counts("all") == {}
    assert partition.see(edit("late", added=["late"], at=4 * HOUR_MS)) == []
    partition.see(upload(event_id="back", at=6 * HOUR_MS), koala=0.9, tree=0.8)
    assert partition.see(edit("later", added=["late"], at=4 * HOUR_MS)) == []
    assert partition.tags == {"koala": ["imagga_tagging"], "tree": ["imagga_tagging"]}


def test_a_deletion_that_comes_late_ends_nothing(partition: Partition) -> None:
    """The image is known in a newer state: the deletion changes neither that nor what people said."""
    partition.see(edit("e", added=["zoo"]))
    partition.see(upload(event_id="gone", at=HOUR_MS - 1, kind=UploadType.DELETED))
    assert partition.tags["zoo"] == ["people"]


def test_an_upload_may_ask_for_a_fresh_start(partition: Partition) -> None:
    """`keep_edits` false forgets the edits before the upload, and only those."""
    partition.see(edit("old", added=["zoo"], removed=["tree"], at=2 * HOUR_MS))
    partition.see(edit("new", added=["zoo gate"], at=4 * HOUR_MS))
    partition.see(upload(event_id="other", at=3 * HOUR_MS, keep_edits=False), koala=0.9, tree=0.8)
    assert set(partition.tags) == {"zoo gate", "koala", "tree"}


def test_an_edit_of_an_image_that_is_not_there_is_a_dead_letter(partition: Partition) -> None:
    """Whether it was never seen, or deleted; the letter tells which, and nothing is kept."""
    assert reasons(partition.see(edit("e", public_id="typo", added=["zoo"]))) == [("unknown_image", False)]
    partition.see(upload(event_id="gone", at=5 * HOUR_MS, kind=UploadType.DELETED))
    (letter,) = partition.see(edit("e2", added=["zoo"], at=6 * HOUR_MS))
    assert "deleted" in read_fault(letter.headers).message
    assert set(partition.state.rows["images"]) == {"img"}


def deferred(offset: int, event: Upload, at: int = 1_000) -> Done:
    return Done(record(offset), Deferred(BUSY, at, None, event))


def test_an_edit_waits_where_the_image_s_upload_waits() -> None:
    """The source was busy: the edit that follows is not lost, and counts when the upload has come."""
    partition = Partition()
    partition.fold(deferred(1, upload()))
    assert partition.fold(done(2, edit("e", removed=["tree"]))) == []
    assert partition.fold(done(2, edit("e", removed=["tree"]))) == []
    assert orjson.loads(partition.state.rows["retries"]["2"])["attempt"] == 2
    partition.fold(done(1, upload(), koala=0.9, tree=0.8))
    partition.fold(done(2, edit("e", removed=["tree"])))
    assert partition.tags == {"koala": ["imagga_tagging"]}
    assert partition.state.rows["retries"] == {}
    assert set(partition.state.rows["meta"]) == {"@offset", "@tenant:"}


def given_up(partition: Partition, offset: int, event: Upload) -> list[tuple[str, bool]]:
    """Defer an upload until its waits have spent the budget; return what is told then."""
    for _ in range(2000):
        if outputs := partition.fold(deferred(offset, event)):
            return reasons(outputs)
    raise AssertionError("it waits for ever")


def test_an_edit_does_not_wait_for_an_upload_that_was_given_up() -> None:
    """The upload became a dead letter: so does its edit, and both can be replayed."""
    partition = Partition()
    partition.fold(deferred(1, upload()))
    partition.fold(deferred(2, upload(event_id="second")))
    partition.fold(done(3, edit("e", added=["zoo"])))
    assert given_up(partition, 1, upload()) == [("http_503", True)]
    assert reasons(partition.fold(done(3, edit("e", added=["zoo"])))) == []
    assert given_up(partition, 2, upload(event_id="second")) == [("http_503", True)]
    assert reasons(partition.fold(done(3, edit("e", added=["zoo"])))) == [("unknown_image", False)]
    assert partition.state.rows["retries"] == {}


def test_people_decide_about_a_thousand_tags_and_no_more(partition: Partition) -> None:
    """The edit that goes beyond is a dead letter as a whole; what was decided before stays."""
    partition.see(edit("many", removed=[f"tag {number}" for number in range(MAX_TAGS)]))
    outputs = partition.see(edit("more", added=["zoo"]))
    assert reasons(outputs) == [("too_many_edits", False)]
    assert reasons(partition.see(edit("same", added=["tag 7"]))) == []
    assert set(partition.tags) == {"tag 7", "koala", "tree"}


def test_what_people_added_is_never_cut_off(partition: Partition) -> None:
    """An image has at most 1,000 tags: those of the application and of taggers give way."""
    partition.see(upload(event_id="own", at=2 * HOUR_MS, tags=[f"own {n}" for n in range(MAX_TAGS)]))
    partition.see(edit("e", added=["zoo"]))
    assert len(partition.tags) == MAX_TAGS
    assert partition.tags["zoo"] == ["people"]


@pytest.mark.slow
def test_no_event_makes_a_row_that_fits_no_record(partition: Partition) -> None:
    """The largest tags that events may have, again and again: history gives way, the last change stays."""
    for number in range(12):
        tags = [f"{number}-{tag:04}".ljust(240, "x") for tag in range(1000)]
        partition.see(upload(event_id=f"u{number}", at=(3 + number) * HOUR_MS, tags=tags), koala=0.9)
        partition.see(edit(f"e{number}", removed=tags[:40]))
    assert len(orjson.dumps(partition.image)) < MAX_RECORD_BYTES / 2
    assert len(partition.image["history"][-1]["removed"]) == 40


edits = st.lists(
    st.tuples(
        st.integers(2, 5),  # hour
        st.sets(st.sampled_from("abcd"), min_size=1),
        st.sets(st.sampled_from("abcd")),
    ).map(lambda each: (each[0], sorted(each[1] - each[2]) or None, sorted(each[2]) or None)),
    max_size=8,
)


@given(edits, st.randoms(use_true_random=False))
def test_the_order_in_which_edits_are_handled_does_not_matter(
    events: list[tuple[int, list[str] | None, list[str] | None]], dice: random.Random
) -> None:
    """Law: edits that waited aside are handled late; tags, sources and counts come out the same."""
    handled = [
        done(offset, edit(f"e{offset}", at=hour * HOUR_MS, added=added, removed=removed))
        for offset, (hour, added, removed) in enumerate(events, start=10)
        if added or removed
    ]
    outcomes = []
    for _ in range(2):
        partition = Partition()
        partition.see(upload(event_id="first", tags=["a"]), b=0.9, c=0.8)
        for event in handled:
            partition.fold(event)
        outcomes.append((partition.tags, partition.counts("all"), partition.counts("minute")))
        dice.shuffle(handled)
    assert outcomes[0] == outcomes[1]


def test_what_is_searched_takes_people_at_their_word(partition: Partition) -> None:
    """A tag that a person gave is certain, whatever a tagger's confidence."""
    partition.see(edit("e", added=["zoo", "tree"]))
    confidences = dict(searched_tags(partition))
    assert confidences == {"zoo": 10_000, "tree": 10_000, "koala": 9_000}


def searched_tags(partition: Partition) -> list[tuple[str, int]]:
    image = indexed_image(partition.state.rows["images"]["img"])
    assert image is not None
    return list(image.tags)
