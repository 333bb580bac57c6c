"""On what, and of what, figures were measured."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from streams.cli.local.kafka_jars import read_lock

_PACKAGES = ("onnxruntime", "pillow", "numpy", "aiokafka", "aiohttp", "httpx", "uvloop", "faust-streaming")
_PEERS = ("quixstreams", "bytewax", "mosec")


def commit() -> str:
    """The commit, marked where files were changed since."""

    def git(*words: str) -> str:
        answer = subprocess.run(["git", *words], capture_output=True, text=True, check=False)  # noqa: S607
        return answer.stdout.strip()

    name = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{name}-changed" if changed else name


def machine() -> dict[str, Any]:
    """Describe the machine, and how busy it is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 1e9, 1),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def versions(peers_python: Path) -> dict[str, str]:
    """The versions of what the figures depend on."""
    found = {"python": platform.python_version(), "kafka": _kafka()}
    found |= {name: metadata.version(name) for name in _PACKAGES}
    program = "import sys; from importlib.metadata import version as v; print(v(sys.argv[1]))"
    for name in _PEERS if peers_python.exists() else ():
        answer = subprocess.run(
            [peers_python, "-c", program, name], capture_output=True, text=True, check=False
        )
        found[name] = answer.stdout.strip() or "not installed"
    return found


def _kafka() -> str:
    coordinates = (jar.coordinate for jar in read_lock())
    return next(each.rpartition(":")[2] for each in coordinates if ":kafka-clients:" in each)
