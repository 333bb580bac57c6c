"""Faults of whoever serves the image."""


class SourceError(Exception):
    """The fault of whoever serves the image.

    Attributes:
        code: A short machine code, the dead letter's reason.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceGoneError(SourceError):
    """The image cannot be had, and asking again does not help."""


class SourceBusyError(SourceError):
    """The image cannot be had now; asking again may help.

    Attributes:
        retry_after: Seconds that the source asked us to wait, if it did.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
