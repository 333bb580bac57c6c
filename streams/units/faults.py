"""What leaves a transaction in doubt. Each ends the process; a restart begins from what was committed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, ProducerFenced

T = TypeVar("T")
COMMIT_DEADLINE = 60.0  # seconds; past it the outcome is unknown


class ClockError(RuntimeError):
    """The broker refuses records of our time: this machine's clock, or the broker's, is wrong."""


class CommitTimeoutError(RuntimeError):
    """Whether the transaction was committed is not known."""


def may_be_fenced(error: BaseException) -> bool:
    """Whether another owner may be why; aiokafka has no class for a fence while a transaction ends."""
    return isinstance(error, ProducerFenced) or type(error) is KafkaError


def innermost(error: BaseException) -> BaseException:
    """What went wrong, where a group of tasks failed."""
    return innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def within_deadline(work: Coroutine[Any, Any, T]) -> T:
    """Wait for a transaction, and not for ever.

    Raises:
        CommitTimeoutError: There is no answer in time.
    """
    transaction = asyncio.create_task(work)
    # Not asyncio.timeout: aiokafka would then wait without end for the abort to be answered.
    await asyncio.wait({transaction}, timeout=COMMIT_DEADLINE)
    if not transaction.done():
        raise CommitTimeoutError(f"no answer to a commit within {COMMIT_DEADLINE:g} s")
    return transaction.result()
