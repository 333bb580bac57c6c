"""Strangers' bytes in, small squares of RGB pixels out.

An image is squashed to ``size`` x ``size``, unless a model asks for crops: the models here keep more of their
accuracy on a squashed image than on a centre crop. However many squares are asked for, it is decoded once.
JPEG files are decoded at a reduced scale (Pillow's *draft*), which makes a 12-megapixel photo about seven
times cheaper.

Only the parser that the first bytes call for sees a file, and only after the checks of the modules beside
this one: `limits`, `headers`, `tiff_directory`, `avif_boxes` and `av1_frames`.
"""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import AvifImagePlugin, Image, UnidentifiedImageError, features
from PIL.JpegImagePlugin import JpegImageFile

from model.decoding.allocator import return_large_blocks
from model.decoding.av1_frames import frame_pixels
from model.decoding.avif_boxes import pictures
from model.decoding.errors import BadImageError, too_large
from model.decoding.headers import (
    check_jpeg_header,
    jpeg_scans,
    without_avif_exif,
    without_jpeg_exif,
    without_texts,
)
from model.decoding.libtiff import silence
from model.decoding.limits import (
    MAX_DECODING_BYTES,
    MAX_PIXELS,
    CountedFile,
    DecodingMemory,
    check_frames,
    check_pixels,
    check_scans,
    coefficient_bytes,
    decoding_bytes,
)
from model.decoding.orientation import orientation_of
from model.decoding.pixels import View, squares
from model.decoding.sniff import lacks_bytes, named_format
from model.decoding.tiff_directory import check_tiff

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

_SHORT_NAMES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
if features.check("avif"):
    _SHORT_NAMES["AVIF"] = "avif"

FORMATS = tuple(_SHORT_NAMES)
"""What is decoded, in Pillow's names. Not MPO: its parser raises KeyError on unknown data."""

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
_LIGHTENED = {"PNG": without_texts, "AVIF": without_avif_exif}
_MEMORY = DecodingMemory(MAX_DECODING_BYTES)

# Once, at import: changing them around each call would race between threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # a stranger's EXIF is no news
warnings.simplefilter("error", Image.DecompressionBombWarning)
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there is a thread per core already
silence()
return_large_blocks()


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """What the model sees of an image, and what its owner wants to know about it.

    Attributes:
        pixels: uint8, shape (size, size, 3), RGB.
        width: Of the whole image, after its EXIF orientation.
        height: Likewise.
        format: ``jpg``, ``png``, ``webp``, ``gif``, ``bmp``, ``tiff`` or ``avif``.
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


def read_header(data: bytes) -> ImageHeader:
    """Read an image's size and format without decoding it; whether its pixels are whole shows later.

    Args:
        data: An image file, or as much of its beginning as holds its header.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        MemoryError: The process is out of memory; the image may be good.
    """
    kind = named_format(data)
    if kind not in FORMATS:
        raise _foreign(data, kind)
    try:
        _check_structure(data, kind)
        with _opened(data, kind) as image:
            check_pixels(image)
            width, height = image.size
            turned = orientation_of(image)
    except BadImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large(f"{error!s:.100}", f"{MAX_PIXELS:,} pixels") from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as in decode_views
        raise _broken(error, data) from None
    if turned in _SWAPPED:
        width, height = height, width
    return ImageHeader(width, height, _SHORT_NAMES[kind])


def decode(data: bytes, size: int) -> DecodedImage:
    """Decode an image for a model that looks at it as one square; see :func:`decode_views`."""
    views = decode_views(data, (View(size),))
    return DecodedImage(views.squares[View(size)][0], views.width, views.height, views.format)


def decode_views(data: bytes, views: Collection[View]) -> DecodedViews:
    """Decode the first frame of an image once, upright, as RGB on white, and cut squares from it.

    Safe to call from several threads; Pillow releases the GIL while it decodes and resizes. All of them
    together use little more than ``MAX_DECODING_BYTES``: some wait where many large images come at once.

    Args:
        data: A whole image file.
        views: What is wanted of it; one at least.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        MemoryError: The process is out of memory; the image may be good.
    """
    found = _decoded_or_refused(data, views)
    if isinstance(found, BadImageError):
        raise found
    return found


def _decoded_or_refused(data: bytes, views: Collection[View]) -> DecodedViews | BadImageError:
    """Return a refusal, with neither traceback nor cause: their frames would keep all pixels in memory."""
    kind = named_format(data)
    if kind not in FORMATS:
        return _foreign(data, kind)
    try:
        scans = _check_structure(data, kind)
        frames = _pixels_in_frames(data) if kind == "AVIF" else 0
        with _opened(data, kind) as image:
            check_pixels(image)
            if frames is None:
                return BadImageError("corrupt", "the image has boxes that cannot be read: save it again")
            return _upright_squares(image, views, scans, frames)
    except BadImageError as error:
        return BadImageError(error.code, str(error))
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        return too_large(f"{int(found[1]):,} pixels" if found else str(error), f"{MAX_PIXELS:,} pixels")
    except Exception as error:  # noqa: BLE001 - Pillow's parsers and decoders raise many kinds on hostile data
        return _broken(error, data)


def _check_structure(data: bytes, kind: str) -> int:
    """Refuse what would cost the parser too much; return the number of a JPEG's scans."""
    if kind == "JPEG":
        return jpeg_scans(data) if check_jpeg_header(data) else 1
    if kind == "TIFF":
        check_tiff(data)
    return 1


