"""Rules that contradict each other: each is refused with the line to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streams.rules.content import RuleSet, RulesFile


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
    """Give a circle of parents, its first tag also last; empty where there is none."""
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
