"""docs/operations.md says what is true: links, exit codes, statuses, permissions."""

import re
from pathlib import Path

from support.secure_broker import needed

from schemas.topics import TopicNames
from streams.app.exit import EXIT_RESTART, EXIT_UNUSABLE
from streams.app.roles import Role

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_links_lead_somewhere() -> None:
    """Every test that is named exists."""
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    paths = [link.partition("#")[0] for link in links]
    assert [path for path in paths if not (ROOT / "docs" / path).exists()] == []


def test_exit_codes_and_statuses_are_told() -> None:
    """Every status that the code of the worker and its health can give, and both codes of its own ends."""
    app = ROOT / "streams" / "app"
    sources = [app / "worker.py", *(app / "services").glob("*.py"), ROOT / "streams/web/api/health.py"]
    code = "".join(path.read_text("utf-8") for path in sources)
    given = set(re.findall(r'status\s*=\s*"([a-z ]+)"', code, re.IGNORECASE))
    given |= set(re.findall(r'None if .* else "([a-z ]+)"', code))
    given |= set(re.findall(r'READY, WAITING = "(\w+)", "([\w ]+)"', code)[0])
    assert len(given) > 5
    assert {status for status in given if f"`{status}`" not in TEXT} == set()
    assert {f"| {code} |" in TEXT for code in (EXIT_RESTART, EXIT_UNUSABLE)} == {True}


def test_exit_codes_of_all_commands_are_told() -> None:
    """Those of sysexits that the commands use."""
    told = TEXT.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {"0", "1", "2", "70", "78"} <= set(re.findall(r"\b(\d+)\b", told))
    assert re.search(r"0 when .* 1 when .* 2 when .* 78 as above", re.sub(r"\s+", " ", told))


def test_the_last_line_is_told() -> None:
    """Both ends begin with the same words."""
    code = (ROOT / "streams" / "app" / "exit.py").read_text("utf-8")
    (words,) = re.findall(r"at level CRITICAL and begins with `([a-z ]+)`", TEXT)
    assert code.count(f'"{words}, ') == code.count("log.critical(") == 2


def test_the_topics_to_be_granted_are_all_of_them() -> None:
    """Every topic's name is in the list of permissions, and every operation that the tests grant."""
    granted = TEXT.partition("## What a worker must be granted")[2].partition("\n## ")[0]
    names = TopicNames("APP")
    topics = {name.removeprefix("APP-") for name in names.configs}
    assert {name for name in topics if f"`{name}`" not in granted} == set()
    assert len({permission.operation for permission in needed(names)}) == len(
        {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"} & set(re.findall(r"[A-Z_]+", granted))
    )


def test_every_role_has_its_row() -> None:
    """The table of roles is whole."""
    told = TEXT.partition("## Roles")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE) == list(Role)
