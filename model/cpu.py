"""What the processor can do, as far as it decides how INT8 sums are computed."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@cache
def int8_sums_may_overflow() -> bool:
    """Whether ONNX Runtime's fastest INT8 kernels can overflow here.

    On x86 without VNNI they add products in 16 bits (``VPMADDUBSW``), which saturates. ONNX Runtime has exact
    kernels for those processors; on a processor with VNNI they would only cost half of the speed.
    """
    if platform.machine().lower() not in {"x86_64", "amd64", "i686", "x86"}:
        return False
    try:
        return "vnni" not in _CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
