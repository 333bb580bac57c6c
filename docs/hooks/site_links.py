"""Links of the pages: they lead to the same thing on the site as in the repository."""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Texts that lie beside the code that they describe, and their pages on the site.
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/results/README.md": "benchmarks.md",
    "deploy/README.md": "deploying.md",
    "examples/README.md": "examples.md",
    "model/MODEL_CARD.md": "model-card.md",
    "model/README.md": "models.md",
    "schemas/README.md": "records.md",
    "README.md": "index.md",
}
_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1`*\s*?$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_PICTURES = frozenset({".svg", ".png", ".jpg"})


def origin_of(page: str) -> str:
    """The path in the repository of a page's text."""
    return next(
        (path for path, place in ELSEWHERE.items() if place == page and page != "index.md"), f"docs/{page}"
    )


def place_of(path: str) -> str:
    """The page of the site that has a path of the repository; files of the code have pages of their own."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if path == "docs" or path.startswith("docs/"):
        inside = path.removeprefix("docs").lstrip("/")
        return posixpath.join(inside, "index.md") if (ROOT / path).is_dir() else inside
    return f"source/{path}" if Path(path).suffix in _PICTURES else f"source/{path}.md"


def rewritten(markdown: str, page: str, origin: str) -> str:
    """A text with its links as they must be at its place on the site."""

    def moved(link: re.Match[str]) -> str:
        target, hash_, anchor = link[2].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        relative = posixpath.relpath(place_of(path), posixpath.dirname(page) or ".")
        return f"{link[1]}{relative}{hash_}{anchor}{link[3]}"

    return _outside_fences(markdown, lambda text: _LINK.sub(moved, text))


def targets(markdown: str, origin: str) -> Iterator[str]:
    """The paths in the repository that a text links to."""
    for link in _LINK.finditer(_FENCE.sub("", markdown)):
        target = link[2].partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, last = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, change(markdown[last:])])
