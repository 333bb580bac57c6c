"""Memory that the state has let go of goes back to the system.

Python's own allocator keeps an arena of a megabyte for as long as one small object lives in it: a state that
had shrunk to a sixtieth still took all of its memory. The C library's gives pages back when it is asked to;
its calls cost about a tenth of the time that counting takes, less than a hundredth of an image's.
"""

import asyncio
import ctypes
import logging
import os
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)

LEAST = 16_000_000  # bytes of rows that must have gone: to look through the heap takes milliseconds
_INTERVAL = 5.0  # seconds between two looks at how much there is
_ALLOCATOR = "PYTHONMALLOC"


def use_the_system_allocator() -> None:
    """Start this program anew with the C library's allocator, where that one can give memory back.

    An allocator that the environment names stays.
    """
    if _ALLOCATOR not in os.environ and _malloc_trim() is not None:
        os.environ[_ALLOCATOR] = "malloc"
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - what runs already


async def give_back(size: Callable[[], int]) -> None:
    """Give memory back whenever much of the state is gone, for ever.

    Args:
        size: The bytes of all rows.
    """
    trim = _malloc_trim()
    if trim is None:
        return
    most = size()
    while True:
        await asyncio.sleep(_INTERVAL)
        now = size()
        most = max(most, now)
        if most - now >= LEAST:
            await asyncio.to_thread(trim, 0)
            log.info("the state has shrunk by %d MB: memory was given back", (most - now) // 1_000_000)
            most = now


def _malloc_trim() -> Callable[[int], int] | None:
    """Glibc's function; None on systems without it."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
