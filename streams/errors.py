"""Faults by whose they are. Bad events: `schemas.errors`. Bad images: `model`."""


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


class SettingsError(ValueError):
    """The operator's fault: a setting names no sensible value."""


class TopicsError(RuntimeError):
    """The cluster's topics do not fit the settings."""


class KafkaRefusalError(RuntimeError):
    """Kafka does not let us in, or does not let us do what a worker must: somebody has to grant it."""


class InvariantError(RuntimeError):
    """Our fault: what the unit of work promises does not hold. The process must end."""
