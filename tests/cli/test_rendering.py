"""Results as people read them in the terminal."""

import pytest

from schemas.dead_letters import Fault
from streams.cli.rendering import fault_text, line, tags_text
from streams.kafka.output_follower import OutputRecord

KOALA = {
    "status": "complete",
    "data": [{"tag": "koala", "confidence": 0.99}, {"tag": "mammal", "confidence": 0.4}],
}


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


@pytest.mark.parametrize("bad", ["\x1b]0;owned\x07", "\x9b2J", "\u202egnp", "a\rb\nc"])
def test_no_part_of_a_dead_letter_commands_the_terminal(bad: str) -> None:
    """Key, reason and message come from a topic: what would be obeyed is replaced."""
    letter = OutputRecord("dead-letter", bad, b"", [], Fault(bad, "parse", False, "Error", bad))
    for text in (fault_text(letter).plain, line(letter).plain):
        assert "\N{REPLACEMENT CHARACTER}" in text
        assert not set("\x1b\x07\x9b\u202e\r\n") & set(text)
    assert fault_text(letter).plain.startswith("dead letter: ")
