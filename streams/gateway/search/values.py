"""Values of search expressions: texts with wildcards, numbers with units, moments."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.tree import Value

_PIECES = re.compile(r"\\(.)|(\*)|([^\\*]+)", re.DOTALL)
_TOKENS = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"(-?\d{1,15}(?:\.\d{1,9})?)\s?([kmg]?)b?", re.IGNORECASE)
_RATIO = re.compile(r"(\d{1,6}):(\d{1,6})")
_AGO = re.compile(r"(\d{1,6})(h|d|w|m|y)")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MS = {"h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "m": 2_592_000_000, "y": 31_536_000_000}
_DAY_LENGTH = len("2026-01-31")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """A moment or a day, in milliseconds since the epoch.

    Attributes:
        start: The first of them.
        end: The first that is no more of it.
        is_ago: Whether it was given as a time that has passed since.
    """

    start: int
    end: int
    is_ago: bool = False


def tokens_of(text: str) -> list[str]:
    """Give a text's words and numbers, in small letters."""
    return _TOKENS.findall(text.lower())


def plain(value: Value) -> str:
    """Give a value's text without its escapes."""
    return re.sub(r"\\(.)", r"\1", value.text, flags=re.DOTALL)


def glob_of(value: Value) -> list[str] | None:
    """Give the texts between a value's wildcards; None: it has none.

    `ko*a` is `ko` and `a`. A `*` that is escaped, or in quotes, is no wildcard.
    """
    if value.quoted or "*" not in value.text:
        return None
    parts = [""]
    for escaped, star, text in _PIECES.findall(value.text):
        if star:
            parts.append("")
        else:
            parts[-1] += escaped or text
    return parts if len(parts) > 1 else None


def matches_glob(parts: list[str], text: str) -> bool:
    """Tell whether a text is made of parts with anything between them. It takes no longer than the text."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def number_of(value: Value, field: str) -> float:
    """Give a number; `1.5m` is one with a unit, `16:9` is a ratio.

    Raises:
        BadCallError: It is none.
    """
    text = plain(value)
    if match := _RATIO.fullmatch(text):
        if int(match[2]):
            return int(match[1]) / int(match[2])
    elif match := _NUMBER.fullmatch(text):
        return float(match[1]) * _UNITS[match[2].lower()]
    raise BadCallError(f"{field} {shown(text)!r} is no number, such as 500, 1.5m or 16:9")


def moment_of(value: Value, field: str, now: int) -> Moment:
    """Give a moment: `1d` ago (h, d, w, m, y), or a date with or without a time.

    Args:
        value: As it is written.
        field: Whose it is, for messages.
        now: Milliseconds since the epoch.

    Raises:
        BadCallError: It is none.
    """
    text = plain(value)
    if text.lower() == "now":
        return Moment(now, now)
    if match := _AGO.fullmatch(text):
        at = now - int(match[1]) * _MS[match[2]]
        return Moment(at, at, is_ago=True)
    try:
        moment = datetime.fromisoformat(text.upper())
        start = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        example = "such as 1d, 2w, 2026-01-31 or 2026-01-31T12:00:00Z"
        raise BadCallError(f"{field} {shown(text)!r} is no time, {example}") from None
    length = timedelta(days=1) if len(text) <= _DAY_LENGTH else timedelta(seconds=1)
    at = start // timedelta(milliseconds=1)
    return Moment(at, at + length // timedelta(milliseconds=1))


def text_test(value: Value, *, exact: bool) -> Callable[[str], bool]:
    """Make the test of a text.

    Args:
        value: What it must be.
        exact: Whether the whole of it must be so, letter by letter; else words of it, small or capital.
    """
    parts = glob_of(value)
    if exact:
        wanted = plain(value)
        return wanted.__eq__ if parts is None else lambda text: matches_glob(parts, text)
    if parts is not None:
        small = [part.lower() for part in parts]
        return lambda text: matches_glob(small, text.lower()) or _any_token(small, text)
    return _phrase_test(plain(value))


def _any_token(parts: list[str], text: str) -> bool:
    return any(matches_glob(parts, token) for token in tokens_of(text))


def _phrase_test(wanted: str) -> Callable[[str], bool]:
    """A test for words that stand in a text side by side."""
    small, words = wanted.lower(), tokens_of(wanted)
    if not words:
        return lambda text: small in text.lower()
    longest = max(words, key=len)

    def test(text: str) -> bool:
        lowered = text.lower()
        if lowered == small:
            return True
        if longest not in lowered:
            return False
        tokens = _TOKENS.findall(lowered)
        return any(
            tokens[place : place + len(words)] == words for place in range(len(tokens) - len(words) + 1)
        )

    return test
