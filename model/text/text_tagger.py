"""Reads words in images: a detector finds lines, a recognizer reads each, the largest first.

What an image takes is bounded: by the size at which it is looked at, the number of lines and the length of
each, and by CPU time: after that no other line is begun.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from PIL import Image

from model.decoding.pixels import View
from model.tagger.manifest import ManifestError
from model.tagger.network import session_options
from model.text.boxes import Box, lines
from model.text.folder import TextFiles, read_text_folder
from model.text.words import Line, read, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.vocabulary import Tag

SEEN = View(736, fitted=True)
"""How images are looked at."""
MILLISECONDS = 800.0
"""CPU time of an image with text, about."""
MEMORY = 120_000_000
"""Bytes, of those that images in work share: two are read at once at most, each with some 160 MB."""
MOST_LINES = 16
MOST_SECONDS = 2.0  # CPU time, after which no other line is begun
_LINE_HEIGHT, _SHORTEST, _LONGEST = 48, 48, 960  # pixels of a line, as it is read


class TextTagger:
    """Reads words. One instance may be used from several threads at the same time.

    Attributes:
        name: Of the model, from its manifest.
        version: Likewise.
        networks: None of those that classify.
        glance: How it looks at an image.
        tag_names: Not known beforehand.
    """

    def __init__(self, files: TextFiles, clock: Callable[[], float] = time.thread_time) -> None:
        """Load the graphs.

        Raises:
            ManifestError: One cannot be loaded, or is none that finds or reads lines.
        """
        self.name, self.version = files.manifest.name, files.manifest.version
        self.networks: tuple[()] = ()
        self.glance = SEEN
        self.tag_names: tuple[str, ...] = ()
        self._detector, self._recognizer = _session(files.detector), _session(files.recognizer)
        told = self._recognizer.get_modelmeta().custom_metadata_map.get("character")
        if not told:
            cure = "take the recognizer of the package rapidocr"
            raise ManifestError(f"{files.recognizer} does not say which characters it reads: {cure}")
        self._characters = ["", *told.split("\n"), " "]
        self._clock = clock

    @classmethod
    def load(cls, folder: Path) -> TextTagger:
        """Load a folder.

        Raises:
            ManifestError: It cannot be used; the message says what to change.
        """
        return cls(read_text_folder(folder))

    def tags(self, _outputs: object, glances: Sequence[NDArray[np.uint8]]) -> list[list[Tag]]:
        """The words in images, those of the largest line first.

        Args:
            glances: For each image uint8, shape (1, 736, 736, 3), RGB.
        """
        return [words(self._lines(squares[0])) for squares in glances]

    def _lines(self, square: NDArray[np.uint8]) -> Iterator[Line]:
        end = self._clock() + MOST_SECONDS
        found = _run(self._detector, square)[0, 0]
        image = Image.fromarray(square)
        for box in lines(found, MOST_LINES):
            if self._clock() > end:
                return
            scores = _run(self._recognizer, _line(image, box))[0]
            if scores.shape[1] > len(self._characters):
                raise ManifestError(f"the recognizer reads {scores.shape[1]} characters, and names fewer")
            yield read(scores, self._characters)


def _line(image: Image.Image, box: Box) -> NDArray[np.uint8]:
    """A line as it is read: so high, and as long as it is then, within bounds."""
    width, height = box.right - box.left, box.bottom - box.top
    length = min(max(round(width * _LINE_HEIGHT / height), _SHORTEST), _LONGEST)
    return np.asarray(image.resize((length, _LINE_HEIGHT), Image.Resampling.BICUBIC, box))


def _run(session: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:  # noqa: ANN401 - untyped library
    """Run a graph on one image: blue, green, red, each from -1 to 1."""
    scaled = pixels[..., ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1)
    batch = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return found


def _session(graph: Path) -> Any:  # noqa: ANN401 - untyped library
    options = session_options()
    options.enable_cpu_mem_arena = False  # or each thread's largest image would stay in memory
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exception classes share no base
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{graph} cannot be loaded ({reason}): make the folder anew") from error
