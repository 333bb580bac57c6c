"""Strangers' bytes in, small squares of RGB pixels out.

An image is squashed to ``size`` x ``size``, unless a model asks for crops: the models here keep more of their
accuracy on a squashed image than on a centre crop. However many squares are asked for, it is decoded once.
JPEG files are decoded at a reduced scale (Pillow's *draft*), which makes a 12-megapixel photo about seven
times cheaper.

`opening` reads the header, and refuses what must not be decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from model.decoding.limits import check_pixels
from model.decoding.opening import (
    FORMATS,
    SHORT_NAMES,
    Opened,
    check_structure,
    kind_of,
    open_for,
    opened,
    refusal_of,
)
from model.decoding.orientation import orientation_of
from model.decoding.pixels import View, squares

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from model.decoding.errors import BadImageError

_SWAPPED = {5, 6, 7, 8}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """What the model sees of an image, and what its owner wants to know about it.

    Attributes:
        pixels: uint8, shape (size, size, 3), RGB.
        width: Of the whole image, after its EXIF orientation.
        height: Likewise.
        format: ``jpg``, ``png``, ``webp``, ``gif``, ``bmp``, ``tiff``, ``avif`` or ``heic``.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class DecodedViews:
    """What several models see of an image.

    Attributes:
        squares: For each view uint8, shape (squares, size, size, 3), RGB.
        width: As in :class:`DecodedImage`.
        height: Likewise.
        format: Likewise.
    """

    squares: dict[View, NDArray[np.uint8]]
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image's header says.

    Attributes:
        width: As in :class:`DecodedImage`.
        height: Likewise.
        format: Likewise.
    """

    width: int
    height: int
    format: str


def read_header(data: bytes, formats: Collection[str] = FORMATS) -> ImageHeader:
    """Read an image's size and format without decoding it; whether its pixels are whole shows later.

    Args:
        data: An image file, or as much of its beginning as holds its header; of HEIC, all of it.
        formats: Those that may be decoded.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        MemoryError: The process is out of memory; the image may be good.
    """
    found: BadImageError | None = None
    try:
        kind_of(data, formats)
        check_structure(data)
        with opened(data) as image:
            check_pixels(image)
            width, height = image.size
            turned = orientation_of(image)
            kind = image.format or "JPEG"
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as in decode_views
        found = refusal_of(error, data)
    if found is not None:
        raise found
    if turned in _SWAPPED:
        width, height = height, width
    return ImageHeader(width, height, SHORT_NAMES[kind])


def decode(data: bytes, size: int) -> DecodedImage:
    """Decode an image for a model that looks at it as one square; see :func:`decode_views`."""
    views = decode_views(data, (View(size),))
    return DecodedImage(views.squares[View(size)][0], views.width, views.height, views.format)


def decode_views(data: bytes, views: Collection[View]) -> DecodedViews:
    """Decode the first frame of an image once, upright, as RGB on white, and cut squares from it.

    Safe to call from several threads; Pillow releases the GIL while it decodes and resizes.

    Args:
        data: A whole image file.
        views: What is wanted of it; one at least.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        MemoryError: The process is out of memory; the image may be good.
    """
    return open_image(data, views).decode()


def open_image(data: bytes, views: Collection[View], formats: Collection[str] = FORMATS) -> OpenedImage:
    """Read an image's header, so that it is known what decoding it will cost.

    Args:
        data: A whole image file.
        views: What is wanted of it; one at least.
        formats: Those that may be decoded.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        MemoryError: The process is out of memory; the image may be good.
    """
    try:
        return OpenedImage(open_for(data, views, formats), data, views)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's parsers raise many kinds on hostile data
        found = refusal_of(error, data)
    raise found


class OpenedImage:
    """An image whose header was read.

    Attributes:
        memory: Bytes that its pixels take while it is decoded, estimated from above.
        milliseconds: CPU time that its decoding takes, estimated from above.
    """

    def __init__(self, header: Opened, data: bytes, views: Collection[View]) -> None:
        self.memory = header.memory
        self.milliseconds = header.milliseconds
        self._header: Opened | None = header
        self._data = data
        self._views = views

    def close(self) -> None:
        """Let go of it without decoding it."""
        self._header = None
        self._data = b""

    def decode(self) -> DecodedViews:
        """Decode it, once.

        Raises:
            BadImageError: The bytes are refused; its ``code`` says why.
            MemoryError: The process is out of memory; the image may be good.
        """
        header, data = self._header, self._data
        self.close()
        if header is None:
            raise RuntimeError("an image is decoded once")
        try:
            return _upright_squares(header, self._views)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - Pillow's decoders raise many kinds on hostile data
            found = refusal_of(error, data)
        finally:
            header.close()
            del header
        raise found


def _upright_squares(header: Opened, views: Collection[View]) -> DecodedViews:
    image, width, height = header.image, header.width, header.height
    header.load()
    if image.format == "TIFF":
        width, height = image.size  # Pillow turns TIFF files upright while it loads them
    orientation = orientation_of(image)
    small = {view: squares(image, view) for view in views}
    if orientation in _SWAPPED:
        width, height = height, width
    pixels = {view: _upright(images, orientation) for view, images in small.items()}
    return DecodedViews(pixels, width, height, SHORT_NAMES[image.format or "JPEG"])


def _upright(images: list[Image.Image], orientation: int) -> NDArray[np.uint8]:
    if orientation in _TRANSPOSE:
        images = [image.transpose(_TRANSPOSE[orientation]) for image in images]
    return np.stack([np.asarray(image) for image in images])
