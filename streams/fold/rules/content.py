"""The rules file: TOML that is read, checked, and explained where it is wrong.

docs/rules.md describes it for operators.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from schemas.files.toml_files import FileFaultsError, check_size, parse_toml, read_bounded
from schemas.names import MAX_NAME, VISIBLE, nearest
from schemas.uploads import MAX_TAGS

MAX_BYTES = 4_194_304  # a hundred thousand rules; a longer file is no rules file

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME, pattern=VISIBLE)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_TAGS)]

_CURES = {
    "threshold": "a number from 0 to 1, such as 0.4",
    "thresholds": 'a number from 0 to 1 per tag, such as "sea lion" = 0.8',
    "rename": 'a new name per tag, such as "giant panda" = "panda"',
    "block": 'a list of tags, such as ["website", "fig"]',
    "allow": 'a list of tags, such as ["cat", "dog"]',
    "parents": 'a list of tags per tag, such as "koala" = ["australian animal"]',
    "max_tags": f"a whole number from 1 to {MAX_TAGS}",
    "add_on": "a section per add-on, such as [add_on.scene_tagging]",
}
_ITEM_CURES = {
    "thresholds": "a number from 0 to 1, such as 0.9",
    "rename": 'one tag in quotes, such as "panda"',
    "parents": 'a list of tags, such as ["australian animal"]',
}
_TAG = f"a tag has 1 to {MAX_NAME} visible characters"


class RulesError(FileFaultsError):
    """A rules file cannot be used."""

    what = "rules"
    most_bytes = MAX_BYTES


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rules for all add-ons, or for one. Every name but those of `rename`'s keys is one that is reported.

    Attributes:
        threshold: Tags above it are assigned where neither the event nor `thresholds` say otherwise.
        thresholds: A tag's own threshold.
        rename: A tagger's name for a tag, and the name that is reported.
        block: Tags that are neither reported nor assigned.
        allow: The only tags that are; None: all.
        parents: Tags that each come along with a tag.
        max_tags: Most tags that are assigned; None: no limit of the rules.
    """

    threshold: Fraction | None = None
    thresholds: dict[Tag, Fraction] = {}
    rename: dict[Tag, Tag] = {}
    block: frozenset[Tag] = frozenset()
    allow: frozenset[Tag] | None = None
    parents: dict[Tag, tuple[Tag, ...]] = {}
    max_tags: Count | None = None


