"""Parameters of questions: what their text means, and how a breach of their rule is explained.

A question is a frozen dataclass (`kw_only=True`) whose fields are `Annotated[type, Parameter(...)]`; the
same declaration reads the request and writes the OpenAPI document.
"""

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from schemas.names import MAX_NAME, VISIBLE, check_visible
from streams.web.access.errors import BadQuestionError

Q = TypeVar("Q")
T_co = TypeVar("T_co", covariant=True)

MAX_LIMIT = 1000
_SHOWN = 64  # characters of a refused value that its explanation repeats


@dataclass(frozen=True)
class Kind(Generic[T_co]):
    """What the text of a parameter may be.

    Attributes:
        parse: Gives its meaning; raises ValueError where it breaks the rule.
        rule: Completes "must be".
        example: A text that is fine.
        schema: The rule as JSON Schema.
    """

    parse: Callable[[str], T_co]
    rule: str
    example: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A parameter; its name is that of the field, without a trailing underscore.

    Attributes:
        default: What an absent one is read as; None: the field is None, or () where it repeats.
        most: How often it may come; beyond 1 the field is a tuple.
    """

    kind: Kind[object]
    description: str
    default: str | int | float | None = None
    required: bool = False
    most: int = 1


def whole_number(least: int, most: int) -> Kind[int]:
    """Make the kind of a whole number within bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
            raise ValueError(text)
        return int(_within(int(text), least, most))

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(parse, f"a whole number from {least} to {most}", str(least), schema)


def number(least: float, most: float) -> Kind[float]:
    """Make the kind of a decimal number within bounds."""

    def parse(text: str) -> float:
        if not text.isascii() or len(text) > _SHOWN:
            raise ValueError(text)
        return _within(float(text), least, most)

    schema = {"type": "number", "minimum": least, "maximum": most}
    return Kind(parse, f"a number from {least} to {most}", str(most), schema)


def one_of(*options: str) -> Kind[str]:
    """Make the kind of a word out of a few."""

    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return Kind(parse, f"one of {', '.join(options)}", options[0], {"type": "string", "enum": list(options)})


def _within(value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ValueError(value)
    return value


def _name(text: str) -> str:
    if len(text) > MAX_NAME:
        raise ValueError(text)
    check_visible("", "", text)
    return text


def _prefix(text: str) -> str:
    return _name(text) if text else ""


_TEXT_RULE = f"visible text of at most {MAX_NAME} characters"
NAME = Kind(_name, _TEXT_RULE, "koala", {"type": "string", "maxLength": MAX_NAME, "pattern": VISIBLE})
PREFIX = Kind(
    _prefix,
    f"empty or {_TEXT_RULE}",
    "ko",
    {"type": "string", "maxLength": MAX_NAME, "pattern": f"^$|{VISIBLE}"},
)

Tenant = Annotated[str, Parameter(PREFIX, "Whose images; empty: those without a tenant.", default="")]
Limit = Annotated[int, Parameter(whole_number(1, MAX_LIMIT), "At most so many rows.", default=20)]


def parameters_of(question: type[Any]) -> dict[str, Parameter]:
    """Give the parameters of a question's type by field."""
    hints = typing.get_type_hints(question, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in dataclasses.fields(question)}


def read_question(
    question: type[Q], parameters: Mapping[str, Parameter], given: Mapping[str, Sequence[str]]
) -> Q:
    """Read a question from the texts of its parameters.

    Args:
        question: What to make.
        parameters: Those of the question by field, from `parameters_of`.
        given: The texts by parameter.

    Raises:
        BadQuestionError: A parameter is unknown, missing, too frequent, or breaks its rule.
    """
    unknown = sorted(given.keys() - {wire_name(field) for field in parameters})
    if unknown:
        known = ", ".join(map(wire_name, parameters)) or "none"
        raise BadQuestionError(
            "unknown_parameter", f"{unknown[0][:_SHOWN]!r} is no parameter; known: {known}"
        )
    return question(
        **{
            field: _read(wire_name(field), parameter, given.get(wire_name(field), ()))
            for field, parameter in parameters.items()
        }
    )


def wire_name(field: str) -> str:
    """Give the name of a field's parameter: `all_` is asked for as `all`."""
    return field.removesuffix("_")


def _read(name: str, parameter: Parameter, texts: Sequence[str]) -> object:
    if not texts:
        return _absent(name, parameter)
    if len(texts) > parameter.most:
        message = f"{name} comes {len(texts)} times; say it at most {_times(parameter.most)}"
        raise BadQuestionError(f"invalid_{name}", message)
    values = tuple(_parse(name, parameter.kind, text) for text in texts)
    return values if parameter.most > 1 else values[0]


def _absent(name: str, parameter: Parameter) -> object:
    if parameter.required:
        kind = parameter.kind
        message = f"{name} is missing; it must be {kind.rule}, such as {name}={kind.example}"
        raise BadQuestionError(f"invalid_{name}", message)
    if parameter.most > 1:
        return ()
    return None if parameter.default is None else parameter.kind.parse(str(parameter.default))


def _parse(name: str, kind: Kind[object], text: str) -> object:
    try:
        return kind.parse(text)
    except ValueError:
        message = f"{name} {text[:_SHOWN]!r} must be {kind.rule}, such as {name}={kind.example}"
        raise BadQuestionError(f"invalid_{name}", message) from None


def _times(most: int) -> str:
    return "once" if most == 1 else f"{most} times"
