"""What leaves a transaction in doubt. Each ends the process; a restart begins from what was committed."""

from aiokafka.errors import KafkaError, ProducerFenced


class ClockError(RuntimeError):
    """The broker refuses records of our time: this machine's clock, or the broker's, is wrong."""


class CommitTimeoutError(RuntimeError):
    """Whether the transaction was committed is not known."""


def may_be_fenced(error: BaseException) -> bool:
    """Whether another owner may be why; aiokafka has no class for a fence while a transaction ends."""
    return isinstance(error, ProducerFenced) or type(error) is KafkaError
