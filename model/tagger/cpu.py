"""What the processor can do, as far as it decides how INT8 sums are computed."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_X86 = {"x86_64", "amd64", "i386", "i686", "x86"}


def int8_sums_may_overflow(machine: str | None = None, cpuinfo: Path = _CPUINFO) -> bool:
    """Whether ONNX Runtime's fastest INT8 kernels can overflow here.

    On x86 without VNNI they add products in 16 bits (``VPMADDUBSW``), which saturates. ONNX Runtime has exact
    kernels for those processors; on one with VNNI they would only cost half of the speed. Where an x86
    processor does not say what it has, being exact comes first.

    Args:
        machine: As :func:`platform.machine` gives it, which is the default.
        cpuinfo: Where Linux lists the processor's flags.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return False
    try:
        return "vnni" not in cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
