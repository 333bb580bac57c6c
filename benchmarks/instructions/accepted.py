"""What is accepted, and whether what was counted now is: a regression above a bound fails."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ACCEPTED = Path(__file__).parents[1] / "results" / "instructions.json"
BOUND = 0.05
ACCEPT = "python -m benchmarks.instructions --accept"
MET, REGRESSED, NOT_COUNTED, NOT_COMPARED = range(4)
"""Exit codes."""


class Verdict(NamedTuple):
    """What to print, and the exit code."""

    text: str
    code: int


def interpreter() -> str:
    """What counts are good for: another Python, or another processor's, has others."""
    major, minor, _ = platform.python_version_tuple()
    return f"{platform.python_implementation()} {major}.{minor} {platform.machine()}"


def accepted() -> dict[str, dict[str, int]]:
    """Instructions per image by interpreter and part."""
    found: dict[str, dict[str, int]] = json.loads(ACCEPTED.read_text("utf-8")) if ACCEPTED.exists() else {}
    return found


def accept(counts: Mapping[str, int]) -> None:
    """Let these be what the next ones are held against."""
    everything = accepted() | {interpreter(): dict(counts)}
    ACCEPTED.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")


def judged(now: Mapping[str, int], before: Mapping[str, int] | None) -> Verdict:
    """Hold counts against those that are accepted.

    Args:
        now: By part.
        before: By part; None: nothing is accepted for this interpreter.
    """
    if before is None:
        text = f"no counts are accepted for {interpreter()}: nothing is compared; to accept these: {ACCEPT}"
        return Verdict(text, NOT_COMPARED)
    lines, code = [], MET
    for part, count in now.items():
        if part not in before:
            lines.append(f"{part:8}{count:>12,} instructions per image, and none are accepted: {ACCEPT}")
            continue
        change = count / before[part] - 1
        line = f"{part:8}{before[part]:>12,} ->{count:>12,} instructions per image {change:+7.1%}"
        if count > before[part] * (1 + BOUND):
            code = REGRESSED
            line += f": {part} regressed by more than {BOUND:.0%}; mend it, or accept it: {ACCEPT}"
        elif change < -BOUND:
            line += f"; to hold the next ones against this: {ACCEPT}"
        lines.append(line)
    return Verdict("\n".join(lines), code)
