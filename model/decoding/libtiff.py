"""Keeps libtiff quiet: it writes a line to stderr for each damaged row, thousands for one hostile file.

Pillow hands its return codes on, so that nothing is lost; it offers no switch for the messages.
"""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import PIL

_HOMES = (("../pillow.libs", "libtiff*.so*"), (".dylibs", "libtiff*.dylib"))  # in the wheels for Linux, macOS


def silence() -> bool:
    """Take the error handler away from the libtiff that came with Pillow; return whether one was found."""
    home = Path(PIL.__file__).parent
    found = [path for folder, pattern in _HOMES for path in (home / folder).glob(pattern)]
    for path in found:
        with contextlib.suppress(OSError, AttributeError):  # another build: it goes on writing
            ctypes.CDLL(str(path)).TIFFSetErrorHandler(None)
            return True
    return False
