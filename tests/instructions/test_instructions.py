"""Instructions per image are counted, and a regression is told by name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.instructions.accepted import BOUND, MET, NOT_COMPARED, NOT_COUNTED, REGRESSED, judged
from benchmarks.instructions.counted import count

ROOT = Path(__file__).parents[2]
BEFORE = {"fold": 1000, "encode": 200}


def test_what_is_no_more_than_accepted_passes() -> None:
    """Up to the bound, and below."""
    assert judged({"fold": 1000 + int(1000 * BOUND), "encode": 100}, BEFORE).code == MET


def test_a_regression_is_named() -> None:
    """With the figure before and now, and how to accept it; other parts are told as well."""
    verdict = judged({"fold": 1051, "encode": 200}, BEFORE)
    assert verdict.code == REGRESSED
    fold, encode = verdict.text.splitlines()
    assert "1,000" in fold
    assert "1,051" in fold
    assert "fold regressed" in fold
    assert "python -m benchmarks.instructions --accept" in fold
    assert "regressed" not in encode


def test_nothing_to_compare_with_is_no_regression() -> None:
    """Another Python has other counts: they are told, and how to accept them."""
    verdict = judged({"fold": 1051}, None)
    assert verdict.code == NOT_COMPARED
    assert "python -m benchmarks.instructions --accept" in verdict.text


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.instructions"])
def test_a_machine_without_valgrind_is_told_the_cure(tmp_path: Path, module: str) -> None:
    """At once, by `make bench` too, with an exit code of its own."""
    (tmp_path / "git").symlink_to(shutil.which("git") or "git")
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", module]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert made.returncode == NOT_COUNTED, made.stderr
    assert "valgrind is not installed" in made.stderr
    assert "make programs" in made.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("valgrind"), reason="`make programs` installs Valgrind")
def test_each_part_is_counted() -> None:
    """Of an image with eight tags: tens of thousands of instructions, and none twice."""
    counts = count()
    assert counts.keys() == {"fold", "encode", "index", "loop"}
    assert all(10_000 < number < 5_000_000 for number in counts.values()), counts
