"""The workflow does what .ci/run does, on every Python that is supported."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from support.pages import ROOT, Page, table_rows

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_it_fits_the_schema_of_workflows() -> None:
    """That which comes with check-jsonschema."""
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.github-workflows",
            str(WORKFLOW),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_runs_what_is_run_here() -> None:
    """The same targets in the same order."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (job,) = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert steps == re.findall(r"^make .*$", script, re.MULTILINE)
    assert steps == ["make --jobs=3 programs servers engines", "make check", "make docs", "make test"]


def test_it_takes_every_python() -> None:
    """Those that the package names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    (job,) = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == named


@pytest.mark.parametrize("target", ["install", "run", "test", "test-quick", "docs", "check", "bench"])
def test_what_takes_long_says_so(target: str) -> None:
    """`make help` tells what each target does, and of those that people type often how long it takes."""
    (told,) = re.findall(rf"^{target}:.*## (.*)$", MAKEFILE, re.MULTILINE)
    assert target == "run" or re.search(r"\bminutes?\b|\bseconds\b", told)


def test_contributors_are_told_of_targets() -> None:
    """Each of the table exists."""
    rows = table_rows(Page("CONTRIBUTING.md").section("First run"))
    named = {re.findall(r"`make ([a-z-]+)", row[0])[0] for row in rows}
    assert {"test", "test-quick", "check", "docs"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_a_test_that_contributors_are_shown_exists() -> None:
    """The file has one with the word after `-k` in its name."""
    (shown,) = [words for words in Page("CONTRIBUTING.md").typed if "-k" in words]
    (path,) = [word for word in shown if word.endswith(".py")]
    names = re.findall(r"def (test_\w+)", (ROOT / path).read_text("utf-8"))
    assert any(shown[shown.index("-k") + 1] in name for name in names)
