"""Dead letters in the log: a line for each, as long as they are few."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable

from schemas.cloudevents import Headers
from schemas.dead_letters import read_fault
from schemas.replays import failed_place
from schemas.tracing import read_context

log = logging.getLogger(__name__)

MOST_LINES = 10  # for one reason in a period
PERIOD = 60.0  # seconds
_LONGEST = 300  # characters of a message: it may quote a stranger


class DeadLetterLog:
    """Tells of dead letters that are committed. Beyond `MOST_LINES` of a reason, of their number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._told = Counter[str]()

    def note(self, letters: Iterable[Headers]) -> None:
        """Take note of letters, by their headers."""
        for headers in letters:
            fault = read_fault(headers)
            self._told[fault.reason] += 1
            if self._told[fault.reason] <= MOST_LINES:
                where = _place(headers)
                text = "dead letter %s: %s"
                log.warning(
                    text, fault.reason, _printable(fault.message), extra={"reason": fault.reason, **where}
                )

    def tell_left_out(self) -> None:
        """Say how many were left out, once their period is over."""
        if self._clock() - self._since < PERIOD:
            return
        for reason, number in self._told.items():
            if number > MOST_LINES:
                text = "dead letters %s: %d more in the last %g s"
                left_out = number - MOST_LINES
                log.warning(text, reason, left_out, PERIOD, extra={"reason": reason, "left_out": left_out})
        self._told.clear()
        self._since = self._clock()


def _place(headers: Headers) -> dict[str, str | int]:
    failed, trace_id = failed_place(headers), read_context(headers).trace_id
    where: dict[str, str | int] = {} if trace_id is None else {"trace_id": trace_id}
    if failed is not None:
        where |= {"topic": failed.topic, "partition": failed.partition, "offset": failed.offset}
    return where


def _printable(text: str) -> str:
    """Without line breaks and control characters, and not too long."""
    shown = "".join(character if character.isprintable() else "�" for character in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}…"
