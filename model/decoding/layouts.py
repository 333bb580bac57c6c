"""Layouts of TIFF files: numbers, channels and codecs in all combinations, most of which are valid.

What Pillow and libtiff say of a layout decides: what they decode is decoded, as its numbers are meant; what
they do not is no damaged file, and is refused by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import TiffImagePlugin

from model.decoding.errors import BadImageError
from model.decoding.libtiff import has_codec
from model.decoding.tiff_directory import (
    BITS,
    COMPRESSION,
    EXTRA,
    FORMAT,
    PHOTOMETRIC,
    PLANES,
    SAMPLES,
    first_values,
)

if TYPE_CHECKING:
    from PIL import Image

_II, _MM = b"II", b"MM"
_UNKNOWN = "unknown pixel mode"  # what Pillow says of a layout that it does not decode
_RAW, _APART = 1, 2
_UNSIGNED, _SIGNED, _FLOATS = 1, 2, 3
_WHITE_IS_ZERO, _GREY, _CMYK = 0, 1, 5
_DEEP, _DEEPEST = 16, 32
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}

_COLOURS = {
    0: "grey, white is zero",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "raw sensor data (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw sensor data",
}
_NUMBERS = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOATS: "floating-point", 5: "complex", 6: "complex"}
_CODECS = {
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG of a camera's raw data",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

# Layouts that Pillow's decoders can do, and its table lacks. Transparency of CMYK is left out.
_MORE: dict[tuple[bytes, int, tuple[int], int, tuple[int, ...], tuple[int, ...]], tuple[str, str]] = {
    (_MM, 0, (1,), 1, (16,), ()): ("I;16B", "I;16B"),
    (_II, 0, (1,), 1, (32,), ()): ("I", "I;32S"),
    (_MM, 0, (1,), 1, (32,), ()): ("I", "I;32BS"),
    (_MM, 1, (1,), 1, (32,), ()): ("I", "I;32BS"),
    **{
        (order, _CMYK, (1,), 1, (8,) * 5, (alpha,)): ("CMYK", "CMYKX")
        for order in (_II, _MM)
        for alpha in (1, 2)
    },
}
TiffImagePlugin.OPEN_INFO.update(_MORE)


class Levels(NamedTuple):
    """What the numbers of a grey image mean.

    Attributes:
        unsigned: Whether those that Pillow has as negative ones are large.
        inverted: Whether the lowest is white.
        highest: The largest that there may be; None: the image's own range counts.
    """

    unsigned: bool = False
    inverted: bool = False
    highest: int | None = None


def check_layout(data: bytes) -> None:
    """Refuse a TIFF file that is compressed as libtiff cannot, or whose numbers Pillow would take for others.

    Raises:
        BadImageError: ``unsupported_format``.
    """
    told = first_values(data)
    codec = told.get(COMPRESSION, _RAW)
    known = codec in TiffImagePlugin.COMPRESSION_INFO and (codec == _RAW or has_codec(codec))
    signed_bytes = told.get(FORMAT) == _SIGNED and told.get(BITS) == 8  # noqa: PLR2004 - a byte
    deep_planes = codec == _RAW and told.get(PLANES) == _APART and told.get(BITS) == _DEEP
    if not known or signed_bytes or (deep_planes and told.get(SAMPLES, 1) > 1):
        raise _unsupported(data)


def refusal(error: Exception, data: bytes) -> BadImageError | None:
    """What an error of Pillow's parser of TIFF headers means, where it is about the layout."""
    return _unsupported(data) if _UNKNOWN in str(error) else None


def mend_order(image: Image.Image) -> None:
    """Tell Pillow that libtiff has swapped bytes already, which it forgets for some kinds of numbers."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    for place, tile in enumerate(image.tile):
        if tile.codec_name == "libtiff" and isinstance(tile.args, tuple) and tile.args[0] in _NATIVE:
            image.tile[place] = tile._replace(args=(_NATIVE[tile.args[0]], *tile.args[1:]))


def levels_of(image: Image.Image) -> Levels:
    """What the numbers of a grey image of more than eight bits mean."""
    whole = (1 << _DEEP) - 1 if image.mode.startswith("I;16") else None
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return Levels(highest=whole)
    told = image.tag_v2
    bits = told.get(TiffImagePlugin.BITSPERSAMPLE, (_DEEP,))[0]
    unsigned = told.get(TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,))[0] == _UNSIGNED
    return Levels(
        unsigned=image.mode == "I" and unsigned and bits == _DEEPEST,
        inverted=told.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO) == _WHITE_IS_ZERO,
        highest=whole and (1 << min(bits, _DEEP)) - 1,
    )


def _unsupported(data: bytes) -> BadImageError:
    told = first_values(data)
    colours = told.get(PHOTOMETRIC, _GREY)
    numbers = told.get(FORMAT, _UNSIGNED)
    layout = [
        _COLOURS.get(colours, f"colours of kind {colours}"),
        f"{told.get(BITS, 1)}-bit {_NUMBERS.get(numbers, 'other')} numbers",
    ]
    if EXTRA in told:
        layout.append("transparency" if told[EXTRA] in {1, 2} else "more channels")
    if told.get(PLANES) == _APART:
        layout.append("channels apart")
    if (codec := told.get(COMPRESSION, _RAW)) != _RAW:
        name = _CODECS.get(codec) or TiffImagePlugin.COMPRESSION_INFO.get(codec, str(codec))
        layout.append(f"compression {name.removeprefix('tiff_')}")
    cure = "convert it to 8-bit grey or RGB without compression, or to jpg or png"
    return BadImageError(
        "unsupported_format", f"TIFF files of this layout are not decoded ({', '.join(layout)}): {cure}"
    )
