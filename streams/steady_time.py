"""The time of day that no step of the machine's clock moves."""

import time

_OFFSET = time.time() - time.monotonic()


def steady_time() -> float:
    """Give seconds since the epoch: the clock's at the start of the process, and what has passed since."""
    return _OFFSET + time.monotonic()
