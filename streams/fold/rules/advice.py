"""What is likely a slip in rules that are valid: tags and add-ons that nobody here knows."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from model.tagger.languages import TagNames
from schemas.names import nearest
from streams.fold.rules.content import RuleSet, RulesFile, quoted


def advice(rules: RulesFile, known: Mapping[str, Collection[str]]) -> list[str]:
    """Find names that no tagger gives, with the nearest that one does.

    These are warnings, not faults: another worker, or the next model, may know them.

    Args:
        rules: The rules.
        known: For each add-on the tags that it can give; none where nobody knows them: any may come then.
    """
    everything = {tag for tags in known.values() for tag in tags}
    found = list(_unknown_tags(rules, everything | _own_names(rules), "")) if all(known.values()) else []
    for add_on, own in rules.add_on.items():
        if add_on not in known:
            hint = _hint(add_on, known, "TAGSTREAM_ADD_ONS does not offer it")
            found.append(f"add_on.{quoted(add_on)}: no such add-on; {hint}")
            continue
        if not known[add_on]:
            continue
        names = set(known[add_on]) | _own_names(rules) | _own_names(own)
        found += _unknown_tags(own, names, f"add_on.{quoted(add_on)}.")
    return found


def _unknown_tags(rules: RuleSet, known: set[str], where: str) -> Iterator[str]:
    used: dict[str, Iterable[str]] = {
        "rename": rules.rename,
        "thresholds": rules.thresholds,
        "block": sorted(rules.block),
        "allow": sorted(rules.allow or ()),
        "parents": rules.parents,
    }
    for rule, tags in used.items():
        for tag in tags:
            if tag not in known and TagNames.load().meaning(tag) not in known:
                hint = _hint(tag, known, "it never comes, unless another model knows it")
                yield f"{where}{rule} has {tag!r}: no tagger here gives that tag; {hint}"


def _own_names(rules: RuleSet) -> set[str]:
    """The names that the rules themselves bring."""
    return {*rules.rename.values(), *(parent for parents in rules.parents.values() for parent in parents)}


def _hint(name: str, known: Collection[str], otherwise: str) -> str:
    meant = nearest(name, known)
    return f"did you mean {meant!r}?" if meant else otherwise
