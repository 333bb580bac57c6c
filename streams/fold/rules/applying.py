"""Rules at work: pure, so that the same candidates always come out the same, and explain themselves.

For each add-on in this order: a tag is renamed, and merged with others of that name; its parents come along;
blocked tags go, and those that are not on the allow-list; what is above its threshold is assigned, the best
first, up to `max_tags`. Then `max_tags` of the top level counts the tags of all add-ons together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from schemas.results import ScoredTag
from streams.fold.rules.content import RuleSet, RulesFile, content_hash
from streams.fold.rules.naming import understood

Candidates = Mapping[str, Sequence[ScoredTag]]


class Fate(StrEnum):
    """What becomes of a candidate."""

    ASSIGNED = "assigned"
    UNSURE = "not above its threshold"
    CUT = "beyond max_tags"
    HIDDEN = "hidden"


@dataclass(slots=True)
class Verdict:
    """What the rules did with a tag.

    Attributes:
        tag: The name that is reported.
        confidence: 0 to 1.
        fate: What became of it; hidden tags are not even reported.
        threshold: What its confidence was compared with; None: nothing is assigned here.
        notes: What each rule did, in order.
    """

    tag: str
    confidence: float
    fate: Fate = Fate.UNSURE
    threshold: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ruling:
    """What the rules make of an image's candidates.

    Attributes:
        scores: For each add-on the tags that are reported, best first.
        assigned: The tags that are assigned, best first, each with the add-ons that it is from.
        verdicts: For each add-on what became of every tag, the hidden ones last.
    """

    scores: dict[str, list[ScoredTag]]
    assigned: dict[str, list[str]]
    verdicts: dict[str, list[Verdict]]


class Rules:
    """Rules that are ready to be applied.

    Attributes:
        content: As they were read.
        hash: Tells rules from other rules: 12 hexadecimal digits of what they say.
    """

    def __init__(self, content: RulesFile | None = None, threshold: float | None = None) -> None:
        """Prepare.

        Args:
            content: The rules; None: there are none.
            threshold: Stands in where they have no `threshold` of their own, and counts in the hash.
        """
        content = content or RulesFile()
        if content.threshold is None:
            content = msgspec.structs.replace(content, threshold=threshold)
        self.content = content
        self.hash = content_hash(content)
        self._understood = understood(content)
        self._sets: dict[str, _AddOnRules] = {}

    def apply(self, candidates: Candidates, asked: float | None) -> Ruling:
        """Find what is reported and what is assigned.

        Args:
            candidates: For each add-on what its tagger says, best first.
            asked: The threshold that the event names, if it does.
        """
        verdicts = {add_on: self._of(add_on).judge(tags, asked) for add_on, tags in candidates.items()}
        return Ruling(
            scores={
                add_on: [
                    ScoredTag(verdict.tag, verdict.confidence)
                    for verdict in judged
                    if verdict.fate is not Fate.HIDDEN
                ]
                for add_on, judged in verdicts.items()
            },
            assigned=self._assigned(verdicts),
            verdicts=verdicts,
        )

    def _of(self, add_on: str) -> "_AddOnRules":
        if add_on not in self._sets:
            self._sets[add_on] = _AddOnRules(self._understood.of(add_on))
        return self._sets[add_on]

    def _assigned(self, verdicts: Mapping[str, Iterable[Verdict]]) -> dict[str, list[str]]:
        passed = [
            (verdict, add_on)
            for add_on, judged in verdicts.items()
            for verdict in judged
            if verdict.fate is Fate.ASSIGNED
        ]
        assigned: dict[str, list[str]] = {}
        for verdict, add_on in sorted(passed, key=lambda item: -item[0].confidence):
            if verdict.tag in assigned or len(assigned) != self.content.max_tags:
                assigned.setdefault(verdict.tag, []).append(add_on)
            else:
                verdict.fate = Fate.CUT
                verdict.notes.append(f"beyond max_tags of all add-ons, {self.content.max_tags}")
        return assigned


class _AddOnRules:
    """What holds for one add-on."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._ancestors = {tag: _ancestors(rules.parents, tag) for tag in rules.parents}

    def judge(self, tags: Iterable[ScoredTag], asked: float | None) -> list[Verdict]:
        found: dict[str, Verdict] = {}
        for tag in tags:
            self._name(found, tag)
        shown: list[Verdict] = []
        hidden: list[Verdict] = []
        for verdict in sorted(found.values(), key=lambda each: -each.confidence):
            (hidden if self._hides(verdict) else shown).append(verdict)
        self._assign(shown, asked)
        return shown + hidden

    def _name(self, found: dict[str, Verdict], tag: ScoredTag) -> None:
        name = self._rules.rename.get(tag.tag, tag.tag)
        verdict = found.get(name)
        if verdict is None:
            verdict = found[name] = Verdict(name, tag.confidence)
        elif verdict.confidence < tag.confidence:
            verdict.confidence = tag.confidence
        if name != tag.tag:
            verdict.notes.append(f"{tag.tag} {tag.confidence:.2f} renamed")
        for parent in self._ancestors.get(name, ()):
            above = found.get(parent)
            if above is None:
                found[parent] = Verdict(parent, tag.confidence, notes=[f"parent of {name}"])
            elif above.confidence < tag.confidence:
                above.notes.append(f"parent of {name}: {above.confidence:.2f} → {tag.confidence:.2f}")
                above.confidence = tag.confidence

    def _hides(self, verdict: Verdict) -> bool:
        allow = self._rules.allow
        if verdict.tag in self._rules.block:
            verdict.notes.append("blocked")
        elif allow is not None and verdict.tag not in allow:
            verdict.notes.append("not on the allow-list")
        else:
            return False
        verdict.fate = Fate.HIDDEN
        return True

    def _assign(self, shown: Iterable[Verdict], asked: float | None) -> None:
        rules, left = self._rules, self._rules.max_tags
        usual = rules.threshold if asked is None else asked
        if usual is None:
            return
        for verdict in shown:
            verdict.threshold = rules.thresholds.get(verdict.tag, usual)
            if verdict.tag in rules.thresholds:
                verdict.notes.append(f"threshold of its own, {verdict.threshold:g}")
            if verdict.confidence <= verdict.threshold:
                continue
            if left == 0:
                verdict.fate = Fate.CUT
                verdict.notes.append(f"beyond max_tags, {rules.max_tags}")
                continue
            verdict.fate = Fate.ASSIGNED
            left = None if left is None else left - 1


def _ancestors(parents: Mapping[str, Sequence[str]], tag: str) -> list[str]:
    """A tag's parents, then theirs, each once."""
    found = dict.fromkeys(parents[tag])
    waiting = list(found)
    while waiting:
        new = [parent for parent in parents.get(waiting.pop(0), ()) if parent not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return list(found)
