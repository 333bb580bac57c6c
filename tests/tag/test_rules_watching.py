"""The rules file of a running worker: what is taken over, and what is not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from streams.fold.rules.content import RulesError
from streams.tag.rules_watch import RulesWatch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text("max_tags = 1")
    return path


def watch(path: Path | None) -> RulesWatch:
    return RulesWatch(path, 0.3, {"a": ("koala",)})


def look(rules: RulesWatch, times: int = 2) -> None:
    for _ in range(times):
        rules.look()


def test_no_file_means_no_rules() -> None:
    """The threshold of the settings holds all the same."""
    with watch(None) as rules:
        look(rules)
        assert (rules.current.content.threshold, rules.current.content.max_tags) == (0.3, None)
        assert rules.error is None


def test_a_change_holds_once_it_has_settled(path: Path) -> None:
    """A content that is seen once may be half written."""
    rules = watch(path)
    before = rules.current
    path.write_text("max_tags = 2")
    look(rules, 1)
    assert rules.current is before
    path.write_text("max_tags = 23")
    look(rules, 1)
    assert rules.current is before
    look(rules, 1)
    assert rules.current.content.max_tags == 23
    assert rules.current.hash != before.hash


def test_a_change_is_seen_by_its_content(path: Path) -> None:
    """A file of the same size and time counts as changed; one that is only touched does not."""
    rules = watch(path)
    before, times = rules.current, path.stat()
    path.touch()
    look(rules)
    assert rules.current is before
    path.write_text("max_tags = 2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    look(rules)
    assert rules.current.content.max_tags == 2


@pytest.mark.parametrize("wrong", ["max_tags = 0", "max_tags", None], ids=["rule", "syntax", "removed"])
def test_a_wrong_file_changes_nothing(
    path: Path, wrong: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and no more once the file is well again, changed or not."""
    rules = watch(path)
    before = rules.current
    if wrong is None:
        path.unlink()
    else:
        path.write_text(wrong)
    look(rules, 4)
    assert rules.current is before
    assert rules.error is not None
    assert rules.error.startswith(str(path))
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert f"The rules {before.hash} hold still" in caplog.text
    path.write_text("max_tags = 1")
    look(rules)
    assert rules.error is None
    assert rules.current.hash == before.hash


def test_a_wrong_file_at_the_start_is_refused(path: Path, tmp_path: Path) -> None:
    """There are no rules yet that could hold instead."""
    path.write_text("max_tags = 0")
    with pytest.raises(RulesError, match="max_tags = 0"):
        watch(path)
    with pytest.raises(RulesError, match="cannot be read"):
        watch(tmp_path / "none.toml")


def test_slips_are_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Unknown tags are no faults: the rules hold, and the log says what to look at."""
    path.write_text('block = ["koalla"]')
    watch(path)
    assert "did you mean 'koala'?" in caplog.text


def test_the_thread_looks_by_itself(path: Path) -> None:
    """While the context is entered; it ends with it."""
    with watch(path) as rules:
        path.write_text("max_tags = 7")
        deadline = time.monotonic() + 60
        while rules.current.content.max_tags != 7:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not rules._thread.is_alive()
