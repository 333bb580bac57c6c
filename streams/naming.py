"""Tags as results report them: with their probability, and in the languages that an upload asks for."""

from collections.abc import Iterable, Sequence

from model.languages import TagNames
from schemas.results import ReportedTag, ScoredTag


def split_languages(language: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Give the languages of an upload in which tags have names, and the others; each once."""
    if not language:
        return [], []
    parts: Iterable[str] = language.split(",") if isinstance(language, str) else language
    asked = dict.fromkeys(part.strip() for part in parts if part.strip())
    names = TagNames.load()
    known = [code for code in asked if names.knows(code)]
    return known, [code for code in asked if code not in known]


def reported_tag(score: ScoredTag, probability: float | None, languages: Sequence[str]) -> ReportedTag:
    """Name a tag in languages that are known; where it has no name it stays English and is marked."""
    if not languages:
        return ReportedTag(score.tag, score.confidence, probability)
    found = {code: TagNames.load().name(score.tag, code) for code in languages}
    missing = [code for code, name in found.items() if name is None]
    names = {code: name or score.tag for code, name in found.items()}
    return ReportedTag(score.tag, score.confidence, probability, names, missing or None)
