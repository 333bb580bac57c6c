"""How often quantisation and decoding at a reduced scale change an image's best class.

    python -m benchmarks.agreement --photos FOLDER ... [--held-out] [--most 500]

Takes JPEG files of your own, at best none that the model was calibrated with (model/MODEL_CARD.md names
those). `int8` compares the default model with its float network where that is sure, that is, where it
gives its best class more than 0.3; `reduced` compares `model.decode` with a decoder that decodes every
pixel, both with the float network, on photos that are large enough for a reduced scale.
"""

import argparse
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.float_model import float_model
from benchmarks.program import parser_of
from model import BadImageError, Tagger, decode
from model.convert.photos import split_photos
from model.decoding.pixels import View, squares

SURE = 0.3
_TEMPERATURE = 1.0  # as in the model card; the manifest's own would call far more photos sure
_BATCH = 16


@dataclass(frozen=True)
class Photo:
    """A photo as two decoders see it: uint8, (size, size, 3); `reduced` is whether they could differ."""

    pixels: NDArray[np.uint8]
    whole: NDArray[np.uint8]
    reduced: bool


def photos(paths: Iterable[Path], size: int) -> Iterator[Photo]:
    """Decode photos; what is refused is left out."""
    for path in paths:
        data = path.read_bytes()
        try:
            pixels = decode(data, size).pixels
        except BadImageError:
            continue
        with Image.open(io.BytesIO(data)) as image:
            large = image.format == "JPEG" and min(image.size) >= 2 * size
            whole = np.asarray(ImageOps.exif_transpose(squares(image, View(size))[0]))
        yield Photo(pixels, whole, large)


def best_classes(tagger: Tagger, pixels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each photo's best class and its probability."""
    starts = range(0, len(pixels), _BATCH)
    outputs = [tagger.outputs([each[None] for each in pixels[start : start + _BATCH]]) for start in starts]
    chances = tagger.activated(np.concatenate(outputs), _TEMPERATURE)
    return chances.argmax(axis=1), chances.max(axis=1)


def compare(found: Sequence[Photo], quantised: Tagger, floating: Tagger) -> dict[str, Any]:
    """The shares of photos whose best class stays."""
    expected, chances = best_classes(floating, [photo.pixels for photo in found])
    small, _ = best_classes(quantised, [photo.pixels for photo in found])
    whole, _ = best_classes(floating, [photo.whole for photo in found])
    sure, large = chances > SURE, np.array([photo.reduced for photo in found])
    return {
        "photos": len(found),
        "int8_where_sure": _share(small == expected, sure),
        "int8": _share(small == expected, np.ones_like(sure)),
        "reduced_scale": _share(whole == expected, large),
        "reduced_scale_where_sure": _share(whole == expected, large & sure),
        "sure": int(sure.sum()),
        "large": int(large.sum()),
    }


def _share(same: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(same[among].mean()) if among.any() else None


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Compare on the photos below some folders."""
    quantised, floating = Tagger.load(), Tagger.load(float_model())
    if options.held_out:
        _, paths = split_photos(options.photos)
    else:
        paths = sorted(path for folder in options.photos for path in folder.rglob("*.jp*g"))
    return compare(list(photos(paths[: options.most], quantised.input_size)), quantised, floating)


def main() -> None:
    """Read the command line and compare; the last line is for machines."""
    parser = parser_of(__doc__)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--most", type=int, default=500, help="photos to take")
    parser.add_argument(
        "--held-out", action="store_true", help="the folders are those of calibration: leave its photos out"
    )
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
