"""`make mutants`: break one line at a time, and see that a test notices.

Each mutant of `mutant_list.py` is put into a copy of the tree, and the tests that must kill it are run there.
MUTANTS="fence clamp" runs those whose names contain one of these words; JOBS=2 runs two at a time. First the
same tests are run in an unchanged copy: a test that fails anyway kills nobody. The exit status is 1 if one
survives, or if its line is no longer there.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
_LIMIT = 600  # seconds that the tests of one mutant may take; one that hangs is killed as well
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Verdict(NamedTuple):
    """What became of a mutant, by which test, and in how many seconds."""

    mutant: Mutant
    fate: str
    by: str
    seconds: float

    @property
    def line(self) -> str:
        """It as a line."""
        return f"{self.fate:<9} {self.mutant.name:<44} {self.by} ({self.seconds:.0f} s)"


def copy_tree(folder: Path) -> None:
    """Copy what is in the working tree and not ignored; the virtual environment is lent."""
    git = shutil.which("git") or "git"
    listing = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))


def run_tests(folder: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy, up to the first that fails."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--timeout=120",
        *tests,
    ]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, f"FAILED {tests[0]} hung", "")


def try_out(mutant: Mutant) -> Verdict:
    """Put a mutant into a copy, and run its tests."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        copy_tree(folder)
        path = folder / mutant.file
        text = path.read_text("utf-8")
        if text.count(mutant.old) != 1:
            found = f"its text is {text.count(mutant.old)} times in {mutant.file}, must be there once"
            return Verdict(mutant, "no patch", found, 0.0)
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        ended = run_tests(folder, mutant.tests)
    seconds = time.monotonic() - began
    if ended.returncode == 0:
        return Verdict(mutant, "SURVIVED", ", ".join(mutant.tests), seconds)
    killer = _FAILED.search(ended.stdout)
    if killer is None or ended.returncode != 1:
        return Verdict(mutant, "no test", ended.stdout[-300:].strip() or ended.stderr[-300:], seconds)
    return Verdict(mutant, "killed", killer[1], seconds)


def check_unchanged(mutants: Sequence[Mutant]) -> str:
    """What is wrong with the tests where nothing is; empty: they pass."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="mutant-none-") as name:
        copy_tree(Path(name))
        ended = run_tests(Path(name), tests)
    return "" if ended.returncode == 0 else ended.stdout[-2000:]


def main(words: Sequence[str], jobs: int) -> int:
    """Try the mutants out; return the exit status."""
    chosen = [each for each in MUTANTS if not words or any(word in each.name for word in words)]
    print(f"{len(chosen)} mutants; first their tests without any", flush=True)
    if fault := check_unchanged(chosen):
        print(f"{fault}\nthe tests fail without a mutant: mend them first")
        return 1
    fates = []
    with ThreadPoolExecutor(jobs) as threads:
        for verdict in threads.map(try_out, chosen):
            print(verdict.line, flush=True)
            fates.append(verdict.fate)
    left = len(fates) - fates.count("killed")
    print(f"mutants={len(fates)} killed={fates.count('killed')} left={left}")
    return 1 if left or not fates else 0


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    sys.exit(main(os.environ.get("MUTANTS", "").split(), int(os.environ.get("JOBS") or 1)))
