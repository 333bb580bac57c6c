"""A HEIC's picture as Pillow's images are: its header is read at once, its pixels when they are asked for.

libheif and libde265 are in the package pi-heif, which is optional. Its own plugin for Pillow reads all
metadata of all pictures, as often as they are referred to; here its extension is asked for the primary
picture alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from PIL import ImageFile

if TYPE_CHECKING:
    from io import BytesIO
    from types import ModuleType

    from PIL._imaging import PixelAccess

_ON_THIS_THREAD = 0  # tiles are decoded one after the other: there is a thread per core already
_EIGHT_BITS, _BGR, _PACKED, _SIXTEEN_BITS, _ANY_DECODER, _NO_LIMITS = True, False, False, True, "", False


def _extension() -> ModuleType | None:
    try:
        return importlib.import_module("_pi_heif")
    except ImportError:
        return None


LIBHEIF = _extension()
"""What decodes HEIC; None where the package pi-heif is not installed."""


class HeicImage(ImageFile.ImageFile):
    """The primary picture of a HEIC file, upright as its boxes `irot` and `imir` say."""

    format = "HEIC"
    format_description = "HEIF with HEVC"

    def __init__(self, file: BytesIO) -> None:
        self._decoder: Any = None
        super().__init__(file)

    def _open(self) -> None:
        if LIBHEIF is None:
            raise RuntimeError("the package pi-heif is not installed")
        data = cast("BytesIO", self.fp).getvalue()
        found = LIBHEIF.load_file(
            data, _ON_THIS_THREAD, _EIGHT_BITS, _BGR, _PACKED, _SIXTEEN_BITS, _ANY_DECODER, _NO_LIMITS
        )
        primary = next((it for it in found if it is not None and it.primary), None)
        if primary is None:
            raise SyntaxError("it has no primary picture")
        self._size, self._mode = primary.size_mode
        self._decoder = primary
        self.tile = []

    def load(self) -> PixelAccess | None:
        """Decode the picture, once."""
        primary, self._decoder = self._decoder, None
        if primary is not None:
            pixels = primary.data  # decodes; sizes may be others from here on
            size, mode = primary.size_mode
            if size != self._size:
                raise ValueError(f"its picture is of {size} pixels, and said to be of {self._size}")
            self.load_prepare()
            self.frombytes(pixels, "raw", (mode, primary.stride))
        return super().load()
