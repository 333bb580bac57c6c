"""Results as people read them in the terminal."""

import pytest
from rich.console import Console, RenderableType

from schemas.dead_letters import Fault
from schemas.results import ScoredTag
from streams.cli.ask.image_edits import without_effect
from streams.cli.ask.image_views import scored_text
from streams.cli.flow import Flow
from streams.cli.rendering import IMAGGA, KNOWN, fault_text, first_notes, line, results_table, tags_text
from streams.cli.rendering import untagged_note as untagged
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import Publication

KOALA = {
    "status": "complete",
    "data": [{"tag": "koala", "confidence": 0.99}, {"tag": "mammal", "confidence": 0.4}],
}


SCORES = {
    "giant panda": 0.98,
    "german shepherd dog": 0.95,
    "cliff dwelling": 0.48,
    "black and gold garden spider": 0.4,
    "orange (colour)": 0.33,
}
PAIRS = [f"{tag} {confidence:.2f}" for tag, confidence in SCORES.items()]


def result(**add_ons: object) -> dict[str, object]:
    return {"tags": ["koala"], "info": {"categorization": add_ons}}


def test_a_single_add_on_needs_no_name() -> None:
    """Its best tags, as many as there is room for, with their confidence."""
    assert tags_text(result(imagga_tagging=KOALA)).plain.strip() == "koala 0.99  mammal 0.40"
    assert tags_text(result(imagga_tagging=KOALA), limit=1).plain.strip() == "koala 0.99"


def test_several_add_ons_stand_side_by_side() -> None:
    """Each by its name; one that failed with its reason."""
    failed = {"status": "failed", "data": [], "error": "RuntimeError: out of memory"}
    text = tags_text(result(imagga_tagging=KOALA, mine=failed)).plain
    assert text.startswith("imagga_tagging: koala 0.99  mammal 0.40  ")
    assert text.strip().endswith("mine: failed (RuntimeError: out of memory)")


def categorization(public_id: str, *, model: str = "efficientnet_lite2_int8", tags: int = 1) -> OutputRecord:
    data = [{"tag": tag, "confidence": confidence} for tag, confidence in SCORES.items()]
    add_on = {"status": "complete", "data": data, "model": {"name": model, "version": "1"}}
    value = {
        "public_id": public_id,
        "width": 12_000,
        "height": 10_000,
        "tags": list(SCORES)[:tags],
        "timings_ms": {"fetch": 122.0, "decode": 31.0, "inference": 217.0},
        "info": {"categorization": {"imagga_tagging": add_on}},
    }
    return OutputRecord("categorization", public_id, value, [], None)


def published(*answers: OutputRecord) -> Publication:
    return Publication({}, categorizations={answer.key: answer for answer in answers})


def drawn(shown: RenderableType, width: int) -> list[str]:
    console = Console(width=width, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [120, 80, 60])
@pytest.mark.parametrize("public_id", ["koala", "holiday/2026/IMG_20260101_120000"])
def test_lines_do_not_tear_tags_from_their_confidences(width: int, public_id: str) -> None:
    """As in `tagstream tail` and `run`: each tag stands whole beside its confidence, in the best order."""
    lines = drawn(line(categorization(public_id)), width)
    assert all(len(each) <= width for each in lines)
    assert [pair for each in lines for pair in PAIRS if pair in each] == PAIRS
    assert len(lines) > 1
    assert all(each.startswith(" " * 15) for each in lines[1:])


@pytest.mark.parametrize("width", [120, 80, 60])
@pytest.mark.parametrize("public_id", ["koala", "holiday/2026/IMG_20260101_120000"])
def test_tables_do_not_tear_tags_from_their_confidences(width: int, public_id: str) -> None:
    """As in `tagstream publish` and `run`: the last word of a tag is beside its confidence."""
    lines = drawn(results_table(published(categorization(public_id))), width)
    assert all(len(each) <= width for each in lines)
    ends = [f"{tag.split()[-1]} {confidence:.2f}" for tag, confidence in SCORES.items()]
    assert [end for each in lines for end in ends if end in each] == ends


@pytest.mark.parametrize("width", [80, 60, 30])
def test_answers_do_not_tear_tags_from_their_confidences(width: int) -> None:
    """As in `tagstream images` and `users feed`."""
    tags = [ScoredTag(tag, confidence) for tag, confidence in SCORES.items()]
    lines = drawn(scored_text(tags, {"cliff dwelling"}), width)
    whole = [PAIRS[2], *PAIRS[:2], *PAIRS[3:]]
    shown = [pair for pair in whole if len(pair) <= width]
    assert [pair for each in lines for pair in whole if pair in each] == shown


def test_a_text_that_is_wider_than_the_line() -> None:
    """It gets lines of its own and is broken between its words, the last two together."""
    flow = Flow(indent=2).add("tag 0.5").add("one two three four 0.9").add("end 0.1")
    assert [each.plain for each in flow.lines(12)] == [
        "tag 0.5",
        "  one two",
        "  three",
        "  four 0.9",
        "  end 0.1",
    ]
    assert flow.plain == "tag 0.5  one two three four 0.9  end 0.1"


def test_lines_for_a_pipe_are_not_broken() -> None:
    """One record is one line there, for grep."""
    console = Console(width=40, soft_wrap=True)
    with console.capture() as capture:
        console.print(line(categorization("koala")))
    assert capture.get() == f"{line(categorization('koala')).plain}\n"


def test_whose_model_it_is_and_what_it_knows() -> None:
    """A first look is told that nothing goes to Imagga; what a model knows, only of those that come along."""
    ours, theirs = categorization("a"), categorization("b", model="mine")
    assert first_notes(published(ours, theirs)) == [IMAGGA, KNOWN]
    assert first_notes(published(theirs)) == [IMAGGA]
    assert first_notes(published()) == []


def test_photos_without_a_tag_are_explained() -> None:
    """How many, and what the model does not know; of a model of one's own nothing is claimed."""
    some, none = categorization("a"), categorization("b", tags=0)
    assert untagged(published(some), 0.4) is None
    assert untagged(published(some, none), 0.4) == f"1 of 2 photos without a tag above 0.4. {KNOWN}"
    theirs = categorization("b", tags=0, model="mine")
    assert untagged(published(theirs), 0.4) == "1 of 1 photo without a tag above 0.4."


@pytest.mark.parametrize("bad", ["\x1b]0;owned\x07", "\x9b2J", "\u202egnp", "a\rb\nc"])
def test_no_part_of_a_dead_letter_commands_the_terminal(bad: str) -> None:
    """Key, reason and message come from a topic: what would be obeyed is replaced."""
    letter = OutputRecord("dead-letter", bad, b"", [], Fault(bad, "parse", False, "Error", bad))
    for text in (fault_text(letter).plain, line(letter).plain):
        assert "\N{REPLACEMENT CHARACTER}" in text
        assert not set("\x1b\x07\x9b\u202e\r\n") & set(text)
    assert fault_text(letter).plain.startswith("dead letter: ")


def test_an_edit_that_matches_nothing_says_so() -> None:
    """A tag that was to go and was not there is named, with what the image has that is spelled alike."""
    value = {"resources": [{"removed": ["dog"]}], "tags": ["mammal", "sea"]}
    found = OutputRecord("tag-update", "img", value, (), None)
    assert without_effect(found, ("dog", "Mammal", "cat")) == [
        "tag 'Mammal' was not on the image; it has 'mammal': did you mean that?",
        "tag 'cat' was not on the image",
    ]
