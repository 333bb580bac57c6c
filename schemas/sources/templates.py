"""Templates of fields, such as `{bucket}/{key}`, and patterns of keys, such as `users/{user}/**`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from schemas.sources.values import at, bad, shown

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_.:@-]{0,127}")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,31}")
MAX_TEMPLATE = 1024
_WILD = re.compile(r"\*\*|\*|\{[^{}]*\}")
_FORM = "{name} stands for a value, {{ and }} for braces"


class Template:
    """Text with values in it.

    Attributes:
        paths: The values that it names.
    """

    def __init__(self, text: str) -> None:
        """Read a template.

        Raises:
            ValueError: It is none; the message says why.
        """
        if not 1 <= len(text) <= MAX_TEMPLATE:
            raise ValueError(f"it has {len(text)} characters; 1 to {MAX_TEMPLATE} are possible")
        self.text = text
        self._parts: list[tuple[str, str | None]] = []  # text before, and the path behind it
        start, before = 0, ""
        for piece in _PIECE.finditer(text):
            before += text[start : piece.start()]
            start = piece.end()
            if piece[2]:
                raise ValueError(f"a brace stands alone; {_FORM}")
            if piece[1] is None:
                before += piece[0][0]
                continue
            if not _PATH.fullmatch(piece[1]):
                raise ValueError(f"{piece[0]!r} names no value; {_FORM}")
            self._parts.append((before, piece[1]))
            before = ""
        self._parts.append((before + text[start:], None))

    @property
    def paths(self) -> tuple[str, ...]:
        """The values that it names."""
        return tuple(path for _, path in self._parts if path is not None)

    @property
    def is_one_value(self) -> bool:
        """Whether it is a value and nothing else."""
        return len(self.paths) == 1 and all(not text for text, _ in self._parts)

    def is_missing(self, path: str, values: Mapping[str, Any]) -> bool:
        """Whether a value that it names is not there."""
        return at(values, path) in (None, "")

    def value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """The value that it is, as it is; None: it is not there."""
        return at(values, self.paths[0])

    def expanded(self, values: Mapping[str, Any], *, escape: bool = False) -> str | None:
        """The text; None: a value is missing.

        Args:
            values: By name; dotted paths lead into objects.
            escape: Whether values are parts of a URL.

        Raises:
            BadEventError: A value is an object or a list.
        """
        texts = []
        for before, path in self._parts:
            texts.append(before)
            if path is not None:
                text = _text(at(values, path), path)
                if text is None:
                    return None
                texts.append(quote(text, safe="/") if escape and not self.is_one_value else text)
        return "".join(texts)


def _text(value: Any, path: str) -> str | None:  # noqa: ANN401 - JSON
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise bad(f"`{path}` is {shown(value)}; a text or a whole number is wanted in a template")


class KeyPattern:
    """A pattern of keys: `*` is anything without a slash, `**` anything, `{name}` as `*` by a name."""

    def __init__(self, text: str) -> None:
        """Read a pattern.

        Raises:
            ValueError: It is none; the message says why.
        """
        names: list[str] = []
        pieces = re.split(r"(\*\*|\*|\{[^{}]*\})", text)
        if not 1 <= len(text) <= MAX_TEMPLATE:
            raise ValueError(f"it has {len(text)} characters; 1 to {MAX_TEMPLATE} are possible")
        # More of them would let a stranger's key cost seconds.
        crowded = [part for part in text.split("/") if len(_WILD.findall(part)) > 1]
        if crowded or text.count("**") > 1:
            raise ValueError("one * or {name} has room between two slashes, and one ** in all")
        self.names: Sequence[str] = names
        self._regex = re.compile("".join(_part(piece, names) for piece in pieces), re.DOTALL)

    def match(self, key: str) -> dict[str, str] | None:
        """The values that a key gives its names; None: it does not fit."""
        found = self._regex.fullmatch(key)
        return found.groupdict() if found else None


def _part(piece: str, names: list[str]) -> str:
    if piece == "**":
        return ".*"
    if piece == "*":
        return "[^/]*"
    if not (piece.startswith("{") and piece.endswith("}")):
        return re.escape(piece)
    name = piece[1:-1]
    if not _NAME.fullmatch(name):
        raise ValueError(f"{piece!r} is no name; it has small letters, digits and underscores")
    if name in names:
        raise ValueError(f"{piece!r} is there twice")
    names.append(name)
    return f"(?P<{name}>[^/]+)"
