"""The Makefile: how it is told from its help what a target costs, and which Python it takes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = """#!/bin/sh
exec {python} -c "import sys; sys.version = '3.10.13 (main)'; sys.version_info = (3, 10, 13); $2"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make` needs of a checkout without a virtual environment."""
    (tmp_path / "checkout" / ".locks").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", ".locks/run.txt", ".locks/build.txt", ".locks/dev.txt"):
        (tmp_path / "checkout" / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path / "checkout"


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python that says that it is 3.10."""
    path = tmp_path / "python3.10"
    path.write_text(OLD.format(python=sys.executable))
    path.chmod(0o755)
    return path


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make; it must not take this run's own flags for its own."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", "-C", str(checkout), "--no-print-directory", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["run", "install", "test", "test-quick"])
def test_an_old_python_is_refused_in_one_line(target: str, checkout: Path, old_python: Path) -> None:
    """What is needed, what was found, and the cure; nothing is made before."""
    made = make(checkout, target, f"PYTHON={old_python}")
    assert made.returncode == 2
    assert made.stdout == ""
    (line,) = made.stderr.splitlines()
    assert f"Tagstream needs Python 3.11 or newer, and {old_python} is 3.10.13" in line
    assert f": make {target} PYTHON=python3.12." in line
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there(checkout: Path) -> None:
    """Without any the message is the same."""
    (line,) = make(checkout, "run", "PYTHON=no-such-python").stderr.splitlines()
    assert "Tagstream needs Python 3.11 or newer, and no-such-python is not to be found: make run" in line


def test_a_new_one_takes_the_place_of_an_old_one(checkout: Path, old_python: Path) -> None:
    """venv alone would leave the old Python in `.venv`, and pip its riddle."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    old_python.rename(checkout / ".venv" / "bin" / "python")
    plan = make(checkout, "--dry-run", "run", f"PYTHON={sys.executable}").stdout.splitlines()
    assert plan[0].split() == [sys.executable, "-m", "venv", "--clear", ".venv"]
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    plan = make(checkout, "--dry-run", "run", f"PYTHON={sys.executable}").stdout.splitlines()
    assert plan[0].split() == [sys.executable, "-m", "venv", ".venv"]


def test_the_help_says_how_long_each_target_takes(checkout: Path) -> None:
    """Nobody starts the 17 minutes for want of a word."""
    lines = make(checkout, "help").stdout.splitlines()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {line.split()[0] for line in lines} == targets
    untold = [line for line in lines if not re.search(r"seconds|minutes?|at once|how long", line)]
    assert untold == []
