"""`tagstream model train`: labelled photos to a model folder, and what it says of what it cannot use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from support.own.patterns import draw, write_patterns

from model import DEFAULT_ARTIFACT, Tagger
from streams.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 striped and 16 blotched pictures, and labels that name the striped ones."""
    folder = tmp_path_factory.mktemp("photos")
    write_patterns(folder)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["model", "train", *map(str, arguments)])


@pytest.mark.slow
def test_a_tag_is_learnt(photos: Path, tmp_path: Path) -> None:
    """The folder is a model that tags pictures that it has not seen, by the same network as the default's."""
    out = tmp_path / "patterns"
    result = run(photos, photos / "labels.csv", "--out", out, "--model-version", "7")
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert last.startswith(("tags=1 photos=32 map=0.9", "tags=1 photos=32 map=1.0"))
    assert f"TAGSTREAM_ADD_ONS=...,patterns={out}" in result.output
    report = json.loads((out / "report.json").read_bytes())
    assert (report["photos"], report["folds"], report["network"]) == (32, 5, "efficientnet_lite2_int8 1.2.0")
    assert [(tag["tag"], tag["photos"]) for tag in report["tags"]] == [("striped", 16)]
    assert "| striped | 16 |" in (out / "report.md").read_text()

    default, tagger = Tagger.load_all([DEFAULT_ARTIFACT, out])
    assert (tagger.name, tagger.version) == ("patterns", "7")
    assert tagger.source is default.source
    for kind in ("striped", "blotched"):
        draw(tmp_path / "new.png", kind, 99)
        (tags,) = tagger.tag([(tmp_path / "new.png").read_bytes()])
        assert [tag.name for tag in tags] == (["striped"] if kind == "striped" else [])

    judged = CliRunner().invoke(
        main, ["evaluate", str(photos), str(photos / "labels.csv"), "--model", str(out), "--json"]
    )
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["recall"] > 0.9


@pytest.mark.slow
def test_what_is_left_out_is_told(photos: Path, tmp_path: Path) -> None:
    """A tag with too few photos, and a photo that cannot be decoded; the rest is trained: exit code 1."""
    for path in photos.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad.png").write_bytes(b"no image")
    labels = tmp_path / "labels.csv"
    labels.write_text((photos / "labels.csv").read_text() + "bad.png,striped\n1.png,rare\n")
    result = run(tmp_path, labels, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["left_out"] == {"rare": 1}
    assert list(report["unreadable"]) == ["bad.png"]
    assert "left out: rare, with 1 photo" in result.stderr


def test_labels_that_are_too_few_are_refused(photos: Path, tmp_path: Path) -> None:
    """With the numbers, the rule and the cure; nothing is written."""
    result = run(photos, photos / "labels.csv", "--out", tmp_path / "out", "--min-photos", "17")
    assert result.exit_code == 2
    assert "'striped' has 16: a tag needs 17 photos that have it and 17 that do not" in result.stderr
    assert "label more photos" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_not_overwritten(photos: Path) -> None:
    result = run(photos, photos / "labels.csv", "--out", photos)
    assert result.exit_code == 78
    assert "is there already, and not empty: name a new folder" in result.stderr


def test_a_base_that_is_none_is_refused(photos: Path, tmp_path: Path) -> None:
    result = run(photos, photos / "labels.csv", "--out", tmp_path / "out", "--model", tmp_path)
    assert result.exit_code == 78
    assert "no manifest at" in result.stderr


def test_a_missing_photo_is_named(photos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,tag\nnone.png,striped\n")
    result = run(photos, labels, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "none.png" in result.stderr
