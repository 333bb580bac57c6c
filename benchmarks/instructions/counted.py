"""Counting: the runs of `work.py` under Valgrind, which counts what each process executes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

PARTS = {
    "fold": ("folded", "nothing"),
    "encode": ("committed", "folded"),
    "index": ("indexed", "committed"),
    "loop": ("unit", "short_unit"),
}
"""By part: the run with it, and the one without."""
_TOOL = ("--quiet", "--tool=cachegrind", "--cache-sim=no")
_SUMMARY = re.compile(r"^summary: (\d+)", re.MULTILINE)
_FIXED = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


class CountingError(Exception):
    """Nothing could be counted."""


def count() -> dict[str, int]:
    """Instructions per image of each part; takes half a minute.

    Raises:
        CountingError: Valgrind is missing, or a run failed.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CountingError(
            "valgrind is not installed, which counts instructions; `make programs` installs it"
        )
    with TemporaryDirectory() as folder:
        command = (valgrind, *_TOOL, f"--cachegrind-out-file={folder}/%p", sys.executable)
        made = subprocess.run(
            (*command, "-m", "benchmarks.instructions.work"),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": folder, **_FIXED},
            cwd=Path(__file__).parents[2],
        )
        if made.returncode:
            raise CountingError(f"counting ended with {made.returncode}: {made.stderr[-2000:]}")
        told = json.loads(made.stdout.splitlines()[-1])
        counts = {name: _counted(Path(folder, str(pid))) for name, pid in told["processes"].items()}
    return {part: (counts[whole] - counts[less]) // told["images"] for part, (whole, less) in PARTS.items()}


def _counted(path: Path) -> int:
    found = _SUMMARY.search(path.read_text("utf-8"))
    if found is None:
        raise CountingError(f"{path} has no summary: the process did not end as it should")
    return int(found[1])
