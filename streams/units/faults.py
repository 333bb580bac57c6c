"""What leaves a transaction in doubt. Each ends the process; a restart begins from what was committed."""

from aiokafka.errors import KafkaError, ProducerFenced


class ClockError(RuntimeError):
    """The broker refuses records of our time: this machine's clock, or the broker's, is wrong."""


def may_be_fenced(error: BaseException) -> bool:
    """Whether another owner may be why; aiokafka has no class for a fence while a transaction ends."""
    return isinstance(error, ProducerFenced) or type(error) is KafkaError


def innermost(error: BaseException) -> BaseException:
    """What went wrong, where a group of tasks failed."""
    return innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