class RulesFile(RuleSet, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All rules: those of the file's top level hold for every add-on, a section's for its own besides."""

    add_on: dict[str, RuleSet] = {}

    def of(self, add_on: str) -> RuleSet:
        """What holds for an add-on: its section, and what that leaves to the top level.

        `max_tags` is the section's alone: the top level's counts the tags of all add-ons together.
        """
        own = self.add_on.get(add_on, RuleSet())
        return RuleSet(
            threshold=self.threshold if own.threshold is None else own.threshold,
            thresholds=self.thresholds | own.thresholds,
            rename=self.rename | own.rename,
            block=self.block | own.block,
            allow=self.allow if own.allow is None else own.allow,
            parents=self.parents | own.parents,
            max_tags=own.max_tags,
        )


def content_hash(rules: RulesFile) -> str:
    """A short hash of what the rules say, however the file is written: 12 hexadecimal digits."""
    canonical = msgspec.json.encode(rules, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:12]


def rules_bytes(path: Path) -> bytes:
    """Read what is in a rules file.

    Raises:
        RulesError: It cannot be read.
    """
    raw = read_bounded(path, RulesError)
    check_size(raw, path, RulesError)
    return raw


def parse_rules(raw: bytes, path: Path) -> RulesFile:
    """Read what is in a rules file.

    Args:
        raw: The file's bytes.
        path: Where they are from, for the messages.

    Raises:
        RulesError: The content breaks a rule.
    """
    content = parse_toml(raw, path, RulesError, 'keys with spaces need quotes, as in "sea lion" = 0.8')
    if faults := list(_faults(content, RulesFile, "")):
        raise RulesError(path, faults)
    rules = msgspec.convert(content, RulesFile)
    if faults := list(contradictions(rules)):
        raise RulesError(path, faults)
    return rules


def _faults(section: Mapping[str, Any], kind: type[RuleSet], where: str) -> Iterator[str]:
    """Find the keys and values that do not fit; msgspec alone would not say which."""
    kinds = get_type_hints(kind, include_extras=True)
    for key, value in section.items():
        if key not in kinds:
            yield _unknown_key(where + key, key, kinds)
        elif key == "add_on" and isinstance(value, dict):
            for name, own in value.items():
                if isinstance(own, dict):
                    yield from _faults(own, RuleSet, f"add_on.{quoted(name)}.")
                else:
                    yield f"add_on.{quoted(name)} = {_shown(own)}: must be a section [add_on.{quoted(name)}]"
        else:
            yield from _value_faults(where + key, key, value, kinds[key])


def _unknown_key(path: str, key: str, kinds: Mapping[str, object]) -> str:
    meant = nearest(key, kinds)
    cure = f"did you mean {meant}?" if meant else f"there are {', '.join(kinds)}"
    return f"{path} is no rule; {cure}"


def _value_faults(path: str, rule: str, value: object, kind: Any) -> Iterator[str]:  # noqa: ANN401 - a type
    if _fits(value, kind):
        return
    if isinstance(value, dict) and get_origin(kind) is dict:
        for key, item in value.items():
            yield from _item_faults(f"{path}.{quoted(key)}", rule, (key, item), get_args(kind)[1])
    elif isinstance(value, list) and (wrong := [each for each in value if not _fits(each, Tag)]):
        yield f"{path} has {_shown(wrong[0])}: {_TAG}, in quotes; correct or remove it"
    else:
        yield f"{path} = {_shown(value)}: must be {_CURES[rule]}"


def _item_faults(path: str, rule: str, item: tuple[str, object], kind: Any) -> Iterator[str]:  # noqa: ANN401 - a type
    key, value = item
    if not _fits(key, Tag):
        yield f"{path}: {_TAG}; correct its name"
    elif not _fits(value, kind):
        fault = f"{path} = {_shown(value)}: must be {_ITEM_CURES[rule]}"
        moved = f"; to set the rule {key}, move the line above the first [section]"
        yield fault + (moved if key in _CURES else "")


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - a type
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 64 else text[:60] + " …"  # noqa: PLR2004 - a line's worth


def quoted(name: str) -> str:
    """A key as TOML writes it."""
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else f'"{name}"'


def contradictions(rules: RulesFile) -> Iterator[str]:
    """Find what the rules say in two ways, at the top level and as each add-on's section completes it."""
    seen: set[str] = set()
    for add_on in ("", *rules.add_on):
        where = f"in add_on.{add_on}, " if add_on else ""
        for fault in _of_set(rules.of(add_on)):
            if fault not in seen:
                yield where + fault
            seen.add(fault)


def _of_set(rules: RuleSet) -> Iterator[str]:
    for old, new in rules.rename.items():
        if new in rules.rename and rules.rename[new] != new:
            final = rules.rename[new]
            yield f"rename has {old!r} = {new!r}, which is renamed to {final!r} itself; write {final!r}"
    for rule, tag in _named(rules):
        if (new := rules.rename.get(tag, tag)) != tag:
            cure = f"rules go by the new name; write {new!r}"
            yield f"{rule} has {tag!r}, which rename turns into {new!r}: {cure}"
    for tag in sorted(rules.block & (rules.allow or frozenset())):
        yield f"block and allow both have {tag!r}; remove it from one of them"
    if rules.allow is not None and not rules.allow:
        yield "allow = []: no tag would be left; list the tags that may be reported, or remove the line"
    if cycle := _cycle(rules.parents):
        yield f"parents go in a circle: {' → '.join(cycle)}; remove one of them"


def _named(rules: RuleSet) -> Iterator[tuple[str, str]]:
    yield from (("thresholds", tag) for tag in rules.thresholds)
    yield from (("block", tag) for tag in sorted(rules.block))
    yield from (("allow", tag) for tag in sorted(rules.allow or ()))
    for child, parents in rules.parents.items():
        yield "parents", child
        yield from (("parents", parent) for parent in parents)


def _cycle(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle of parents, its first tag also last; empty where there is none."""
    finished: set[str] = set()
    for start in parents:
        path, waiting = [start], [iter(parents[start])]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                finished.add(path.pop())
                waiting.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in finished:
                path.append(following)
                waiting.append(iter(parents.get(following, ())))
    return []
