"""A graph's bytes with more of its tensors as outputs, without a library that can edit graphs.

ONNX files are protocol buffers, of which two in a row are one: its parts are merged, its lists joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_GRAPH = 7  # the field of ModelProto
_OUTPUT = 12  # the field of GraphProto
_NAME = 1  # the field of ValueInfoProto
_BYTES = 2  # the wire type of what has a length
_SEVEN = 7


def with_outputs(graph: bytes, names: Iterable[str]) -> bytes:
    """Add tensors to a graph's outputs; their types are found when it is loaded."""
    infos = (_field(_OUTPUT, _field(_NAME, name.encode())) for name in names)
    return graph + _field(_GRAPH, b"".join(infos))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >> _SEVEN:
        digits.append(number & 0x7F | 0x80)
        number >>= _SEVEN
    return bytes([*digits, number])
