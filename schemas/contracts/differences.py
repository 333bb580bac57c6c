"""What differs between two JSON Schemas of one thing, and whom it breaks.

Made for the JSON Schema that `schemas.json_schemas` writes: objects, lists, alternatives, references into
`$defs`, values to choose from, bounds. Objects are open: a field that nobody has named may be there, and is
ignored, so an optional field may come. Checkers of schema registries take such a field for a break: to them
an open object promises that an unnamed field may hold anything.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Schema = Mapping[str, Any]
BACKWARD = "backward"
"""Who knows the new schema cannot read what was written by the old one."""
FORWARD = "forward"
"""Who knows the old schema cannot read what is written by the new one."""

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "const", "contentEncoding")
_CURES = {
    "field removed": "leave it in the type; it may be absent from records if it was optional",
    "required field added": "give it a default, so that it is optional",
    "required field became optional": "leave it required, and fill it",
    "type added": "add an optional field of the new type beside it",
    "type removed": "leave it, and add an optional field beside it",
    "value added": "say it in a new optional field, or in an event of a new type",
    "value removed": "leave it among the values, even if it is not written any more",
    "bound narrowed": "leave the bound as it was",
    "bound widened": "leave the bound as it was",
}


@dataclass(frozen=True)
class Difference:
    """One change that breaks somebody.

    Attributes:
        rule: What kind of change it is.
        field: Where, as dotted names; `[]` are a list's items, `{}` an object's values.
        told: What it was and what it is.
        breaks: `BACKWARD` or `FORWARD`.
    """

    rule: str
    field: str
    told: str
    breaks: str

    @property
    def cure(self) -> str:
        """What to do instead."""
        return _CURES[self.rule]


def differences(old: Schema, new: Schema) -> Iterator[Difference]:
    """What of the new schema breaks those who know the old one, or what was written by it."""
    yield from _Comparison(old, new).compare(old, new, "")


class _Comparison:
    """Two whole schemas, and which of their types were compared with each other already."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._defs = old.get("$defs", {}), new.get("$defs", {})
        self._seen: set[tuple[str, str]] = set()

    def compare(self, old: Schema, new: Schema, field: str) -> Iterator[Difference]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        before, after = self._alternatives(old, 0), self._alternatives(new, 1)
        for kind in sorted(after.keys() - before.keys()):
            yield Difference("type added", field, f"it may be {kind} as well", FORWARD)
        for kind in sorted(before.keys() - after.keys()):
            yield Difference("type removed", field, f"it may not be {kind} any more", BACKWARD)
        for kind in sorted(before.keys() & after.keys()):
            yield from self._compare_kind(before[kind], after[kind], field)

    def _alternatives(self, schema: Schema, side: int) -> dict[str, Schema]:
        """The kinds of value that a schema allows."""
        return {_kind(option): option for option in self._options(schema, side)}

    def _options(self, schema: Schema, side: int) -> Iterator[Schema]:
        resolved = self._resolved(schema, side)
        if "anyOf" not in resolved:
            yield resolved
        for option in resolved.get("anyOf", ()):
            yield from self._options(option, side)

    def _resolved(self, schema: Schema, side: int) -> Schema:
        if "$ref" not in schema:
            return schema
        found: Schema = self._defs[side][schema["$ref"].rpartition("/")[2]]
        return found

    def _compare_kind(self, old: Schema, new: Schema, field: str) -> Iterator[Difference]:
        yield from _bounds(old, new, field)
        yield from _values(old, new, field)
        yield from self._fields(old, new, field)
        for name, mark in (("items", "[]"), ("additionalProperties", "{}")):
            if name in old or name in new:
                yield from self.compare(_open(old.get(name)), _open(new.get(name)), f"{field}{mark}")

    def _fields(self, old: Schema, new: Schema, field: str) -> Iterator[Difference]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            place = f"{field}.{name}".lstrip(".")
            if name not in after:
                yield Difference("field removed", place, "it is not described any more", FORWARD)
                continue
            if name in needed - needs:
                yield Difference("required field became optional", place, "it may be absent", FORWARD)
            yield from self.compare(before[name], after[name], place)
        for name in after:
            if name in needs - needed:
                told = "it was optional" if name in before else "it is new"
                yield Difference("required field added", f"{field}.{name}".lstrip("."), told, BACKWARD)


def _open(schema: object) -> Schema:
    """A schema where one may be left out: all that is left open allows anything."""
    if schema is False:
        return {"enum": []}
    return schema if isinstance(schema, Mapping) else {}


def _kind(schema: Schema) -> str:
    if "enum" in schema and "type" not in schema:
        return "one of some values"
    return str(schema.get("type", "anything"))


def _bounds(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    for names, is_narrower in (
        (_LOWER, lambda before, after: after > before),
        (_UPPER, lambda before, after: after < before),
        (_EXACT, lambda _before, _after: True),
    ):
        for name in names:
            yield from _bound(name, (old.get(name), new.get(name)), is_narrower, field)


def _bound(
    name: str, pair: tuple[Any, Any], is_narrower: Callable[[Any, Any], bool], field: str
) -> Iterator[Difference]:
    before, after = pair
    if before == after:
        return
    narrower = after is not None and (before is None or is_narrower(before, after))
    rule, breaks = ("bound narrowed", BACKWARD) if narrower else ("bound widened", FORWARD)
    told = f"{name} was {_shown(before)} and is {_shown(after)}"
    yield Difference(rule, field, told, breaks)
    if narrower and name in _EXACT and before is not None:
        yield Difference("bound widened", field, told, FORWARD)


def _values(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    if "enum" not in old and "enum" not in new:
        return
    before, after = (
        None if "enum" not in each else {_shown(one) for one in each["enum"]} for each in (old, new)
    )
    if before is None or (after is not None and before - after):
        gone = "others" if before is None else ", ".join(sorted(before - (after or set())))
        yield Difference("value removed", field, f"{gone} may not be said any more", BACKWARD)
    if after is None or (before is not None and after - before):
        come = "others" if after is None else ", ".join(sorted(after - (before or set())))
        yield Difference("value added", field, f"{come} may be said as well", FORWARD)


def _shown(value: object) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()