def _pixels_in_frames(data: bytes) -> int | None:
    """Refuse an AVIF whose frames are too large; return their pixels, None where its boxes are unreadable."""
    try:
        sources = pictures(data)
    except EOFError:
        return None
    return max(
        check_frames([it.pixels for it in source], frame_pixels(it.data for it in source))
        for source in sources
    )


def _opened(data: bytes, kind: str) -> Image.Image:
    if kind == "JPEG":
        data, exif = without_jpeg_exif(data)
        # Image.open would hand a multi-picture JPEG to the MPO parser; its first picture is a plain JPEG.
        image = JpegImageFile(CountedFile(data, kind))
        image.info["exif"] = exif
        return image
    if kind in _LIGHTENED:
        data = _LIGHTENED[kind](data)
    return Image.open(CountedFile(data, kind), formats=(kind,))


def _upright_squares(image: Image.Image, views: Collection[View], scans: int, frames: int) -> DecodedViews:
    width, height = image.size
    kept = 0
    if isinstance(image, JpegImageFile):
        check_scans(image, scans)
        kept = coefficient_bytes(image, scans)
    largest = max(view.size for view in views)
    image.draft(None, (largest, largest))
    with _MEMORY.reserved(kept + decoding_bytes(image, frames)):
        try:
            image.load()
            if image.format == "TIFF":
                width, height = image.size  # Pillow turns TIFF files upright while it loads them
            orientation = orientation_of(image)
            small = {view: squares(image, view) for view in views}
        finally:
            _free(image)
    if orientation in _SWAPPED:
        width, height = height, width
    pixels = {view: _upright(images, orientation) for view, images in small.items()}
    return DecodedViews(pixels, width, height, _SHORT_NAMES[image.format or "JPEG"])


def _upright(images: list[Image.Image], orientation: int) -> NDArray[np.uint8]:
    if orientation in _TRANSPOSE:
        images = [image.transpose(_TRANSPOSE[orientation]) for image in images]
    return np.stack([np.asarray(image) for image in images])


def _free(image: Image.Image) -> None:
    """Let go of the pixels, and of those that a decoder keeps, while they are accounted for."""
    image.close()
    image.__dict__.pop("_decoder", None)


def _foreign(data: bytes, kind: str | None) -> BadImageError:
    cure = f"send one of {', '.join(_SHORT_NAMES.values())}"
    if kind is None:
        head = data[:8].hex(" ") or "no bytes"
        return BadImageError("not_an_image", f"no image format starts with {head}: {cure}")
    return BadImageError("unsupported_format", f"{kind} files are not decoded: {cure}")


def _broken(error: BaseException, data: bytes) -> BadImageError:
    unread = isinstance(error, SyntaxError | UnidentifiedImageError | struct.error)
    reason = "its header cannot be read" if unread else str(error) or type(error).__name__
    short = isinstance(error, EOFError) or "truncated" in reason.lower() or lacks_bytes(data)
    return BadImageError(
        "truncated" if short else "corrupt",
        f"{len(data):,} bytes of image data {'end too early' if short else 'are damaged'} ({reason}): "
        "images are decoded whole or not at all; upload the file again",
    )
