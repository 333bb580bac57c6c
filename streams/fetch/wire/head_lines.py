"""Lines of an answer's head on their way to the parser, which takes no length twice.

RFC 9110, 8.6, lets a recipient take equal lengths as one; servers behind proxies do send two.
"""

import re

_NAME = b"content-length"
_EQUAL = re.compile(rb"\s*([0-9]{1,19})(?:\s*,\s*\1)*\s*")
_LONGEST = 256  # bytes of a line that is held back until it is whole


class HeadLines:
    """The lines of one head."""

    def __init__(self) -> None:
        self._held = b""
        self._within = False  # a line whose beginning has gone on
        self._length: bytes | None = None
        self._ended = False

    def passed(self, data: bytes) -> bytes:
        """What the parser is to have of some bytes: a length once. What is behind the head goes as it is."""
        if self._ended or not data:
            return data
        *whole, rest = (self._held + data).split(b"\n")
        lines, self._held = [line + b"\n" for line in whole], b""
        found: list[bytes] = []
        for number, line in enumerate(lines):
            if not self._within and not line.strip():
                self._ended = True
                return b"".join((*found, *lines[number:], rest))
            found.append(line if self._within else self._once(line))
            self._within = False
        return b"".join((*found, self._begun(rest)))

    def _begun(self, rest: bytes) -> bytes:
        """What goes on of a line that has no end yet."""
        if not rest or self._within:
            return rest
        # What may become the end of the head, or a length, is kept until that is clear.
        if rest == b"\r" or (len(rest) < _LONGEST and rest[: len(_NAME)].lower() == _NAME[: len(rest)]):
            self._held = rest
            return b""
        self._within = True
        return rest

    def _once(self, line: bytes) -> bytes:
        name, colon, value = line.partition(b":")
        found = _EQUAL.fullmatch(value) if colon and name.lower() == _NAME else None
        if found is None:
            return line
        if self._length == found[1]:
            return b""
        self._length = found[1]
        return name + b": " + found[1] + b"\r\n"
