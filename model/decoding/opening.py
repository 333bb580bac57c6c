"""A file becomes an image whose header was read, and nothing else: what it will cost is known then.

Only the parser that the first bytes call for sees a file, and only after the checks of the modules beside
this one: `limits`, `headers`, `tiff_directory`, and those in `heif`.
"""

from __future__ import annotations

import functools
import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PIL import AvifImagePlugin, Image, UnidentifiedImageError, features
from PIL.JpegImagePlugin import JpegImageFile

from model.decoding.allocator import return_large_blocks
from model.decoding.errors import BadImageError, too_large
from model.decoding.headers import (
    check_jpeg_header,
    jpeg_scans,
    without_avif_exif,
    without_jpeg_exif,
    without_texts,
)
from model.decoding.heif.av1_frames import frame_pixels
from model.decoding.heif.avif import pictures
from model.decoding.heif.heic import work
from model.decoding.heif.heic_image import LIBHEIF, HeicImage
from model.decoding.layouts import check_layout, mend_order, refusal
from model.decoding.libtiff import silence
from model.decoding.limits import (
    MAX_PIXELS,
    CountedFile,
    check_frames,
    check_pixels,
    check_scans,
    coefficient_bytes,
    decoding_bytes,
    heic_bytes,
)
from model.decoding.prices import heic_milliseconds, milliseconds
from model.decoding.sniff import lacks_bytes, named_format
from model.decoding.tiff_directory import check_tiff
from model.decoding.unended_jpeg import checksum, ended, lacks_end

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from io import BytesIO

    from model.decoding.pixels import View

SHORT_NAMES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
if features.check("avif"):
    SHORT_NAMES["AVIF"] = "avif"
if LIBHEIF is not None:
    SHORT_NAMES["HEIC"] = "heic"

FORMATS = frozenset(SHORT_NAMES.values())
"""What can be decoded here. Not MPO: its parser raises KeyError on unknown data."""

_EXTRAS = {"HEIC": "install the extra `heif` on the worker"}  # what would be decoded if it were there

_BY_PILLOW = tuple(kind for kind in SHORT_NAMES if kind not in {"JPEG", "HEIC"})
_FOREIGN_LAYOUT = re.compile(
    r"unsupported|cannot handle|.*not yet supported", re.IGNORECASE
)  # as parsers say
_LIGHTENED = {"PNG": without_texts, "AVIF": without_avif_exif}

# Once, at import: changing them around each call would race between threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # a stranger's EXIF is no news
warnings.simplefilter("error", Image.DecompressionBombWarning)
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there is a thread per core already
silence()
return_large_blocks()


@dataclass(slots=True)
class Opened:
    """An image, not decoded yet.

    Attributes:
        width: Before its orientation is looked at.
        height: Likewise.
        memory: Bytes that its pixels take while it is decoded, from above.
        milliseconds: CPU time that its decoding takes, from above.
        other: The same with other bits behind it, where the file does not say that it ends.
    """

    image: Image.Image
    width: int
    height: int
    memory: int
    milliseconds: float
    other: Image.Image | None = None

    def load(self) -> None:
        """Decode the pixels.

        Raises:
            BadImageError: ``truncated``: some are not in the file.
            Exception: Whatever Pillow's decoders raise on hostile data; see `refusal_of`.
        """
        other, self.other = self.other, None
        if other is None:
            self.image.load()
            return
        try:
            other.load()
            expected = checksum(other)
            other.close()
            self.image.load()
        except OSError:
            raise _unended() from None
        if checksum(self.image) != expected:
            raise _unended()

    def close(self) -> None:
        """Let go of the pixels, and of those that a decoder keeps."""
        self.image.close()
        self.image.__dict__.pop("_decoder", None)


def open_for(data: bytes, views: Collection[View], formats: Collection[str] = FORMATS) -> Opened:
    """Open a file that is to be decoded for some views.

    Args:
        data: The file.
        views: What is wanted of it.
        formats: Those that may be decoded.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
        Exception: Whatever Pillow's parsers raise on hostile data; see `refusal_of`.
    """
    kind = kind_of(data, formats)
    if kind == "HEIC":
        return _open_heic(data)
    scans = check_structure(data)
    frames = _pixels_in_frames(data) if kind == "AVIF" else 0
    ends = ended(data) if kind == "JPEG" and lacks_end(data) else (data,)
    image, *others = (opened(end) for end in ends)
    check_pixels(image)
    if frames is None:
        raise BadImageError("corrupt", "the image has boxes that cannot be read: save it again")
    width, height = image.size
    cost = milliseconds(image, data, scans, frames) * len(ends)
    kept = 0
    if isinstance(image, JpegImageFile):
        check_scans(image, scans)
        kept = coefficient_bytes(image, scans)
    largest = max(view.size for view in views)
    for each in (image, *others):
        each.draft(None, (largest, largest))
    memory = kept + decoding_bytes(image, frames)
    return Opened(image, width, height, memory, cost, *others)


