"""What a search expression means, as a tree."""

from dataclasses import dataclass
from typing import Literal

Operator = Literal[":", "=", ">", ">=", "<", "<="]


@dataclass(frozen=True)
class Value:
    """A value as it is written.

    Attributes:
        quoted: Whether it was in quotes: its `*` stand for themselves.
    """

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Range:
    """A range of values; `*` as a bound means none.

    Attributes:
        takes_first: Whether the lower bound belongs to it.
        takes_last: Whether the upper one does.
    """

    first: Value
    last: Value
    takes_first: bool
    takes_last: bool


@dataclass(frozen=True)
class Term:
    """A condition on a field.

    Attributes:
        field: Its name; empty: any of those that are searched without one.
        place: Where it is in the expression, for messages.
    """

    field: str
    operator: Operator
    value: Value | Range
    place: int = 0


@dataclass(frozen=True)
class Not:
    """What must not be."""

    of: "Node"


@dataclass(frozen=True)
class Every:
    """What must all be; nothing in it: always."""

    of: tuple["Node", ...]


@dataclass(frozen=True)
class Some:
    """Of which one at least must be."""

    of: tuple["Node", ...]


Node = Term | Not | Every | Some
EVERYTHING = Every(())
