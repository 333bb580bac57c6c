"""Pictures for which the model that comes along has no word: stripes and blobs, in colours of chance."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, kind: str, seed: int) -> None:
    """Stripes, or blobs, in colours of chance."""
    chance = np.random.default_rng(seed)
    if kind == "striped":
        lines = np.arange(160) // chance.integers(6, 14) % 2
        plain = np.repeat(lines[:, None], 160, axis=1)
        plain = plain if seed % 2 else plain.T
    else:
        small = chance.integers(0, 2, (6, 6)).astype(np.uint8)
        plain = np.asarray(Image.fromarray(small * 255).resize((160, 160), Image.Resampling.BICUBIC)) / 255
    low, high = chance.integers(0, 110, 3), chance.integers(140, 256, 3)
    picture = low + plain[..., None] * (high - low)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)


def write_patterns(folder: Path) -> None:
    """16 striped and 16 blotched pictures, and labels that name the striped ones."""
    lines = ["file,tag"]
    for number in range(32):
        kind = "striped" if number % 2 else "blotched"
        draw(folder / f"{number}.png", kind, number // 2)
        lines.append(f"{number}.png,{kind if number % 2 else ''}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
