"""What the log tells of add-ons that fail."""

import logging
import threading
import time
from collections.abc import Callable

QUIET = 60.0  # seconds between two lines about an add-on that fails

log = logging.getLogger(__name__)


class FailureLog:
    """A log of add-ons' failures: the first with its traceback, later ones with how many there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, add_on: str, error: Exception) -> None:
        """Take note of a failure on one image. Callable from any thread."""
        with self._lock:
            now, last = self._clock(), self._told.get(add_on)
            if last is not None and now < last + QUIET:
                self._untold[add_on] = self._untold.get(add_on, 0) + 1
                return
            self._told[add_on] = now
            before = self._untold.pop(add_on, 0)
        if last is None:
            log.error("add-on %s failed on an image", add_on, exc_info=error)
        else:
            log.error("add-on %s failed on %d images: %r", add_on, before + 1, error)
