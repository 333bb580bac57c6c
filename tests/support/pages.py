"""The pages that people read, taken apart: what is typed, shown, named and linked in them."""

import ast
import re
import shlex
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

API = "http://127.0.0.1:6066"
ROOT = Path(__file__).parents[2]
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A Markdown file.

    Attributes:
        path: Its place, from the root of the repository.
    """

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text("utf-8")

    @property
    def prose(self) -> str:
        """The text without what is fenced."""
        return _FENCE.sub("", self.text)

    def fenced(self, language: str) -> list[str]:
        """The fenced blocks of a language."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)

    def section(self, title: str) -> str:
        """The text below the heading that begins like that."""
        return self.text.partition(f"\n## {title}")[2].partition("\n## ")[0]

    @property
    def code_spans(self) -> list[str]:
        """What stands between backquotes."""
        return re.findall(r"`([^`\n]+)`", self.prose)

    @cached_property
    def typed(self) -> list[list[str]]:
        """Whatever a reader may type, in words: `$` lines, and code spans that begin with a program."""
        joined = "\n".join(self.fenced("console")).replace("\\\n", " ")
        lines = [line[2:].partition(" #")[0] for line in joined.splitlines() if line.startswith("$ ")]
        programs = r"(\.venv/bin/)?(tagstream|python|make|curl)( |$)"
        return [words_of(line) for line in [*lines, *filter(re.compile(programs).match, self.code_spans)]]

    @property
    def links(self) -> list[str]:
        """Where links and pictures lead within the repository, without anchors."""
        targets = re.findall(r"\]\(([^)\s]+)\)", self.prose)
        return [link.partition("#")[0] for link in targets if "://" not in link and not link.startswith("#")]


def words_of(line: str) -> list[str]:
    """A command line's words, without the variables that are set for it and the folder of its program."""
    words = shlex.split(line)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else words


def table_rows(text: str) -> list[list[str]]:
    """Cells of the rows of all tables in a text, without their heads."""
    bodies = re.findall(r"^\|[-| ]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("| \n").split(" | ")] for row in "".join(bodies).splitlines()]


@cache
def served_routes() -> set[str]:
    """Paths in the code of the API, however the routes are made."""
    sources = [*(ROOT / "streams" / "web").rglob("*.py")]
    strings = (
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in strings if re.fullmatch(r"/[\w{}/.]+", text)}


def route_pattern(route: str) -> re.Pattern[str]:
    """A pattern of the paths of a route, with or without a query."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/?]+", re.escape(route)) + r"(\?.*)?")


def _pages() -> list[Page]:
    beside = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "schemas/README.md", "model/README.md"]
    beside += ["model/MODEL_CARD.md", "examples/README.md"]
    beside += ["benchmarks/results/README.md", "streams/photos/README.md"]
    inside = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return [Page(path) for path in [*beside, *inside]]


PAGES = _pages()
README = Page("README.md")
