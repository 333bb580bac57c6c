"""What a re-tag prints for people, and for machines."""

import orjson
from rich.console import Console

from streams.cli.retag.job import Report, RetagOptions
from streams.cli.retag.plan import Fate
from streams.cli.retag.views import SHOWN_TAGS, as_json, report_view


def report(*, dry_run: bool, tags: int = 1) -> Report:
    made = Report(RetagOptions("autumn", "rules", dry_run=dry_run), total=1300, done=1200)
    made.fates.update({Fate.CHOSEN: 1300, Fate.UNKEPT: 7, Fate.OTHERS: 99})
    made.differences.note_update({"resources": [{"added": ["panda"], "removed": ["giant panda"]}] * 1100})
    made.differences.note_update({"resources": [{"added": [f"tag {n}" for n in range(tags)], "removed": []}]})
    made.rules = "0123456789ab"
    return made


def shown(made: Report) -> str:
    console = Console(width=100, no_color=True)
    with console.capture() as capture:
        console.print(report_view(made))
    return " ".join(capture.get().split())


def test_people_read_what_changed_the_most_first() -> None:
    """How many images, which tags, and why others were left out; those that nobody meant are not told."""
    text = shown(report(dry_run=False))
    assert text.startswith("1,200 images re-tagged, 1,101 changed by rules 0123456789ab")
    assert "giant panda 1,100 panda 1,100 tag 0 1" in text
    assert text.endswith(f"left out: 7 images {Fate.UNKEPT.value}")


def test_a_dry_run_says_so() -> None:
    """Nothing has changed yet."""
    assert "1,101 would change" in shown(report(dry_run=True))


def test_a_long_list_is_cut_and_says_so() -> None:
    """The line of JSON has them all."""
    made = report(dry_run=True, tags=60)
    assert f"and {62 - SHOWN_TAGS} more tags; --json has all" in shown(made)
    assert len(orjson.loads(as_json(made))["tags"]) == 62


def test_a_reason_commands_no_terminal() -> None:
    """It comes from a header of a topic: whoever may write there might put escape sequences in it."""
    made = report(dry_run=False)
    made.differences.failed.update({"\x1b]0;owned\x07\x9b2J": 1})
    text = shown(made)
    assert "failed: 1 image, \ufffd]0;owned\ufffd\ufffd2J" in text
    assert not {"\x1b", "\x07", "\x9b"} & set(text)


def test_failures_are_told_by_reason() -> None:
    """Each has its dead letter."""
    made = report(dry_run=False)
    made.differences.failed.update({"http_404": 2, "corrupt": 1})
    assert "failed: 2 images, http_404 failed: 1 image, corrupt" in shown(made)
    assert orjson.loads(as_json(made))["failed"] == {"http_404": 2, "corrupt": 1}
