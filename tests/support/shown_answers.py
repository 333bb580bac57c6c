"""Answers as README shows them: real ones, shortened by `…`, which may stand for what the reader knows.

- In an object for the fields that every answer has, which one answer shows;
- alone in an object for one that was shown before under the same name;
- in a list for one or more elements; within a text for any characters, one at least.

Moments, names that are drawn by lot and what depends on the time of day may differ, in value but not in kind.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

REST = "…"
SHARED = frozenset({"window", "as_of", "complete", "behind"})
VARYING = frozenset({"recency", "next_offset", "cursor", "profiles_age_seconds"})
TOLERANCE = 0.02  # of a model's confidences, from one processor to another
_DRAWN = (
    (re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"), "<moment>"),
    (re.compile(r"^[0-9a-f]{12}$|^[0-9a-f]{32}$"), "<id>"),
    (re.compile(r"(?<=kafka:)[\w.-]*(?=image\.)"), ""),
    (re.compile(r"(?<=//127\.0\.0\.1:)\d+"), "<port>"),
)


def parse(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read shortened JSON; a `…` becomes an element or a field of that name."""
    parts, brackets = [], ""
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|.', text):
        if part in "[{":
            brackets += part
        elif part in "]}":
            brackets = brackets[:-1]
        field = f'"{REST}": "{REST}"' if brackets.endswith("{") else f'"{REST}"'
        parts.append(field if part == REST else part)
    return json.loads("".join(parts))


class Comparison:
    """Compares shown answers with real ones, in the order in which they are shown."""

    def __init__(self) -> None:
        self._shown: dict[str, Any] = {}  # by name, the first object that was shown in full
        self._shared: set[str] = set()

    def differences(self, shown: Any, real: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
        """Where the two differ."""
        name = re.split(r"[.\[]", path)[-1]
        if isinstance(shown, dict) and isinstance(real, dict):
            yield from self._objects(shown, real, path, name)
        elif isinstance(shown, list) and isinstance(real, list):
            yield from self._lists(shown, real, path)
        elif type(shown) is not type(real) or not (name in VARYING or _alike(shown, real)):
            yield f"{path}: shown {shown!r}, really {real!r}"

    def _objects(self, shown: dict[str, Any], real: dict[str, Any], path: str, name: str) -> Iterator[str]:
        if shown == {REST: REST}:
            if name not in self._shown:
                yield f"{path}: no {name} was shown before"
            else:
                yield from self.differences(self._shown[name], real, path)
            return
        fields = shown.keys() - {REST}
        hidden = real.keys() - fields
        if REST not in shown:
            self._shown.setdefault(name, shown)
            self._shared |= fields & SHARED
        allowed = self._shared if REST in shown and not path else set()
        if hidden - allowed or (REST in shown and not hidden):
            yield f"{path}: not shown {sorted(hidden)}"
        for field in fields:
            if field in real:
                yield from self.differences(shown[field], real[field], f"{path}.{field}")
            else:
                yield f"{path}: there is no {field}"

    def _lists(self, shown: list[Any], real: list[Any], path: str) -> Iterator[str]:
        before, after = _split(shown)
        number = len(before) + len(after)
        if len(real) <= number if REST in shown else len(real) != number:
            yield f"{path}: shown {number} of {len(real)}"
            return
        for place, each in enumerate(before):
            yield from self.differences(each, real[place], f"{path}[{place}]")
        for place, each in enumerate(after, len(real) - len(after)):
            yield from self.differences(each, real[place], f"{path}[{place}]")


def _split(shown: list[Any]) -> tuple[list[Any], list[Any]]:
    place = shown.index(REST) if REST in shown else len(shown)
    return shown[:place], shown[place + 1 :]


def _alike(shown: Any, real: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(shown, float):
        return bool(real == pytest.approx(shown, abs=TOLERANCE))
    if not isinstance(shown, str):
        return bool(shown == real)
    shown, real = _without_drawn(shown), _without_drawn(real)
    return re.fullmatch(re.escape(shown).replace(REST, ".+"), real) is not None


def _without_drawn(text: str) -> str:
    for pattern, name in _DRAWN:
        text = pattern.sub(name, text)
    return text
