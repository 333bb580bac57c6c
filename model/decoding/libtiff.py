"""Keeps libtiff quiet, and asks it what it was built with.

It writes a line to stderr for each damaged row, thousands for one hostile file. Pillow hands its return codes
on, so that nothing is lost; it offers no switch for the messages, and no list of codecs.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from pathlib import Path

import PIL

_HOMES = (("../pillow.libs", "libtiff*.so*"), (".dylibs", "libtiff*.dylib"))  # in the wheels for Linux, macOS


def silence() -> bool:
    """Take the error handler away from the libtiff that came with Pillow; return whether one was found."""
    with contextlib.suppress(AttributeError):  # another build: it goes on writing
        if (library := _library()) is not None:
            library.TIFFSetErrorHandler(None)
            return True
    return False


@functools.cache
def has_codec(number: int) -> bool:
    """Whether libtiff can unpack this kind of compression; where it cannot be asked, it is tried."""
    with contextlib.suppress(AttributeError):
        if (library := _library()) is not None:
            return bool(library.TIFFIsCODECConfigured(ctypes.c_uint16(number & 0xFFFF)))
    return True


@functools.cache
def _library() -> ctypes.CDLL | None:
    home = Path(PIL.__file__).parent
    for path in (path for folder, pattern in _HOMES for path in (home / folder).glob(pattern)):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(path))
    return None
