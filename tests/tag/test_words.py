"""Words that an add-on reads: context of a result, and tags only where the operator wants them."""

from schemas.results import ReadWord, ScoredTag
from streams.tag.words import split

FOUND = {
    "imagga_tagging": [ScoredTag("koala", 0.9)],
    "text_tagging": [ScoredTag("Sale", 0.8), ScoredTag("SALE", 0.95), ScoredTag("9:30", 0.97)],
}
WORDS = {"text_tagging": [ReadWord("Sale", 0.8), ReadWord("SALE", 0.95), ReadWord("9:30", 0.97)]}
READERS = frozenset({"text_tagging"})


def test_words_are_no_tags() -> None:
    """An add-on that reads has looked, and gave no tag; the others' are as they were."""
    assert split(FOUND, READERS, as_tags=False) == (FOUND | {"text_tagging": []}, WORDS)
    assert split(FOUND, frozenset(), as_tags=False) == (FOUND, {})


def test_words_may_be_tags_as_well() -> None:
    """In lower case, each once, the surest first; the words are told as before."""
    tags, words = split(FOUND, READERS, as_tags=True)
    assert tags["text_tagging"] == [ScoredTag("9:30", 0.97), ScoredTag("sale", 0.95)]
    assert (tags["imagga_tagging"], words) == (FOUND["imagga_tagging"], WORDS)
