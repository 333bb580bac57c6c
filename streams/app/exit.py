"""How a worker ends itself: at once. What is committed is the truth, and loading it again is the cure."""

import logging
import os
from typing import NoReturn

from aiokafka.errors import KafkaError

from schemas.errors import InvariantError, KafkaRefusalError, SettingsError, TopicsError
from streams.app.exit_journal import ExitJournal
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import lasting_fault
from streams.kafka.producers import CommitTimeoutError
from streams.telemetry.metrics import OTHER
from streams.units.faults import ClockError, may_be_fenced

EXIT_RESTART = 70  # sysexits' EX_SOFTWARE: start again from what was committed
EXIT_UNUSABLE = 78  # sysexits' EX_CONFIG: something must be changed first

log = logging.getLogger(__name__)

OPERATORS_FAULTS = (SettingsError, TopicsError, KafkaRefusalError)  # these name rule and cure
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (CommitTimeoutError, "commit_unknown"),
    (ClockError, "clock"),
    (InvariantError, "invariant"),
    (KafkaError, "kafka"),
)


def reason_of_exit(error: BaseException) -> str:
    """Which of `streams.telemetry.metrics.EXITS` an end with 70 is, or `other`."""
    if may_be_fenced(error):
        return "fenced"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), OTHER)


def tell_unusable(fault: str) -> None:
    """Say as the last line what must be changed before the process starts again."""
    log.critical("ending the process, something must be changed before it starts again: %s", fault)


def end_process(
    connection: KafkaConnection, journal: ExitJournal, where: str, error: BaseException
) -> NoReturn:
    """End the process: with 70 for a restart, or with 78 where that cannot help; the journal hears why."""
    fault = str(error) if isinstance(error, OPERATORS_FAULTS) else lasting_fault(error, connection)
    if fault is not None:
        tell_unusable(fault)
        code = EXIT_UNUSABLE
    else:
        begin = "ending the process, so that a restart begins from what was committed"
        log.critical("%s: %s: %r", begin, where, error)
        code = EXIT_RESTART
    journal.end("unusable" if code == EXIT_UNUSABLE else reason_of_exit(error))
    logging.shutdown()
    os._exit(code)
