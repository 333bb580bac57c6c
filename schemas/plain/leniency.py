"""Numbers where texts are meant, and the reverse: one rule for all fields.

A whole number stands for its digits, and digits stand for the number. Nothing else is taken for anything.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

_DIGITS = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?")
_NEVER_NUMBERS = frozenset({"url", "type", "uploaded_at", "notification_url", "context"})
_TEXT, _NUMBERS = inspect.StrType, (inspect.IntType, inspect.FloatType)


def as_meant(data: bytes, kind: type[msgspec.Struct]) -> Any:  # noqa: ANN401 - JSON
    """The JSON of an event with each number as the text that is meant, and the reverse."""
    return _meant(msgspec.json.decode(data), inspect.type_info(kind))


def _meant(value: Any, kind: inspect.Type) -> Any:  # noqa: ANN401 - JSON
    kinds = _members(kind)
    if isinstance(value, dict):
        struct = next((each for each in kinds if isinstance(each, inspect.StructType)), None)
        return _fields(value, struct) if struct else value
    if isinstance(value, list):
        items = next((each.item_type for each in kinds if isinstance(each, inspect.ListType)), None)
        return [_meant(item, items) for item in value] if items else value
    takes_text = any(isinstance(each, _TEXT) for each in kinds)
    takes_number = next((each for each in kinds if isinstance(each, _NUMBERS)), None)
    if type(value) is int and takes_text and takes_number is None:
        return str(value)
    if type(value) is str and takes_number is not None and not takes_text:
        return _number(value, takes_number)
    return value


def _members(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    plain = kind.type if isinstance(kind, inspect.Metadata) else kind
    if not isinstance(plain, inspect.UnionType):
        return (plain,)
    return tuple(member for each in plain.types for member in _members(each))


def _fields(value: Mapping[str, Any], struct: inspect.StructType) -> dict[str, Any]:
    kinds = {field.encode_name: field.type for field in struct.fields}
    return {
        name: _meant(each, kinds[name]) if name in kinds and name not in _NEVER_NUMBERS else each
        for name, each in value.items()
    }


def _number(text: str, kind: inspect.Type) -> int | float | str:
    if isinstance(kind, inspect.IntType):
        return int(text) if _DIGITS.fullmatch(text) else text
    return float(text) if _DECIMAL.fullmatch(text) else text
