"""Rules name tags in any language that tags have names in."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from model.tagger.languages import TagNames
from streams.fold.rules.content import RuleSet, RulesFile

Value = TypeVar("Value")
AnyRules = TypeVar("AnyRules", bound=RuleSet)


def understood(rules: RulesFile) -> RulesFile:
    """The same rules, which hold as well for each tag that goes by a name that they have.

    What a rule says of the tag itself stays, and so does a name that another model may have for a tag.
    """
    sections = {add_on: _understood(own) for add_on, own in rules.add_on.items()}
    return msgspec.structs.replace(_understood(rules), add_on=sections)


def _understood(rules: AnyRules) -> AnyRules:
    return msgspec.structs.replace(
        rules,
        thresholds=_by_tag(rules.thresholds),
        rename=_by_tag(rules.rename),
        block=_with_tags(rules.block),
        allow=None if rules.allow is None else _with_tags(rules.allow),
        parents=_by_tag(rules.parents),
    )


def _by_tag(values: Mapping[str, Value]) -> dict[str, Value]:
    meant = {meaning: value for name, value in values.items() if (meaning := TagNames.load().meaning(name))}
    return meant | dict(values)


def _with_tags(names: frozenset[str]) -> frozenset[str]:
    return names | {meaning for name in names if (meaning := TagNames.load().meaning(name))}
