"""Words that stand in images: what is read, what is not, and what it may take."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from support.images.lettered import PHOTOS, lettered

from model import ManifestError, decode_views
from model.text import text_tagger
from model.text.boxes import Box, lines
from model.text.folder import FILE_NAME, is_text_folder, read_text_folder, write_text_folder
from model.text.text_tagger import MOST_LINES, SEEN, TextTagger
from model.text.words import MOST_CHARACTERS, MOST_WORDS, Line, read, words


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "text"
    write_text_folder(folder)
    return folder


@pytest.fixture(scope="module")
def reader(folder: Path) -> TextTagger:
    return TextTagger.load(folder)


def found(reader: TextTagger, data: bytes) -> list[str]:
    (tags,) = reader.tags([], [decode_views(data, (SEEN,)).squares[SEEN]])
    return [tag.name for tag in tags]


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_words_on_a_photo_are_read(reader: TextTagger) -> None:
    """As they are written, without the punctuation around them, those of the largest line first."""
    assert found(reader, lettered("SUMMER SALE!", "Open 9:30 (daily)")) == [
        *("Open", "9:30", "daily"),
        *("SUMMER", "SALE"),
    ]


@pytest.mark.parametrize("name", sorted(path.stem for path in PHOTOS.glob("*.jpg")))
def test_photos_without_text_have_none(reader: TextTagger, name: str) -> None:
    """Fur, branches and windows are no letters."""
    assert found(reader, (PHOTOS / f"{name}.jpg").read_bytes()) == []


def test_a_photo_is_read_upright(reader: TextTagger) -> None:
    """As its owner sees it, however the camera was held."""
    assert found(reader, lettered("UPSIDE DOWN", orientation=3)) == ["UPSIDE", "DOWN"]


@pytest.mark.parametrize("size", [(1600, 300), (300, 1600)])
def test_long_images_keep_their_proportions(reader: TextTagger, size: tuple[int, int]) -> None:
    """What is read would not be legible if it were squashed to a square."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((20, 120), "LONG", font=ImageFont.load_default(80), fill="black")
    assert found(reader, png(image)) == ["LONG"]
    square = decode_views(png(image), (SEEN,)).squares[SEEN]
    assert square.shape == (1, SEEN.size, SEEN.size, 3)
    width, height = (round(SEEN.size * side / 1600) for side in size)
    assert square[0, height:].sum() == square[0, :, width:].sum() == 0
    assert square[0, :height, :width].mean() > 240


@pytest.mark.parametrize("pixels", [np.zeros, np.ones])
def test_an_image_of_one_colour_has_no_words(reader: TextTagger, pixels: type) -> None:
    """Nothing is found, and nothing fails."""
    assert found(reader, png(Image.fromarray(pixels((40, 40, 3), np.uint8) * 255))) == []


def test_a_page_of_text_is_bounded(reader: TextTagger) -> None:
    """So many lines are read, the largest, and so many words told."""
    image = Image.new("RGB", (700, 700), "white")
    pen = ImageDraw.Draw(image)
    for line in range(34):
        pen.text((5, 20 * line), f"word{line} " * 6, font=ImageFont.load_default(15), fill="black")
    said = found(reader, png(image))
    assert 0 < len(said) <= MOST_LINES
    assert all(word.startswith("word") for word in said)


def test_an_image_has_so_much_time(folder: Path) -> None:
    """When it is over no other line is begun."""
    late = iter([0.0, 1.0, text_tagger.MOST_SECONDS + 0.1])
    reader = TextTagger(read_text_folder(folder), clock=lambda: next(late))
    assert len(found(reader, lettered("ONE", "TWO", "THREE"))) == 1


def test_words_are_bounded() -> None:
    """32 of 32 characters; what is longer, a single character, or not surely read is left out."""
    many = words([Line(" ".join(f"w{number}" for number in range(99)), 0.9)])
    assert len(many) == MOST_WORDS
    assert words([Line("x" * (MOST_CHARACTERS + 1), 1.0), Line("A", 1.0), Line("unsure", 0.6)]) == []
    assert [word.name for word in words([Line("x" * MOST_CHARACTERS + " two two", 0.8)])] == ["x" * 32, "two"]


@given(st.lists(st.builds(Line, st.text(), st.floats(0, 1))))
def test_any_text_becomes_words_that_can_be_told(said: list[Line]) -> None:
    """Visible, bounded, each once."""
    names = [word.name for word in words(said)]
    assert len(names) == len(set(names)) <= MOST_WORDS
    assert all(name.isprintable() and name.strip() == name and 2 <= len(name) <= 32 for name in names)


def test_repeated_characters_are_one() -> None:
    """Unless none stands between them."""
    scores = np.eye(4, dtype=np.float32)[[0, 1, 1, 0, 1, 2, 2, 3]]
    assert read(scores, ["", "l", "o", " "]) == Line("llo ", 1.0)
    assert read(scores[:1], ["", "l", "o", " "]) == Line("", 0.0)


def test_boxes_grow_within_the_image() -> None:
    """By the area over the perimeter; specks and outlines are no lines."""
    ink = np.zeros((100, 200), np.float32)
    ink[40:50, 20:120] = 0.9
    ink[0:2, 0:50] = 0.9
    ink[60:98, 130:198] = 0.9
    ink[62:96, 132:196] = 0.0
    assert lines(ink, 9) == [Box(13, 33, 127, 57)]
    ink[90:100, 100:120] = 0.9
    assert lines(ink, 9)[1].bottom == 100
    assert len(lines(ink, 1)) == 1


def test_a_changed_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    """A graph that is another, missing or none, and a manifest that is none."""
    assert is_text_folder(folder)
    assert not is_text_folder(tmp_path)
    with pytest.raises(ManifestError, match="tagstream model text"):
        read_text_folder(tmp_path)
    (tmp_path / FILE_NAME).write_bytes((folder / FILE_NAME).read_bytes())
    with pytest.raises(ManifestError, match=r"detector\.onnx is missing"):
        read_text_folder(tmp_path)
    for name in ("detector.onnx", "recognizer.onnx"):
        (tmp_path / name).write_bytes(b"no graph")
    with pytest.raises(ManifestError, match="not the file"):
        TextTagger.load(tmp_path)
