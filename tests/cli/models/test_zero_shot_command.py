"""`tagstream model zero-shot`: words become tags, with a pair of encoders that truly speak of one space."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from support.own.encoders import COLOURS, photo, write_encoders

from model import Tagger
from model.zero_shot.words import PHOTO_WORDS, entries_of, read_words
from streams.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

LABELS = "red\tred; a red thing\twarm\ngreen\tgreen\tcold; natural\nblue\tblue\tcold\n"
SIGLIP = ("--scale", "20", "--bias", "-14")


def write_photos(home: Path) -> list[str]:
    """A dozen photos of each colour; return the colour of each."""
    (home / "photos").mkdir()
    names = [list(COLOURS)[number % 3] for number in range(36)]
    for number, word in enumerate(names):
        (home / "photos" / f"{number}.png").write_bytes(photo(COLOURS[word], number))
    return names


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_encoders(tmp_path / "pair")
    (tmp_path / "labels.txt").write_text(LABELS)
    return tmp_path


def run(home: Path, *options: object, labels: str | None = "labels.txt") -> Result:
    pair = home / "pair"
    arguments = [pair / "vision_model.onnx", *([home / labels] if labels else [])]
    more = ["--text-encoder", pair / "text_model.onnx", "--out", home / "out", *options]
    return CliRunner().invoke(main, ["model", "zero-shot", *map(str, [*arguments, *more])])


def tags_of(home: Path, colour: tuple[int, ...]) -> dict[str, float]:
    (tags,) = Tagger.load(home / "out").tag([photo(colour)])
    return {tag.name: tag.confidence for tag in tags}


@pytest.mark.parametrize(("word", "general"), [("red", "warm"), ("green", "natural"), ("blue", "cold")])
def test_words_find_their_images(home: Path, word: str, general: str) -> None:
    """The likeliest tag of a coloured image is its colour's word, then its general words, a little less."""
    result = run(home, *SIGLIP)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "labels=3 activation=sigmoid scale=20 bias=-14 thresholds=0"
    tags = tags_of(home, COLOURS[word])
    assert next(iter(tags)) == word
    assert tags[word] > 0.9
    assert tags[general] == pytest.approx(0.95 * tags[word])
    assert all(tags.get(other, 0) < 0.1 for other in COLOURS if other != word)


def test_a_softmax_shares_out(home: Path) -> None:
    """Where labels exclude each other their probabilities add up to one, and general words to their sum."""
    result = run(home, "--activation", "softmax", "--scale", "5")
    assert result.exit_code == 0, result.output
    (tags,) = Tagger.load(home / "out").tag([photo(COLOURS["blue"])])
    found = {tag.name: tag.probability for tag in tags}
    assert sum(found.get(name, 0) for name in COLOURS) == pytest.approx(1, abs=0.02)
    assert found["cold"] == pytest.approx(found["blue"] + found["green"], abs=1e-3)


def test_scale_bias_and_thresholds_are_fitted(home: Path) -> None:
    """To labelled photos: what is like a word is likely, what is not is not, and a label has its own line."""
    rows = [f"{number}.png,{word}" for number, word in enumerate(write_photos(home))]
    (home / "photos.csv").write_text("\n".join(["file,tag", *rows, ""]))
    result = run(home, "--calibrate", home / "photos", home / "photos.csv")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith("thresholds=3")
    tags = tags_of(home, COLOURS["red"])
    assert tags["red"] > 0.9
    assert "blue" not in tags


