"""What a thumbnail costs: processor time and bytes, for the sample photos, for noise and for a plain colour.

    python -m benchmarks.thumbnails

It is what comes on top of decoding and tagging: the squashed picture is there already.
"""

import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streams.tag.thumbnails.pictures import SIDE, webp

PHOTOS = Path(__file__).parents[1] / "streams" / "photos"
TIMES = 15


def cost(square: NDArray[np.uint8], width: int, height: int) -> tuple[float, int]:
    """Milliseconds of a core, and bytes."""
    taken, size = [], 0
    for _ in range(TIMES):
        started = time.thread_time()
        size = len(webp(square, width, height) or b"")
        taken.append((time.thread_time() - started) * 1000)
    return median(taken), size


def main() -> None:
    """Print a line for each picture."""
    noise = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    pictures = {"noise": (noise, 4, 3), "plain": (np.full_like(noise, 120), 4, 3)}
    for path in sorted(PHOTOS.glob("*.jpg")):
        with Image.open(path) as photo:
            squashed = photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            pictures[path.stem] = (np.asarray(squashed), *photo.size)
    for name, picture in pictures.items():
        milliseconds, size = cost(*picture)
        print(f"{name:10} {milliseconds:5.1f} ms {size:7,} bytes")


if __name__ == "__main__":
    main()
