"""What becomes of the words that an add-on reads in images: context of a result, and tags if wanted."""

from schemas.results import ReadWord, ScoredTag

Candidates = dict[str, list[ScoredTag]]


def split(
    found: Candidates, readers: frozenset[str], *, as_tags: bool
) -> tuple[Candidates, dict[str, list[ReadWord]]]:
    """What add-ons found, as candidates for tags and as words.

    Args:
        found: By add-on.
        readers: The add-ons that read.
        as_tags: Whether words are candidates as well, in lower case.
    """
    words = {name: said for name, said in found.items() if name in readers}
    tags = {name: _tags(said) if as_tags else [] for name, said in words.items()}
    return found | tags, {name: [ReadWord(*_pair(word)) for word in said] for name, said in words.items()}


def _tags(words: list[ScoredTag]) -> list[ScoredTag]:
    surest: dict[str, float] = {}
    for word in words:
        name = word.tag.lower()
        surest[name] = max(word.confidence, surest.get(name, 0.0))
    return [ScoredTag(*each) for each in sorted(surest.items(), key=lambda each: -each[1])]


def _pair(word: ScoredTag) -> tuple[str, float]:
    return word.tag, word.confidence
