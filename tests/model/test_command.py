"""``python -m model``: tags on the terminal, without Kafka."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model.__main__ import main

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"
KOALA = str(PHOTOS / "koala.jpg")


def test_it_runs_alone() -> None:
    """The command runs as a module and imports neither Kafka nor HTTP clients."""
    code = (
        "import sys, model.__main__; print([m for m in ('faust', 'aiokafka', 'httpx') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Each photo's name is followed by its tags, the best first, with three decimals."""
    assert main([KOALA, "--limit", "2"]) == 0
    name, first, second = capsys.readouterr().out.splitlines()
    assert name == KOALA
    assert first.split()[1] == "koala"
    assert second.split()[1] == "marsupial"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each photo is one line with its model and its tags."""
    assert main([KOALA, str(PHOTOS / "cat.jpg"), "--json"]) == 0
    koala, cat = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    version = "1.2.0+objects-1.0.0+scenes-1.0.0"
    assert koala["model"] == {"name": "efficientnet_lite2_int8", "version": version}
    assert koala["tags"][0]["name"] == "koala"
    assert cat["photo"].endswith("cat.jpg")


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are missing or no images are named on stderr; the rest is tagged; the status is 1."""
    text = tmp_path / "notes.txt"
    text.write_text("no image", encoding="utf-8")
    assert main([str(text), str(tmp_path / "gone.jpg"), KOALA]) == 1
    shown = capsys.readouterr()
    assert "koala" in shown.out
    assert f"{text}: not_an_image:" in shown.err
    assert "gone.jpg: No such file or directory" in shown.err


def test_a_bad_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no model folder ends the command with status 2 and the reason."""
    assert main([KOALA, "--artifact", str(tmp_path)]) == 2
    assert "no manifest at" in capsys.readouterr().err


def test_a_bad_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """A limit below 1 is refused with the rule."""
    with pytest.raises(SystemExit):
        main([KOALA, "--limit", "0"])
    assert "use 1 or more" in capsys.readouterr().err


def test_the_readme_is_right(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's example prints the tags that the README shows, in that order."""
    root = Path(__file__).parents[2]
    readme = (root / "model" / "README.md").read_text(encoding="utf-8")
    command, *shown = readme.split("```console\n")[1].split("```")[0].splitlines()
    monkeypatch.chdir(root)
    assert main(command.removeprefix("$ python -m model ").split()) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in printed] == [line.split()[-1] for line in shown]
