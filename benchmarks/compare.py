"""Two results side by side.

    python -m benchmarks.compare OLD.json NEW.json

One line per ratio, and per count of instructions. `*` marks ratios whose runs do not overlap, all of one
above all of the other, and counts that differ by more than a hundredth.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_APART = 0.01
_SPREAD = {"median", "least", "greatest"}


def ratios(report: Any, path: str = "") -> Iterator[tuple[str, dict[str, float]]]:  # noqa: ANN401 - JSON
    """Every ratio in a report that has a spread, with its path."""
    if not isinstance(report, dict):
        return
    if report.keys() >= _SPREAD:
        if "_over_" in path:
            yield path, report
        return
    for name, value in report.items():
        yield from ratios(value, f"{path}.{name}" if path else name)


def compared(old: dict[str, float], new: dict[str, float]) -> str:
    """Both medians, and whether they differ for sure."""
    apart = old["least"] > new["greatest"] or new["least"] > old["greatest"]
    return f"{old['median']:6.3f} -> {new['median']:6.3f} {'*' if apart else ''}"


def main() -> None:
    """Print the comparison."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    reports = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    old, new = (dict(ratios(report)) for report in reports)
    for path in old.keys() & new.keys():
        print(f"{path:60} {compared(old[path], new[path])}")
    before, now = (report.get("instructions") or {} for report in reports)
    for part in before.keys() & now.keys():
        apart = abs(now[part] / before[part] - 1) > _APART
        print(f"{f'instructions.{part}':60} {before[part]:,} -> {now[part]:,} {'*' if apart else ''}")


if __name__ == "__main__":
    main()
