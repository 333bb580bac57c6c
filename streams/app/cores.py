"""How many cores this process may use: those that it may run on, or its container's share of them."""

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of cgroup v2: how many microseconds of CPU there are in a period, or "max"; and the period's length."""


def available_cores() -> int:
    """Count them; a part of a core counts as one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _share() or cores)


def _share() -> int | None:
    try:
        quota, period = QUOTA.read_text("ascii").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup v2, no container, or no limit
        return None
