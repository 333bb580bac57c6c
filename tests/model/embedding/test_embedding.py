"""Embeddings: what an image shows in 32 bytes, and how near that is to what other images show."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageEnhance

from model import DEFAULT_ARTIFACT, Tagger, decode_views
from model.embedding.codes import BYTES, PATTERN, decode, encode, likeness
from model.embedding.embedder import GRAPH, Embedder
from model.embedding.embedding import Embedding
from model.embedding.fitting import fitted, main, recall
from model.tagger.manifest import read_manifest

PHOTOS = sorted((Path(__file__).parents[3] / "streams" / "photos").glob("*.jpg"))


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    (tagger,) = Tagger.load_all([DEFAULT_ARTIFACT], inner={DEFAULT_ARTIFACT: Embedder().width})
    return tagger


def embedded(tagger: Tagger, *files: bytes) -> list[str | None]:
    squares = [decode_views(data, (tagger.view,)).squares[tagger.view] for data in files]
    return Embedding(tagger, Embedder()).embed(tagger.source.outputs(squares))


def alike(first: str | None, second: str | None) -> float:
    one, other = (np.frombuffer(decode(text or "") or b"", np.uint8) for text in (first, second))
    return float(likeness(one[None], other)[0])


def edited(path: Path) -> bytes:
    with Image.open(path) as photo:
        small = photo.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((300, 300))
    file = io.BytesIO()
    ImageEnhance.Brightness(small).enhance(1.3).save(file, "JPEG", quality=60)
    return file.getvalue()


def test_the_projection_belongs_to_the_default_network() -> None:
    """A network of another checksum needs another projection, and another version of embeddings."""
    assert read_manifest(DEFAULT_ARTIFACT).sha256["model.onnx"] == GRAPH


def test_an_edited_photo_is_most_like_itself(tagger: Tagger) -> None:
    """Mirrored, squashed, brighter and recompressed: still nearer than any other photo."""
    originals = embedded(tagger, *(path.read_bytes() for path in PHOTOS))
    copies = embedded(tagger, *(edited(path) for path in PHOTOS))
    assert all(re.match(PATTERN, text or "") for text in originals)
    for place, copy in enumerate(copies):
        likenesses = [alike(copy, text) for text in originals]
        assert int(np.argmax(likenesses)) == place
        assert likenesses[place] > 0.6


def test_features_change_no_tag(tagger: Tagger) -> None:
    """With features beside its outputs the network says what it says without."""
    data = PHOTOS[0].read_bytes()
    assert tagger.tag([data]) == Tagger.load().tag([data])
    assert tagger.inner is not None
    with pytest.raises(ValueError, match="without its features"):
        Embedding(Tagger.load(), Embedder())


def test_what_is_no_picture_has_none(tagger: Tagger) -> None:
    """As it has no tags."""
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, "PNG")
    assert embedded(tagger, file.getvalue()) == [None]


@given(arrays(np.float32, 64, elements=st.floats(-1e6, 1e6, width=32)))
def test_embeddings_keep_the_direction(numbers: np.ndarray) -> None:
    """Whatever its length; a vector of zeros or of no numbers has none."""
    (text,) = encode(numbers[None])
    if not (float(np.square(numbers, dtype=np.float64).mean()) ** 0.5):
        assert text is None
        return
    assert re.match(PATTERN, text or "")
    assert len(decode(text or "") or b"") == BYTES
    assert alike(text, encode(-numbers[None])[0]) == pytest.approx(-alike(text, text), abs=1e-5)
    assert encode(np.full((1, 64), np.nan, np.float32)) == [None]


def test_a_fitted_projection_keeps_more_than_a_random_one() -> None:
    """Of features with a few directions that matter, nearly all neighbours."""
    chance = np.random.default_rng(3)
    directions = chance.standard_normal((20, 400)).astype(np.float32)
    features = chance.standard_normal((200, 20)).astype(np.float32) @ directions
    features += chance.standard_normal(features.shape).astype(np.float32)
    random = chance.standard_normal((400, 64)).astype(np.float32)
    assert recall(features, fitted(features)) > recall(features, random) + 0.1


def test_fitting_tells_what_it_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By a command, which writes nothing unless it is told to."""
    for path in PHOTOS:
        (tmp_path / path.name).symlink_to(path)
    assert main([str(tmp_path), str(tmp_path)]) == 0
    assert re.match(
        r"photos=10 recall_at_10=\d\.\d{3} random_projection=\d\.\d{3}\n", capsys.readouterr().out
    )
