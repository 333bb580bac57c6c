"""SECURITY.md: the tests and places that it names exist."""

import ast
import re
from pathlib import Path

import pytest

from streams.app.settings import Settings, variable

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")
TESTS = {
    node.name
    for path in (ROOT / "tests").rglob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}
THREATS = re.findall(r"^\| (.+) \| (.+) \| (`test_.+`) \|$", SECURITY, re.MULTILINE)


def test_there_are_threats() -> None:
    """Each has a defence and a test."""
    assert len(THREATS) >= 15


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", SECURITY))))
def test_tests_that_are_named_exist(name: str) -> None:
    """A defence is shown by a test that somebody can run."""
    assert name in TESTS


def test_settings_links_and_programs_exist() -> None:
    """What an operator is told to use is there."""
    known = {variable(name) for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"TAGSTREAM_[A-Z_]+", SECURITY)) <= known
    links = [link for link in re.findall(r"\]\(([^)]+)\)", SECURITY) if "://" not in link]
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"python -m ([\w.]+)", SECURITY)]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [path for path in links + modules if not (ROOT / path).exists()] == []
    assert set(re.findall(r"`make (\w+)", SECURITY)) <= set(targets)


def test_the_readme_leads_here() -> None:
    """Whoever finds a weakness finds the way to report it."""
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")
