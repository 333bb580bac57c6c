"""Strangers' bytes in, one small square of RGB pixels out.

Every image is squashed to ``size`` x ``size``: the models here keep more of their accuracy on a squashed
image than on a centre crop. JPEG files are decoded at a reduced scale (Pillow's *draft*), which makes a
12-megapixel photo about seven times cheaper.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from model.sniff import lacks_bytes, named_format, progressive_scans

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded, in Pillow's names. Not MPO: its parser raises KeyError on unknown data."""

MAX_PIXELS = 50_000_000
"""Width times height above which an image is refused before its pixels get any memory."""

MAX_SCANS = 200
"""Scans of a progressive JPEG above which it is refused; encoders write about ten."""

_TINY = 1e-12
_SHORT_NAMES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
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

# Once, at import: changing the filters around each call would race between threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # a stranger's EXIF is no news
warnings.simplefilter("error", Image.DecompressionBombWarning)


class BadImageError(ValueError):
    """The bytes are no image that can be tagged; the same bytes will fail again.

    Attributes:
        code: ``not_an_image``, ``unsupported_format``, ``truncated``, ``too_many_pixels`` or ``corrupt``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """What the model sees of an image, and what its owner wants to know about it.

    Attributes:
        pixels: uint8, shape (size, size, 3), RGB.
        width: Of the whole image, after its EXIF orientation.
        height: Likewise.
        format: ``jpg``, ``png``, ``webp``, ``gif``, ``bmp`` or ``tiff``.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


def decode(data: bytes, size: int) -> DecodedImage:
    """Decode the first frame of an image, upright, as RGB on white, squashed to a square.

    Safe to call from several threads; Pillow releases the GIL while it decodes and resizes.

    Args:
        data: A whole image file.
        size: Side of the square in pixels.

    Raises:
        BadImageError: The bytes are refused; its ``code`` says why.
    """
    with _open(data) as image:
        try:
            return _upright_square(image, size)
        except Exception as error:  # Pillow's decoders raise many kinds on hostile data
            raise _broken(error, data) from error


def _open(data: bytes) -> Image.Image:
    if (scans := progressive_scans(data)) > MAX_SCANS:
        rule = f"at most {MAX_SCANS} are decoded, as each costs a pass over the image"
        raise BadImageError("corrupt", f"the JPEG data has {scans} scans: {rule}; save it again")
    try:
        image = _parse_header(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise _too_large(f"{int(found[1]):,} pixels" if found else str(error)) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except Exception as error:  # Pillow's parsers raise many kinds on hostile headers
        raise _broken(error, data) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(f"{image.width} x {image.height} pixels")
    return image


def _parse_header(data: bytes) -> Image.Image:
    if data.startswith(b"\xff\xd8\xff"):
        # Image.open would hand a multi-picture JPEG to the MPO parser; its first picture is a plain JPEG.
        return JpegImageFile(BytesIO(data))
    return Image.open(BytesIO(data), formats=FORMATS)


def _upright_square(image: Image.Image, size: int) -> DecodedImage:
    width, height = image.size
    image.draft(None, (size, size))
    image.load()
    if image.format == "TIFF":
        width, height = image.size  # Pillow turns TIFF files upright while it loads them
    orientation = _orientation(image)
    square = _flatten(_eight_bits(image, size), size)
    if orientation in _TRANSPOSE:
        square = square.transpose(_TRANSPOSE[orientation])
    if orientation in _SWAPPED:
        width, height = height, width
    return DecodedImage(np.asarray(square), width, height, _SHORT_NAMES[image.format or "JPEG"])


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF data must not cost the image its tags
        return 1
    return value if isinstance(value, int) else 1


def _eight_bits(image: Image.Image, size: int) -> Image.Image:
    """Bring 16-bit, 32-bit and floating-point grey to 8 bits and the wanted size; the rest passes."""
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return image
    wide = image.convert("F")
    found = (0.0, 65535.0) if image.mode.startswith("I;16") else wide.getextrema()
    low, high = cast("tuple[float, float]", found)  # one band, one pair
    values = np.asarray(_squash(wide, size))
    scaled = (values - low) * (255.0 / max(high - low, _TINY))
    return Image.fromarray(np.nan_to_num(scaled).clip(0, 255).astype(np.uint8))


def _flatten(image: Image.Image, size: int) -> Image.Image:
    """Lay transparency over white; CMYK, palettes and grey become RGB.

    Transparent images are squashed first, with their colours multiplied by their alpha so that hidden ones do
    not bleed: at full size the layers of a large one would take most of a gigabyte.
    """
    if not image.has_transparency_data:
        return _squash(image if image.mode == "RGB" else image.convert("RGB"), size)
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    small = _squash(layer.convert("RGBa"), size).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    paper.alpha_composite(small)
    return paper.convert("RGB")


def _squash(image: Image.Image, size: int) -> Image.Image:
    return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _too_large(found: str) -> BadImageError:
    return BadImageError(
        "too_many_pixels",
        f"the image is too large ({found}): at most {MAX_PIXELS:,} pixels are decoded; scale it down first",
    )


def _unidentified(data: bytes) -> BadImageError:
    known = named_format(data)
    cure = f"send one of {', '.join(_SHORT_NAMES.values())}"
    if known is None:
        head = data[:8].hex(" ") or "no bytes"
        return BadImageError("not_an_image", f"no image format starts with {head}: {cure}")
    if known in FORMATS:
        return _broken(SyntaxError(), data)
    return BadImageError("unsupported_format", f"{known} files are not decoded: {cure}")


def _broken(error: BaseException, data: bytes) -> BadImageError:
    reason = (
        "its header cannot be read" if isinstance(error, SyntaxError) else str(error) or type(error).__name__
    )
    short = isinstance(error, EOFError) or "truncated" in reason.lower() or lacks_bytes(data)
    return BadImageError(
        "truncated" if short else "corrupt",
        f"{len(data):,} bytes of image data {'end too early' if short else 'are damaged'} ({reason}): "
        "images are decoded whole or not at all; upload the file again",
    )
