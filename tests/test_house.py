"""The house keeps its rooms small: nobody searches a long folder for a module."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST = 15
FOLDERS = sorted(
    folder
    for package in ("streams", "model", "schemas", "tests")
    for folder in (ROOT / package, *(ROOT / package).rglob("*/"))
    if any(folder.glob("*.py"))
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_no_folder_is_crowded(folder: Path) -> None:
    """At most 15 modules lie in one folder."""
    assert len(list(folder.glob("*.py"))) <= MOST


@pytest.mark.parametrize("package", ["streams", "model", "schemas"])
def test_each_room_says_what_it_is_for(package: str) -> None:
    """Every folder with modules is a package whose docstring is more than a word."""
    rooms = {path.parent for path in (ROOT / package).rglob("*.py")}
    mute = {
        room for room in rooms if len((room / "__init__.py").read_text("utf-8")) < len('"""A room."""\n') * 3
    }
    assert mute == set()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout knows what is committed")
def test_the_top_level_holds_what_it_is_meant_to() -> None:
    """Folders of the program and of its keeping, and files that tools look for there; nothing else."""
    git = shutil.which("git") or "git"
    listing = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    folders = "streams model schemas tests docs examples deploy benchmarks .ci .github .locks"
    files = "pyproject.toml Makefile Dockerfile docker-compose.yml mkdocs.yml .gitignore .dockerignore"
    texts = "LICENSE NOTICE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md"
    assert {path.partition("/")[0] for path in listing.stdout.splitlines()} == {
        *folders.split(),
        *files.split(),
        *texts.split(),
    }
