"""How a worker ends itself: at once. What is committed is the truth, and loading it again is the cure."""

import logging
import os
from typing import NoReturn

from schemas.errors import KafkaRefusalError, SettingsError, TopicsError
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import lasting_fault

EXIT_RESTART = 70  # sysexits' EX_SOFTWARE: start again from what was committed
EXIT_UNUSABLE = 78  # sysexits' EX_CONFIG: something must be changed first

log = logging.getLogger(__name__)

_OPERATORS = (SettingsError, TopicsError, KafkaRefusalError)


def tell_unusable(fault: str) -> None:
    """Say as the last line what must be changed before the process starts again."""
    log.critical("ending the process, something must be changed before it starts again: %s", fault)


def end_process(connection: KafkaConnection, where: str, error: BaseException) -> NoReturn:
    """End the process: with 70 for a restart, or with 78 where that cannot help."""
    fault = str(error) if isinstance(error, _OPERATORS) else lasting_fault(error, connection)
    if fault is not None:
        tell_unusable(fault)
        code = EXIT_UNUSABLE
    else:
        begin = "ending the process, so that a restart begins from what was committed"
        log.critical("%s: %s: %r", begin, where, error)
        code = EXIT_RESTART
    logging.shutdown()
    os._exit(code)
