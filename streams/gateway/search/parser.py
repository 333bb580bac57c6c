"""Reads search expressions.

expression = all { "OR" all }
all        = one { ["AND"] one }
one        = ("NOT" | "-" | "+") one | "(" expression ")" | term
term       = [field operator] value
value      = word | '"' … '"' | "[" value "TO" value "]" | "{" … "}" | "(" values with AND, OR, NOT ")"
"""

import re
from dataclasses import dataclass

from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.tree import EVERYTHING, Every, Node, Not, Operator, Range, Some, Term, Value

MAX_LENGTH = 8192  # characters of an expression
MAX_TERMS = 256
MAX_DEPTH = 32
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<field>[A-Za-z_][\w.-]*)(?P<operator>\s*(?:>=|<=|=|>|<)|:)
      | (?P<mark>[()\[\]{}])
      | (?P<sign>[-+](?=[\w("\[{]))
      | "(?P<quoted>(?:\\.|[^"\\])*)"
      | (?P<word>(?:\\.|[^\s()\[\]{}"\\])+)
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_VALUE = re.compile(
    r"""\s*(?:
        (?P<mark>[()\[\]{}])
      | "(?P<quoted>(?:\\.|[^"\\])*)"
      | (?P<word>(?:\\.|[^\s()\[\]{}"\\])+)
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_JOINING = {"AND", "OR", "NOT", "TO"}
_OPERATORS: dict[str, Operator] = {each: each for each in (":", "=", ">", ">=", "<", "<=")}
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int
    operator: str = ""


def parse(expression: str) -> Node:
    """Read an expression; an empty one means everything.

    Raises:
        BadCallError: It cannot be read, or exceeds a limit.
    """
    if len(expression) > MAX_LENGTH:
        raise BadCallError(
            f"The expression has {len(expression)} characters; at most {MAX_LENGTH} are accepted"
        )
    if not expression.strip():
        return EVERYTHING
    reader = _Reader(expression)
    node = reader.some(0, None)
    if reader.peek().kind != "end":
        raise reader.fault("is not expected")
    return node


class _Reader:
    """Goes over an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._terms = 0

    def peek(self, *, value: bool = False) -> _Token:
        """Look at what comes next, as the beginning of a term or as a value."""
        match = (_VALUE if value else _TOKEN).match(self._text, self._place)
        if match is None:
            raise self.fault("cannot be read")
        kind = match.lastgroup or "end"
        if kind == "operator":
            return _Token("field", match["field"], match.end(), match["operator"].strip())
        return _Token(kind, match[kind], match.end())

    def some(self, depth: int, field: tuple[str, Operator] | None) -> Node:
        """Read alternatives."""
        if depth > MAX_DEPTH:
            raise BadCallError(f"The expression is nested more than {MAX_DEPTH} levels deep")
        parts = [self._every(depth, field)]
        while self._take_word("OR"):
            parts.append(self._every(depth, field))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _every(self, depth: int, field: tuple[str, Operator] | None) -> Node:
        parts = [self._one(depth, field)]
        while self._take_word("AND") or self._begins_another():
            parts.append(self._one(depth, field))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one(self, depth: int, field: tuple[str, Operator] | None) -> Node:
        token = self.peek(value=field is not None)
        if token.kind == "sign" or _is_word(token, "NOT"):
            self._place = token.place
            if depth > MAX_DEPTH:
                raise BadCallError(f"The expression is nested more than {MAX_DEPTH} levels deep")
            of = self._one(depth + 1, field)
            return of if token.text == "+" else Not(of)
        if token.kind == "mark" and token.text == "(":
            self._place = token.place
            node = self.some(depth + 1, field)
            self._expect(")")
            return node
        if field is not None:
            return self._term(*field)
        if token.kind != "field":
            return self._term("", ":")
        self._place = token.place
        return self._valued(token, depth)

    def _valued(self, token: _Token, depth: int) -> Node:
        name, operator = token.text, _OPERATORS[token.operator]
        following = self.peek(value=True)
        if following.kind == "mark" and following.text == "(":
            self._place = following.place
            node = self.some(depth + 1, (name, operator))
            self._expect(")")
            return node
        return self._term(name, operator)

    def _term(self, field: str, operator: Operator) -> Term:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadCallError(f"The expression has more than {MAX_TERMS} terms")
        place = self._place
        token = self.peek(value=True)
        if token.kind == "mark" and token.text in _CLOSING:
            if not field or operator not in {":", "="}:
                raise self.fault("begins a range, which belongs behind a field and `:`")
            return Term(field, operator, self._range(token), place)
        return Term(field, operator, self._value(), place)

    def _range(self, opening: _Token) -> Range:
        self._place = opening.place
        first = self._value()
        if not self._take_word("TO", value=True):
            raise self.fault("should be TO, as in [1 TO 5]")
        last = self._value()
        closing = self.peek(value=True)
        if closing.kind != "mark" or closing.text not in _CLOSING.values():
            raise self.fault("should be the range's end, `]` or `}`")
        self._place = closing.place
        return Range(first, last, opening.text == "[", closing.text == "]")

    def _value(self) -> Value:
        token = self.peek(value=True)
        if token.kind not in {"word", "quoted"} or (token.kind == "word" and token.text in _JOINING):
            raise self.fault("should be a value")
        self._place = token.place
        return Value(token.text, token.kind == "quoted")

    def _take_word(self, word: str, *, value: bool = False) -> bool:
        token = self.peek(value=value)
        if not _is_word(token, word):
            return False
        self._place = token.place
        return True

    def _begins_another(self) -> bool:
        token = self.peek()
        if token.kind == "mark":
            return token.text == "("
        return token.kind != "end" and not _is_word(token, "OR") and not _is_word(token, "TO")

    def _expect(self, mark: str) -> None:
        token = self.peek(value=True)
        if token.kind != "mark" or token.text != mark:
            raise self.fault(f"should be `{mark}`")
        self._place = token.place

    def fault(self, what: str) -> BadCallError:
        """Say what is wrong at the present place."""
        rest = self._text[self._place :].strip()
        found = repr(shown(rest)) if rest else "its end"
        return BadCallError(f"Query parsing failed at character {self._place + 1}: {found} {what}")


def _is_word(token: _Token, word: str) -> bool:
    return token.kind == "word" and token.text == word
