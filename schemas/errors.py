"""The fault of whoever published the event."""


class BadEventError(ValueError):
    """An upload event that no retry can mend.

    Attributes:
        code: A short machine code, the dead letter's reason.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
