"""Why a call is refused: a status that every SDK understands, and the message that its user reads."""

from collections.abc import Mapping
from typing import Any

import msgspec

SHOWN = 64  # characters of a stranger's value that a message repeats


class GatewayError(Exception):
    """A call that is refused, or that failed.

    Attributes:
        status: The HTTP status.
        message: What the caller reads: value, rule, cure.
        headers: More headers of the answer.
    """

    status = 500

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Give the answer's body, in the vendor's form."""
        return msgspec.json.encode({"error": {"message": self.message}})


class BadCallError(GatewayError):
    """The caller's fault."""

    status = 400


class UnknownCallerError(GatewayError):
    """Nobody who may do this."""

    status = 401


class ForbiddenError(GatewayError):
    """Somebody known who may not do this; the Upload API's clients do not read this status."""

    status = 403


class UnknownAssetError(GatewayError):
    """What the call is about does not exist."""

    status = 404


class TooOftenError(GatewayError):
    """Too many calls, or too much at once."""

    status = 420


class CallerGoneError(GatewayError):
    """The caller hung up before its call was whole: nobody reads the answer."""

    status = 400


def shown(value: Any) -> str:  # noqa: ANN401 - anything that a caller sent
    """Give a value as a message repeats it."""
    text = "".join(each if each.isprintable() else "�" for each in str(value)[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
