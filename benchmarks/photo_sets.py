"""The photos that benchmarks fetch: sets of 12, 2 and 0.2 megapixels, and a mix of them.

    python -m benchmarks.photo_sets [--photos FOLDER]

Prints each set's files, pixels and bytes. The sets are made from the ten sample photos (public domain or CC0,
0.2 to 0.5 megapixels), scaled to the wanted size, with noise such as a sensor's added, so that a file has as
many bytes per pixel as one from a camera, and saved as baseline JPEG, 4:2:0. So their content is real, their
finest detail is not; `--photos` takes photos of your own instead, which are only ever scaled down.
"""

import argparse
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SAMPLES = Path(__file__).parents[1] / "streams" / "photos"
CACHE = Path(".tagstream/bench")
PIXELS = {"12mp": 12_000_000, "2mp": 2_000_000, "0.2mp": 200_000}
MIX = ("0.2mp", "2mp", "0.2mp", "2mp", "0.2mp", "12mp")
SETS = (*PIXELS, "mixed")
_QUALITY = 90
_NOISE = 5.0  # levels, one standard deviation
_VERSION = "1"  # of how the sets are made


def load_sets(photos: Path | None = None, cache: Path = CACHE) -> dict[str, list[bytes]]:
    """Each set's files, made at the first call and kept in `cache`.

    Args:
        photos: A folder of JPEG files to use instead of the samples.
        cache: Where to keep what is made.
    """
    source = photos or SAMPLES
    folder = cache / f"photos-{_VERSION}-{source.resolve().name}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for name, pixels in PIXELS.items():
            _make(source, folder / name, pixels)
        (folder / "complete").touch()
    sets = {name: [path.read_bytes() for path in sorted((folder / name).iterdir())] for name in PIXELS}
    return sets | {"mixed": list(_mixed(sets))}


def _mixed(sets: dict[str, list[bytes]]) -> Iterator[bytes]:
    for number in range(len(sets["12mp"])):
        yield from (sets[name][number] for name in MIX)


def _make(source: Path, folder: Path, pixels: int) -> None:
    folder.mkdir(parents=True)
    for path in sorted(source.glob("*.jpg")):
        (folder / path.name).write_bytes(_scaled(path, pixels))


def _scaled(path: Path, pixels: int) -> bytes:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = (pixels / (image.width * image.height)) ** 0.5
    if scale < 1:
        image = image.resize(_size(image, scale), Image.Resampling.LANCZOS)
    elif path.parent == SAMPLES:
        image = _with_noise(image.resize(_size(image, scale), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return file.getvalue()


def _size(image: Image.Image, scale: float) -> tuple[int, int]:
    return round(image.width * scale), round(image.height * scale)


def _with_noise(image: Image.Image) -> Image.Image:
    chance = np.random.default_rng(1)
    tile = chance.normal(0, _NOISE, (1024, 1024, 3)).round().astype(np.int16)
    pixels = np.asarray(image).astype(np.int16)
    repeats = (-(-image.height // 1024), -(-image.width // 1024), 1)
    pixels += np.tile(tile, repeats)[: image.height, : image.width]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main() -> None:
    """Print the sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files to use instead of the samples")
    for name, files in load_sets(parser.parse_args().photos).items():
        sizes = [Image.open(io.BytesIO(data)).size for data in files]
        pixels = sum(width * height for width, height in sizes) / len(sizes)
        total = sum(map(len, files)) / len(files)
        print(f"{name:6} {len(files):3} photos of {pixels / 1e6:5.2f} megapixels and {total / 1e3:5.0f} kB")


if __name__ == "__main__":
    main()
