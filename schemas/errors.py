"""Faults by whose they are: the publisher's, the operator's, the cluster's, ours. Bad images: `model`."""

PARSE_CODES = {
    "empty_value": "The record's value is empty. Publish the upload event as JSON.",
    "event_too_large": "The event exceeds 1 MiB, or 256 KiB besides its `url`, or its key and headers exceed "
    "256 KiB. Publish a link to the image.",
    "invalid_json": "The value is not JSON in UTF-8, or nested without end.",
    "invalid_cloudevent": "The record claims to be a CloudEvent 1.0 and lacks what one needs.",
    "invalid_event": "A field is missing, or breaks its rule; the message names it.",
    "invalid_auto_tagging": "`auto_tagging` is not a number from 0 to 1.",
    "unknown_type": "The event's type is none that this version handles.",
}


class BadEventError(ValueError):
    """An upload event that no retry can mend.

    Attributes:
        code: A short machine code, the dead letter's reason; those of `parse_upload` are `PARSE_CODES`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SettingsError(ValueError):
    """The operator's fault: a setting names no sensible value."""


class TopicsError(RuntimeError):
    """The cluster's topics do not fit the settings."""


class KafkaRefusalError(RuntimeError):
    """Kafka does not let us in, or does not let us do what a worker must: somebody has to grant it."""


class InvariantError(RuntimeError):
    """Our fault: what a unit promises does not hold. The process must end."""
