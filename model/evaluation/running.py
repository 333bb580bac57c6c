"""Runs a tagger over a folder of photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model.decoding.decode import decode_views
from model.decoding.errors import BadImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.decoding.pixels import View

_BATCH = 8


class Looks(Protocol):
    """What looks at images: see `model.Tagger`."""

    @property
    def view(self) -> View:
        """How."""

    @property
    def width(self) -> int:
        """How many numbers it gives for an image."""

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """One row of numbers for each image."""


@dataclass(frozen=True)
class Run:
    """What a tagger made of the photos that could be decoded.

    Attributes:
        outputs: float32, shape (photos, classes), of the photos in `files`; see `Tagger.outputs`.
        files: Their names, in the order in which they were asked for.
        unreadable: Why each of the others could not be decoded, by name.
    """

    outputs: NDArray[np.float32]
    files: list[str]
    unreadable: dict[str, str]


def run_tagger(tagger: Looks, folder: Path, files: Sequence[str], advance: Callable[[int], object]) -> Run:
    """Decode and infer each file of a folder; `advance` hears how many are done each time."""
    outputs: list[NDArray[np.float32]] = []
    done: list[str] = []
    unreadable: dict[str, str] = {}
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        squares: dict[str, NDArray[np.uint8]] = {}
        for file in batch:
            try:
                views = decode_views((folder / file).read_bytes(), (tagger.view,))
                squares[file] = views.squares[tagger.view]
            except (BadImageError, OSError) as error:
                unreadable[file] = str(error)
        if squares:
            outputs.append(tagger.outputs(list(squares.values())))
            done.extend(squares)
        advance(len(batch))
    empty = np.zeros((0, tagger.width), np.float32)
    return Run(np.concatenate([empty, *outputs]), done, unreadable)
