"""examples/README.md and the programs speak of the same things."""

import io
import re
import tokenize
from pathlib import Path

import pytest
from support.examples import EXAMPLES, ROOT

README = (EXAMPLES / "README.md").read_text("utf-8")
COMMENTS = {".js": "//", ".java": "//", ".go": "//", ".php": "//", ".rb": "#"}
PROGRAMS = sorted(
    path.relative_to(EXAMPLES).as_posix()
    for path in EXAMPLES.rglob("*")
    if path.suffix in {".py", *COMMENTS} and "node_modules" not in path.parts
)
ROWS = re.findall(
    r"^\| \[([^\]]+)\]\(([^)]+)\) \| .+ \| `([^`]+)` \| \[[^\]]+\]\(([^)]+)\) \|$", README, re.MULTILINE
)


def code_lines(path: Path) -> int:
    """Lines with code: no blank ones, no comments, no docstrings."""
    text = path.read_text("utf-8")
    if path.suffix in COMMENTS:
        return sum(not re.match(rf"\s*({COMMENTS[path.suffix]}|$)", line) for line in text.splitlines())
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    skipped = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for before, token in zip([None, *tokens], tokens, strict=False):
        stands_alone = before is None or before.type in skipped
        if token.type in skipped or (token.type == tokenize.STRING and stands_alone):
            continue
        lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_each_program_has_its_row() -> None:
    """With links to program and test that lead somewhere, and no row of a program that is gone."""
    assert sorted(link for _, link, _, _ in ROWS) == PROGRAMS
    for name, link, _, test in ROWS:
        assert name == link
        assert (EXAMPLES / test).is_file(), test


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_short_and_says_how_to_run_it(program: str) -> None:
    """Ten to forty-five lines of code, and a head that has the command that the table has."""
    path = EXAMPLES / program
    assert 10 <= code_lines(path) <= 45
    head = re.split(r"\n(?:import|const|use|require|package|function) ", path.read_text("utf-8"))[0]
    [command] = [command for _, link, command, _ in ROWS if link == program]
    assert command in head, command


def test_its_commands_name_what_exists() -> None:
    """Whatever is shown can be typed in the project's folder."""
    for path in re.findall(r"(?<![\w./-])(?:examples|streams)/[\w./-]+\.(?:py|js|jpg)\b", README):
        assert (ROOT / path).is_file(), path
