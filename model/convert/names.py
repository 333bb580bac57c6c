"""Make the names of tags in other languages out of what packages of translations say of the same things.

    python -m model.convert.names --cldr FOLDER --places FOLDER

The folders are that with npm's cldr-annotations-full and cldr-misc-full in it, unpacked, and that of
@openstreetmap/id-tagging-schema. ``names.toml`` beside this file says which tag is which emoji, label or
preset; nothing is translated here. Names of some general words are found by what they mark: the keyword that
in a language stands at about the same emoji as the English one (a Dice coefficient of at least 0.85).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model.tagger.languages import NAMES
from model.tagger.tagger import Tagger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Emoji = Mapping[str, tuple[str, set[str]]]

CHOICES = Path(__file__).with_name("names.toml")
SOURCE = "Unicode CLDR 48.2 and OpenStreetMap's id-tagging-schema 6.19.2, see NOTICE"
LEAST_NAMES = 200
LEAST_AGREEMENT = 0.85
_LEAST_MARKED = 8
_LONGEST = 40
_WORD = 3
_FIRST_IDEOGRAPH = "\u2e80"
_FACES = "🐶🐱🐭🐮🐰🐴🐷🐵"
_ELSEWHERE = {"zh": "zh-CN", "zh-Hant": "zh-TW", "pt": "pt-BR", "pt-PT": "pt", "no": "nb"}


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``names.toml``."""

    not_emoji: list[str]
    emoji: dict[str, str]
    labels: dict[str, str]
    keywords: dict[str, str]
    places: dict[str, str]
    wrong: dict[str, list[str]]


class Sources:
    """The packages' files of one language after another."""

    def __init__(self, cldr: Path, places: Path) -> None:
        self._annotations = cldr / "cldr-annotations-full" / "annotations"
        self._misc = cldr / "cldr-misc-full" / "main"
        self._places = places / "dist" / "translations"
        self.languages = sorted(path.name for path in self._annotations.iterdir())

    def emoji(self, language: str) -> dict[str, tuple[str, set[str]]]:
        """The short name and the keywords of each emoji."""
        parsed = _read(self._annotations / language / "annotations.json")["annotations"].get(
            "annotations", {}
        )
        return {
            character: (entry["tts"][0], set(entry.get("default", ())))
            for character, entry in parsed.items()
            if "tts" in entry
        }

    def labels(self, language: str) -> dict[str, str]:
        """The labels of groups of characters."""
        path = self._misc / language / "characterLabels.json"
        if not path.exists():
            return {}
        found: dict[str, str] = _read(path)["main"][language]["characterLabels"]
        return found

    def places(self, language: str) -> dict[str, str]:
        """The names of presets and of the choices in their fields."""
        name = _ELSEWHERE.get(language, language)
        path = self._places / f"{name}.json"
        if not path.exists():
            return {}
        parsed = _read(path)[name].get("presets", {})
        found = {f"presets/{key}": entry.get("name", "") for key, entry in parsed.get("presets", {}).items()}
        for field, entry in parsed.get("fields", {}).items():
            for choice, title in entry.get("options", {}).items():
                text = title if isinstance(title, str) else title.get("title", "")
                found[f"fields/{field}/{choice}"] = text
        return found


def names_in(language: str, tags: frozenset[str], sources: Sources, choices: Choices) -> dict[str, str]:
    """Find what tags are called in a language; English names that stand in for missing ones are left out."""
    english, emoji = sources.emoji("en"), sources.emoji(language)
    labels, places = sources.labels(language), sources.places(language)
    named = {name.lower(): character for character, (name, _) in english.items()}
    characters = {tag: named[tag] for tag in tags & named.keys() - set(choices.not_emoji)} | choices.emoji
    found = {tag: emoji[character][0] for tag, character in characters.items() if character in emoji}
    titles = {tag: labels.get(label, "") for tag, label in choices.labels.items()}
    titles |= {tag: places.get(place, "") for tag, place in choices.places.items()}
    if small_initials(emoji):
        titles = {tag: name[:1].lower() + name[1:] for tag, name in titles.items()}
    found |= titles
    found |= {tag: keyword_like(word, english, emoji) for tag, word in choices.keywords.items()}
    before, after = face_marks([emoji[face][0].lower() for face in _FACES if face in emoji])
    wrong = choices.wrong.get(language, [])
    return {
        tag: name
        for tag, name in sorted(found.items())
        if tag not in wrong
        and _usable(name)
        and not (before and name.lower().startswith(before))
        and not (after and name.lower().endswith(after))
    }


def small_initials(emoji: Emoji) -> bool:
    """Whether a language writes what things are called with a small initial, as German does not."""
    return sum(name[:1].islower() for name, _ in emoji.values()) > len(emoji) / 2


def face_marks(faces: Sequence[str]) -> tuple[str, str]:
    """How the names of animals' faces begin and end in a language: no names for animals."""
    return _shared(faces), _shared([face[::-1] for face in faces])[::-1]


def _shared(names: Sequence[str]) -> str:
    """The longest beginning that more than half of the names share, if it is as long as a word."""
    beginnings = {name[:end] for name in names for end in range(1, len(name))}
    shares = {start: sum(name.startswith(start) for name in names) / len(names) for start in beginnings}
    common = [start for start, share in shares.items() if share > 1 / 2]
    longest = max(common, key=len, default="")
    return longest if len(longest) >= _WORD or longest > _FIRST_IDEOGRAPH else ""


def keyword_like(word: str, english: Emoji, other: Emoji) -> str:
    """The keyword of another language that marks about the same emoji as an English one, if any."""
    marked = {character for character, (_, words) in english.items() if word in words and character in other}
    if len(marked) < _LEAST_MARKED:
        return ""
    common: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for character, (_, words) in other.items():
        for each in words:
            total[each] += 1
            common[each] += character in marked
    best = max(sorted(total), key=lambda each: 2 * common[each] / (total[each] + len(marked)))
    agreement = 2 * common[best] / (total[best] + len(marked))
    return best if agreement >= LEAST_AGREEMENT else ""


def main(arguments: list[str] | None = None) -> int:
    """Write the names, and say how many each language has."""
    options = _parser().parse_args(arguments)
    choices = msgspec.toml.decode(CHOICES.read_bytes(), type=Choices)
    sources = Sources(options.cldr, options.places)
    tags = frozenset(Tagger.load().tag_names)
    found = {language: names_in(language, tags, sources, choices) for language in sources.languages}
    kept = {
        language: names
        for language, names in found.items()
        if len(names) >= LEAST_NAMES and language.partition("-")[0] != "en"
    }
    sys.stdout.write(" ".join(f"{language} {len(names)}" for language, names in kept.items()) + "\n")
    _write(kept, options.into)
    return 0


def _write(names: Mapping[str, Mapping[str, str]], path: Path) -> None:
    """Write one line per tag, with a name for each language in the order of the header."""
    tags = sorted({tag for each in names.values() for tag in each})
    rows = [[names[language].get(tag, "") for language in names] for tag in tags]
    lines = (f"  {_json(tag)}: {_json(row)}" for tag, row in zip(tags, rows, strict=True))
    head = f'{{"source": {_json(SOURCE)},\n "languages": {_json(list(names))},\n "names": {{\n'
    path.write_text(head + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def _usable(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and not set("/,;()") & set(name)


def _json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read(path: Path) -> Any:  # noqa: ANN401 - other people's JSON
    return json.loads(path.read_text(encoding="utf-8"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.convert.names", description="Rebuild tag_names.json."
    )
    parser.add_argument("--cldr", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--places", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--into", type=Path, default=NAMES, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
