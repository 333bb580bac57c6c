"""Has glibc give large blocks back to the system as soon as they are freed.

By default it learns to keep blocks of up to 32 MB for reuse, in an arena per thread. Pillow's images come in
blocks of 16 MB, so that each thread that ever decoded a large image would keep hundreds of megabytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 4 << 20  # what decoding a photo takes is smaller, and goes on being reused:
_KEPT = 32 << 20  # without this, glibc would give back even that


def return_large_blocks() -> bool:
    """Set the limits, for the whole process; return whether they were taken (other C libraries know none)."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
    return False
