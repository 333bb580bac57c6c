"""Why somebody is not answered, and what the answer's headers say about it."""

import math

from streams.web.access.errors import QuestionError


class RefusalError(QuestionError):
    """Somebody is not answered, whatever the question."""


class UnknownCallerError(RefusalError):
    """A token is needed, and there is none or none that is known."""

    status = 401

    def __init__(self, code: str, message: str) -> None:
        fault = ', error="invalid_token"' if code == "invalid_token" else ""
        super().__init__(code, message, {"www-authenticate": f'Bearer realm="tagstream"{fault}'})


class ForbiddenError(RefusalError):
    """The token is known, and is not for this."""

    status = 403


class WrongHostError(RefusalError):
    """The request is for a host that this is not."""

    status = 421

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, {"connection": "close"})


class TooOftenError(RefusalError):
    """Too many questions in a short time."""

    status = 429

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__("rate_limited", message, _after(seconds))


class BusyError(RefusalError):
    """Too much work at once, or a question that took too long."""

    status = 503

    def __init__(self, code: str, message: str, seconds: float = 1.0) -> None:
        super().__init__(code, message, _after(seconds))


def _after(seconds: float) -> dict[str, str]:
    return {"retry-after": str(max(math.ceil(seconds), 1))}
