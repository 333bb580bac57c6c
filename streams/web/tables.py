"""Answers as tables: `format=csv` gives the list that an answer is about, a row for each element."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET

from streams.web.access.errors import BadQuestionError

FORMAT = "format"
FORMATS = ("json", "csv")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(answer: type[msgspec.Struct]) -> str | None:
    """The field of an answer that is its table: its only list of objects; None: it has none, or several."""
    found = [
        name
        for name, hint in get_type_hints(answer).items()
        if name != "as_of" and get_origin(hint) is list and _is_struct(get_args(hint)[0])
    ]
    return found[0] if len(found) == 1 else None


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def table_wanted(answer: type[msgspec.Struct], given: dict[str, list[str]]) -> bool:
    """Whether an answer is wanted as a table; takes the parameter that says so.

    Raises:
        BadQuestionError: It says something else, or the answer is no table.
    """
    texts = given.pop(FORMAT, ["json"])
    if len(texts) > 1 or texts[0] not in FORMATS:
        message = f"{FORMAT} {texts[-1][:64]!r} must be one of {', '.join(FORMATS)}, such as {FORMAT}=csv"
        raise BadQuestionError("invalid_format", message)
    if texts[0] == "json":
        return False
    if rows_of(answer) is None:
        raise BadQuestionError("invalid_format", "this answer is no table; leave format out")
    return True


def about(answer: msgspec.Struct) -> dict[str, str]:
    """What an answer says beside its table, as headers."""
    headers = {"tagstream-complete": str(getattr(answer, "complete", True)).lower()}
    cursor = getattr(answer, "cursor", None)
    return headers | ({"tagstream-cursor": cursor} if cursor else {})


def as_csv(answer: msgspec.Struct) -> bytes:
    """A row of names, and a row for each element. For any thread."""
    field = rows_of(type(answer)) or ""
    (kind,) = get_args(get_type_hints(type(answer))[field])
    names = kind.__struct_fields__
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in getattr(answer, field))
    return text.getvalue().encode()


def _cell(value: Any) -> str | int | float:  # noqa: ANN401 - a field of an answer
    if value is None or value is UNSET:
        return ""
    if isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, str):
        # Strangers' texts: a spreadsheet would run what begins so.
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, Sequence):
        return _cell(";".join(map(_name, value)))
    return msgspec.json.encode(value).decode()


def _name(value: Any) -> str:  # noqa: ANN401 - an element of a list
    """An element in a list of a cell: a text, or what an object is called."""
    if isinstance(value, msgspec.Struct):
        return str(getattr(value, value.__struct_fields__[0]))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
