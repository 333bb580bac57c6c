"""Results as people read them in the terminal."""

from streams.commands.rendering import tags_text

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
