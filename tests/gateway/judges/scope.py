"""What scope.toml says of a test."""

import re
import tomllib
from pathlib import Path

from suites import Verdict

_SCOPE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
JAVA: dict[str, list[str]] = _SCOPE["java"]
PLACES = ("passed", "failed", "not applicable", "sent nothing")


def told(language: str, verdict: Verdict) -> tuple[str, str, str]:
    """One of the places; the name; and why."""
    if verdict.outcome == "passed":
        return "passed" if verdict.sent else "sent nothing", verdict.name, ""
    if verdict.outcome == "skipped":
        return "not applicable", verdict.name, f"skips itself: {verdict.said}"
    for pattern, why in _SCOPE["not_applicable"][language].items():
        if re.search(pattern, verdict.name):
            return "not applicable", verdict.name, why
    return "failed", verdict.name, verdict.said
