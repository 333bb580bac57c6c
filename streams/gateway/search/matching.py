"""Makes a test of one asset of an expression's tree."""

import operator
from collections.abc import Callable

from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.asset_fields import FIELDS, Number, NumberField, TextField, field_of
from streams.gateway.search.candidates import Candidate
from streams.gateway.search.tree import Every, Node, Not, Range, Term, Value
from streams.gateway.search.values import glob_of, moment_of, number_of, plain, text_test

Test = Callable[[Candidate], bool]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ":": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def test_of(node: Node, now: int) -> Test:
    """Make the test.

    Args:
        node: The expression.
        now: Milliseconds since the epoch: what `1d` ago is counted from.

    Raises:
        BadCallError: A field is unknown, or a value is none of its kind.
    """
    if isinstance(node, Term):
        return _term(node, now)
    if isinstance(node, Not):
        inner = test_of(node.of, now)
        return lambda found: not inner(found)
    tests = [test_of(each, now) for each in node.of]
    if isinstance(node, Every):
        return lambda found: all(test(found) for test in tests)
    return lambda found: any(test(found) for test in tests)


def _term(term: Term, now: int) -> Test:
    field = field_of(term.field)
    if field is None:
        known = ", ".join([*sorted(FIELDS), "context.KEY"])
        raise BadCallError(
            f"Field {shown(term.field)!r} at character {term.place + 1} is unknown; known are {known}"
        )
    if isinstance(field, TextField):
        return _text_term(term, field)
    if isinstance(term.value, Value) and glob_of(term.value) == ["", ""]:
        number = field.number
        return lambda found: number(found) is not None
    return (
        _number_term(term, field.number)
        if isinstance(field, NumberField)
        else _time_term(term, field.number, now)
    )


def _text_term(term: Term, field: TextField) -> Test:
    if isinstance(term.value, Range) or term.operator not in {":", "="}:
        raise BadCallError(f"{term.field} is a text: it takes `:` and `=`, neither ranges nor comparisons")
    test, texts = text_test(term.value, exact=term.operator == "="), field.texts
    return lambda found: any(map(test, texts(found)))


def _number_term(term: Term, number: Number) -> Test:
    if isinstance(term.value, Range):
        first, last = (_bound(each, term.field) for each in (term.value.first, term.value.last))
        return _between(number, first, last, term.value)
    wanted, compare = number_of(term.value, term.field), _COMPARE[term.operator]

    def test(found: Candidate) -> bool:
        known = number(found)
        return known is not None and compare(known, wanted)

    return test


def _bound(value: Value, field: str) -> float | None:
    return None if glob_of(value) == ["", ""] else number_of(value, field)


def _between(number: Number, first: float | None, last: float | None, limits: Range) -> Test:
    def test(found: Candidate) -> bool:
        known = number(found)
        if known is None:
            return False
        above = first is None or known > first or (limits.takes_first and known == first)
        return above and (last is None or known < last or (limits.takes_last and known == last))

    return test


def _time_term(term: Term, number: Number, now: int) -> Test:
    if isinstance(term.value, Range):
        return _time_range(term.value, term.field, number, now)
    moment = moment_of(term.value, term.field, now)
    if moment.is_ago and term.operator in {":", "="}:
        return _between(number, moment.start, None, _OPEN)
    return {
        ">": _between(number, moment.end, None, _ABOVE if moment.is_ago else _OPEN),
        ">=": _between(number, moment.start, None, _OPEN),
        "<": _between(number, None, moment.start, _ABOVE),
        "<=": _between(number, None, moment.end, _OPEN if moment.is_ago else _ABOVE),
    }.get(term.operator, _between(number, moment.start, moment.end, _HALF))


def _time_range(limits: Range, field: str, number: Number, now: int) -> Test:
    first, last = (
        None if glob_of(each) == ["", ""] else moment_of(each, field, now)
        for each in (limits.first, limits.last)
    )
    start = None if first is None else first.start if limits.takes_first else first.end
    end = None if last is None else last.end if limits.takes_last else last.start
    return _between(number, start, end, _HALF)


_NOTHING = Value("*")
_OPEN = Range(_NOTHING, _NOTHING, takes_first=True, takes_last=True)
_ABOVE = Range(_NOTHING, _NOTHING, takes_first=False, takes_last=False)
_HALF = Range(_NOTHING, _NOTHING, takes_first=True, takes_last=False)


def needle_of(node: Node) -> bytes:
    """Give bytes that every match's row holds, so that most rows need not be read; empty: none known."""
    if isinstance(node, Every):
        return max(map(needle_of, node.of), key=len, default=b"")
    if (
        not isinstance(node, Term)
        or isinstance(node.value, Range)
        or (node.field, node.operator) != ("tags", "=")
    ):
        return b""
    text = plain(node.value)
    is_plain = text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}
    return f'"{text}"'.encode() if is_plain and glob_of(node.value) is None else b""