def _open_heic(data: bytes) -> Opened:
    needed = work(data)
    memory = heic_bytes(needed)
    image = opened(data)
    check_pixels(image)
    width, height = image.size
    if width * height > needed.pixels:
        raise BadImageError("corrupt", "the image says several sizes of itself: save it again")
    return Opened(image, width, height, memory, heic_milliseconds(data, needed))


def kind_of(data: bytes, formats: Collection[str] = FORMATS) -> str:
    """The format that the first bytes announce.

    Raises:
        BadImageError: It is none that is decoded.
    """
    kind = named_format(data)
    if kind is None or SHORT_NAMES.get(kind) not in formats:
        raise _foreign(data, kind, formats)
    return kind


def check_structure(data: bytes) -> int:
    """Refuse what would cost the parser too much; return the number of a JPEG's scans."""
    kind = named_format(data)
    if kind == "JPEG":
        return jpeg_scans(data) if check_jpeg_header(data) else 1
    if kind == "TIFF":
        check_tiff(data)
        check_layout(data)
    if kind == "HEIC":
        heic_bytes(work(data))
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


def opened(data: bytes) -> Image.Image:
    """Have the header read, by the one parser that the first bytes call for."""
    kind = kind_of(data)
    if kind == "JPEG":
        data, exif = without_jpeg_exif(data)
        # Image.open would hand a multi-picture JPEG to the MPO parser; its first picture is a plain JPEG.
        photo = JpegImageFile(CountedFile(data, kind))
        photo.info["exif"] = exif
        return photo
    if kind == "HEIC":
        return HeicImage(CountedFile(data, kind))
    if kind in _LIGHTENED:
        data = _LIGHTENED[kind](data)
    image = _parsers()[kind](CountedFile(data, kind), "")
    mend_order(image)
    return image


@functools.cache
def _parsers() -> dict[str, Callable[[BytesIO, str], Image.Image]]:
    """Pillow's parsers by format. `Image.open` asks them as well, but keeps what they say to itself."""
    Image.init()
    return {kind: cast("Callable[[BytesIO, str], Image.Image]", Image.OPEN[kind][0]) for kind in _BY_PILLOW}


def refusal_of(error: Exception, data: bytes) -> BadImageError:
    """What an error of a parser or decoder means; it has neither traceback nor cause.

    Their frames would keep all pixels in memory.
    """
    if isinstance(error, BadImageError):
        return BadImageError(error.code, str(error))
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        found = re.search(r"\((\d+) pixels\)", str(error))
        return too_large(f"{int(found[1]):,} pixels" if found else str(error), f"{MAX_PIXELS:,} pixels")
    return _broken(error, data)


def _foreign(data: bytes, kind: str | None, formats: Collection[str]) -> BadImageError:
    cure = f"send one of {', '.join(name for name in SHORT_NAMES.values() if name in formats)}"
    if kind in _EXTRAS and kind not in SHORT_NAMES:
        cure = f"{_EXTRAS[kind]}, or {cure}"
    if kind is None:
        head = data[:8].hex(" ") or "no bytes"
        return BadImageError("not_an_image", f"no image format starts with {head}: {cure}")
    return BadImageError("unsupported_format", f"{kind} files are not decoded: {cure}")


def _unended() -> BadImageError:
    fault = "the image data end too early: images are decoded whole or not at all"
    return BadImageError("truncated", f"{fault}; upload the file again")


def _broken(error: Exception, data: bytes) -> BadImageError:
    if named_format(data) == "TIFF" and (found := refusal(error, data)):
        return found
    if _FOREIGN_LAYOUT.match(str(error)):
        return BadImageError("unsupported_format", f"{error}: convert the image, to jpg or png for example")
    unread = isinstance(error, SyntaxError | UnidentifiedImageError | struct.error)
    reason = "its header cannot be read" if unread else str(error) or type(error).__name__
    short = isinstance(error, EOFError) or "truncated" in reason.lower() or lacks_bytes(data)
    return BadImageError(
        "truncated" if short else "corrupt",
        f"{len(data):,} bytes of image data {'end too early' if short else 'are damaged'} ({reason}): "
        "images are decoded whole or not at all; upload the file again",
    )