def test_a_head_is_trained_on_embeddings(home: Path) -> None:
    """`tagstream model train --model` takes the encoder for what sees, and labels that are no words of it."""
    assert run(home, *SIGLIP).exit_code == 0
    names = {"red": "ours", "green": "", "blue": ""}
    rows = [f"{number}.png,{names[word]}" for number, word in enumerate(write_photos(home))]
    (home / "photos.csv").write_text("\n".join(["file,tag", *rows, ""]))
    arguments = [
        "train",
        home / "photos",
        home / "photos.csv",
        "--model",
        home / "out",
        "--out",
        home / "own",
    ]
    result = CliRunner().invoke(main, ["model", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "tags=1 photos=36 map=1.000"
    words, own = Tagger.load_all([home / "out", home / "own"])
    assert words.source is own.source
    found = own.tag([photo(COLOURS[word], 99) for word in COLOURS])
    assert [[tag.name for tag in tags] for tags in found] == [["ours"], [], []]


def test_prompts_are_averaged(home: Path) -> None:
    """Templates and phrases of a label make one embedding, of length 1, whatever their lengths."""
    assert run(home, *SIGLIP, "--prompt", "a photo of {}", "--prompt", "{} {} red").exit_code == 0
    table = np.load(home / "out" / "head.npy")
    assert np.linalg.norm(table[:, :3], axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    manifest = json.loads((home / "out" / "manifest.json").read_bytes())
    assert manifest["head"] == {"weights": "head.npy", "normalize": True, "scale": 20.0, "bias": -14.0}
    assert manifest["output"] == "image_embeds"
    assert manifest["input"]["mean"] == [0.1, 0.1, 0.1]


def test_the_words_that_come_along(home: Path) -> None:
    """Some hundreds, each once, each in a phrase; with those that people ask for first, and what is above."""
    words = read_words(PHOTO_WORDS)
    names = {word.name for word in words}
    asked = {
        "beach",
        "street",
        "field",
        "meadow",
        "grass",
        "sky",
        "party",
        "sunset",
        "woman",
        "pizza",
        "snow",
    }
    assert asked <= names
    assert 400 <= len(names) < 700
    general = {entry.name: entry for entry in entries_of(words, {})}
    beach, landscape = next(word for word in words if word.name == "beach"), general["landscape"]
    assert {"landscape", "outdoors"} <= {*beach.parents}
    assert words.index(beach) in landscape.classes
    assert {"person", "people", "event", "food", "animal", "vehicle", "weather"} <= general.keys()
    assert run(home, *SIGLIP, labels=None).exit_code == 0
    assert len(Tagger.load(home / "out").labels) == len(words)


@pytest.mark.parametrize(
    ("options", "code", "fault"),
    [
        ((), 78, "a sigmoid needs --scale and --bias: give the checkpoint's (SigLIP)"),
        ((*SIGLIP, "--prompt", "a photo"), 2, "--prompt 'a photo' has no {}"),
        ((*SIGLIP, "--image-output", "pooled"), 78, "vision_model.onnx does not give pooled"),
        ((*SIGLIP, "--image-output", "last_hidden_state"), 78, "take both of one checkpoint"),
        (("--activation", "softmax", "--bias", "1"), 78, "--bias 1 changes nothing in a softmax"),
        ((*SIGLIP, "--tokenizer", "none.json"), 78, "none.json cannot be read"),
    ],
)
def test_what_does_not_fit_is_told(home: Path, options: tuple[str, ...], code: int, fault: str) -> None:
    """With value, rule and cure; nothing is written."""
    result = run(home, *options)
    assert (result.exit_code, fault in result.stderr) == (code, True), result.output
    assert not (home / "out").exists()


def test_pixels_that_nobody_describes(home: Path) -> None:
    """Without the checkpoint's file, options say how pixels are handed over; without either it is refused."""
    (home / "pair" / "preprocessor_config.json").unlink()
    result = run(home, *SIGLIP)
    assert result.exit_code == 78
    assert "put the checkpoint's preprocessor_config.json beside it, or give --mean" in result.stderr
    said = ("--mean", "0.1", "0.1", "0.1", "--std", "0.5", "0.5", "0.5")
    assert run(home, *SIGLIP, *said).exit_code == 0
    assert next(iter(tags_of(home, COLOURS["green"]))) == "green"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("", "has no labels: write one on each line"),
        ("red\nred\n", "has 'red' twice"),
        ("red\ta\tb\tc\n", "line 1 has 4 columns"),
        ("x" * 300, "is no label: a label has 1 to 255 visible characters"),
    ],
)
def test_labels_that_break_a_rule(home: Path, lines: str, fault: str) -> None:
    (home / "labels.txt").write_text(lines)
    result = run(home, *SIGLIP)
    assert result.exit_code == 2
    assert fault in result.stderr
