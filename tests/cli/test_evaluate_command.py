"""`tagstream evaluate` on the sample photos, as a person calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model import DEFAULT_ARTIFACT
from streams.cli.trials.evaluate import evaluate

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"
LABELS = """\
file,tag
koala.jpg,koala
panda.jpg,giant panda
macaw.jpg,macaw
dog.jpg,German shepherd dog
cat.jpg,cat
castle.jpg,castle
coffee.jpg,espresso
mountain.jpg,mountain
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(LABELS, encoding="utf-8")
    return path


def call(*words: object) -> Result:
    return CliRunner().invoke(evaluate, [str(word) for word in words])


def figures(line: str) -> dict[str, float]:
    assert re.fullmatch(r"precision=\S+ recall=\S+ map=\S+ ece=\S+", line)
    return {name: float(value) for name, value in (pair.split("=") for pair in line.split())}


class Page(HTMLParser):
    """Collects what a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_last_line(labels: Path) -> None:
    """The sample photos are tagged well, and the last line of standard output says how well."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "evaluate", str(PHOTOS), str(labels)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = figures(done.stdout.splitlines()[-1])
    assert found["precision"] > 0.9
    assert found["recall"] > 0.85
    assert found["map"] > 0.9
    assert 0 <= found["ece"] < 0.2
    assert "marsupial" in done.stdout


def test_a_higher_threshold_loses_tags(labels: Path) -> None:
    """--threshold moves the line above which tags are predicted; ranking and calibration stay."""
    low = figures(call(PHOTOS, labels, "--threshold", "0.1").output.splitlines()[-1])
    high = figures(call(PHOTOS, labels, "--threshold", "0.9").output.splitlines()[-1])
    assert high["recall"] < low["recall"]
    assert (high["map"], high["ece"]) == (low["map"], low["ece"])


def test_some_tags_only(labels: Path) -> None:
    """--tag judges no others."""
    document = json.loads(call(PHOTOS, labels, "--tag", "animal", "--tag", "bird", "--json").output)
    assert [(tag["tag"], tag["true"]) for tag in document["tags"]] == [("animal", 5), ("bird", 1)]


def test_json(labels: Path) -> None:
    """--json is one document with the model, the figures, each tag and the bins of the calibration."""
    fast = DEFAULT_ARTIFACT.with_name("efficientnet_lite0_int8")
    document = json.loads(call(PHOTOS, labels, "--model", fast, "--json").stdout)
    assert document["model"]["name"] == "efficientnet_lite0_int8"
    assert document["photos"] == 8
    assert {tag["tag"] for tag in document["tags"]} >= {"koala", "marsupial", "animal"}
    assert sum(entry["count"] for entry in document["reliability"]) > 0
    assert document["unreadable"] == {}


def test_the_report_stands_alone_and_escapes(tmp_path: Path) -> None:
    """The HTML report holds its pictures, refers to nothing outside, and takes no file name for markup."""
    folder = tmp_path / "photos"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)>&.jpg"
    (folder / name).write_bytes((PHOTOS / "koala.jpg").read_bytes())
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,tag\n{name},macaw\n", encoding="utf-8")
    target, svg = tmp_path / "report.html", tmp_path / "diagram.svg"
    result = call(folder, labels, "--every-tag", "--report", target, "--diagram", svg)
    assert result.exit_code == 0
    page = Page()
    page.feed(target.read_text(encoding="utf-8"))
    assert page.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "script" not in page.tags
    assert name in page.text
    assert re.search(r"missed: .*macaw", page.text)
    assert svg.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,tag\nkoala.jpg,kaola\n", "did you mean 'koala'"),
        ("file,tag\nkaola.jpg,koala\n", "kaola.jpg"),
        ("photo,tag\nkoala.jpg,koala\n", "its first line must be 'file,tag'"),
    ],
)
def test_wrong_labels(tmp_path: Path, text: str, complaint: str) -> None:
    """Wrong labels end with code 2 and the cure, before anything is tagged."""
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    result = call(PHOTOS, path)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


def test_unknown_tags_may_be_left_out(tmp_path: Path) -> None:
    """--ignore-unknown leaves out rows that the model cannot know, and says how many tags that are."""
    path = tmp_path / "labels.csv"
    path.write_text("file,tag\nkoala.jpg,koala\nkoala.jpg,eucalyptus\n", encoding="utf-8")
    result = call(PHOTOS, path, "--ignore-unknown")
    assert result.exit_code == 0
    assert "left out, as the model does not know them: eucalyptus" in result.stderr


def test_a_photo_that_cannot_be_decoded(tmp_path: Path) -> None:
    """One bad file is named, the others are evaluated, and the exit code is 1."""
    (tmp_path / "koala.jpg").write_bytes((PHOTOS / "koala.jpg").read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    path = tmp_path / "labels.csv"
    path.write_text("file,tag\nkoala.jpg,koala\nbroken.jpg,dog\n", encoding="utf-8")
    result = call(tmp_path, path)
    assert result.exit_code == 1
    assert "broken.jpg: " in result.stderr
    assert "1 photo," in result.stdout


def test_a_model_that_is_none(labels: Path, tmp_path: Path) -> None:
    """A folder without a manifest ends with code 78, as with every command."""
    result = call(PHOTOS, labels, "--model", tmp_path)
    assert result.exit_code == 78
    assert "no manifest" in result.stderr


@pytest.mark.slow
def test_the_temperature(labels: Path) -> None:
    """--fit-temperature tells the manifest's and the one that suits these photos."""
    result = call(PHOTOS, labels, "--fit-temperature")
    assert re.search(r"temperature: 0\.659 in the manifest, \d\.\d+ suits these photos best", result.stderr)


def test_no_photo_can_be_decoded(tmp_path: Path) -> None:
    """Without a single photo there are no figures, and no traceback."""
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    path = tmp_path / "labels.csv"
    path.write_text("file,tag\nbroken.jpg,dog\n", encoding="utf-8")
    result = call(tmp_path, path, "--report", tmp_path / "report.html")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "precision=nan recall=nan map=nan ece=nan"
