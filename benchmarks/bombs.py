"""Small files that cost a decoder much: each entry of BOMBS makes one."""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from PIL import Image
from support.images import heic_files

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1_000_000
SIDE = 65_000

Entry = tuple[int, int, int, bytes]  # of a TIFF directory: tag, type, count, value


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of an image file."""
    file = BytesIO()
    image.copy().save(file, kind, **options)  # saving leaves traces in an image that spoil the next format
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_zeros(size: int, level: int = 1) -> bytes:
    """Compress zeros without having them in memory."""
    packer, piece = zlib.compressobj(level), bytes(MEGABYTE)
    whole, rest = divmod(size, MEGABYTE)
    return b"".join(
        [*(packer.compress(piece) for _ in range(whole)), packer.compress(bytes(rest)), packer.flush()]
    )


def png(
    width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2, size: int | None = None
) -> bytes:
    """A black PNG, these chunks before its pixels, which unpack to `size` bytes if that is given."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    needed = (1 + (width * channels * depth + 7) // 8) * height
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", packed_zeros(needed if size is None else size))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def jpeg(width: int = 64, height: int = 64, **options: object) -> bytes:
    """A red JPEG."""
    return encoded(Image.new("RGB", (width, height), "red"), "JPEG", **options)


def stuffed_jpeg(stuffing: bytes) -> bytes:
    """A JPEG with something before its first segment."""
    data = jpeg()
    return data[:2] + stuffing + data[2:]


def resized_jpeg(side: int, **options: object) -> bytes:
    """A small JPEG whose header says that it is large."""
    data = bytearray(jpeg(**options))
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    data = jpeg(side, side, progressive=True, subsampling=0)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * count + data[-2:]


def tiff(*entries: Entry, data: bytes = b"") -> bytes:
    """A TIFF of one directory, its values and data behind it. `data` starts where an offset of 0 is given."""
    at = 14 + 12 * len(entries)
    size = at + sum(len(value) for *_, value in entries if len(value) > 4)
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, count, value in sorted(entries):
        inside = struct.pack("<I", size) if value == b"DATA" else value
        place = inside if len(inside) <= 4 else struct.pack("<I", at + len(values))
        directory += struct.pack("<HHI", tag, kind, count) + place.ljust(4, b"\0")
        values += b"" if len(inside) <= 4 else inside
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + values + data


def number(tag: int, value: int) -> Entry:
    """One whole number of a TIFF directory."""
    return (tag, 4, 1, struct.pack("<I", value))


def grey_tiff(width: int, height: int, compression: int = 1) -> list[Entry]:
    """What a grey TIFF says of itself."""
    sizes = [number(256, width), number(257, height)]
    return [*sizes, number(258, 8), number(259, compression), number(262, 1), number(277, 1)]


def strips(kind: int, width: int, count: int, height: int = 100) -> bytes:
    """A TIFF with a flood of strips."""
    offsets = (b"\x08" + bytes(width - 1)) * count
    return tiff(*grey_tiff(100, height), number(278, 1), (273, kind, count, offsets))


def shared_strips(count: int, blocks: int) -> bytes:
    """A deflated TIFF whose strips are all the same bytes: empty blocks, and a row."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    row = packer.compress(bytes(64)) + packer.flush() + struct.pack(">I", zlib.adler32(bytes(64)))
    data = b"\x78\x9c" + b"\0\0\0\xff\xff" * blocks + row
    entries = [*grey_tiff(64, count, 8), number(278, 1)]
    place = 14 + 12 * (len(entries) + 2) + 8 * count
    lists = [(273, 4, count, struct.pack("<I", place) * count)]
    lists += [(279, 4, count, struct.pack("<I", len(data)) * count)]
    return tiff(*entries, *lists, data=data)


def tiles(image: int, tile: int, size: int, kind: int = 4) -> bytes:
    """A deflated TIFF of one tile, which unpacks to `size`; its sides are of such a type."""
    data = packed_zeros(size)
    places = [(324, 4, 1, b"DATA"), number(325, len(data))]
    sides = [(tag, kind, 1, struct.pack("<I", tile)) for tag in (322, 323)]
    return tiff(*grey_tiff(image, image, 8), *sides, *places, data=data)


def looped_tiff() -> bytes:
    """A TIFF whose directory is followed by itself, and hangs its EXIF directory on itself."""
    data = bytearray(tiff(*grey_tiff(10, 10), number(273, 8), number(34665, 8)))
    data[8 + 2 + 12 * 8 : 8 + 2 + 12 * 8 + 4] = struct.pack("<I", 8)
    return bytes(data)


def gif(stuffing: bytes, **options: object) -> bytes:
    """A GIF with something before its picture."""
    data = encoded(Image.new("P", (8, 8)), "GIF", **options)
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + stuffing + data[at:]


def resized_gif(side: int) -> bytes:
    """A small GIF whose header and frame say that they are large."""
    data = bytearray(gif(b""))
    data[6:10] = struct.pack("<HH", side, side)
    at = data.index(b",", 13 + 3 * 2)
    data[at + 5 : at + 9] = struct.pack("<HH", side, side)
    return bytes(data)


def frames(kind: str, count: int) -> bytes:
    """An animation."""
    images = [Image.new("RGB", (32, 32), (n % 256, n // 256, 99)) for n in range(count)]
    return encoded(images[0], kind, save_all=True, append_images=images[1:], duration=20)


def bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    """A BMP with a palette."""
    colours = 1 << bits
    sizes = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 1, 1, colours, colours
    )
    palette = bytes(range(256)) * 4
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 4 * colours) + sizes + palette[: 4 * colours] + data


def text(kind: bytes, size: int, count: int = 1) -> bytes:
    """Compressed chunks of zeros."""
    heads = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"Profile\0\0"}
    return chunk(kind, heads[kind] + packed_zeros(size, 9 if count > 1 else 1)) * count


def large(kind: str, mode: str, side: int, **options: object) -> bytes:
    """A whole image of one colour, just below a limit."""
    return encoded(Image.new(mode, (side, side)), kind, **options)


def lying_avif(side: int, frames: int = 1) -> bytes:
    """An AVIF, animated or not, that tells a small size around its large frames."""
    images = [Image.new("RGB", (side, side), colour) for colour in ("red", "blue")[:frames]]
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    data = encoded(images[0], "AVIF", speed=10, **more)
    return data.replace(
        struct.pack(">II", side, side), struct.pack(">II", 256, 256)
    )  # a track's has zeros before


def crowded_avif(items: int, pieces: int) -> bytes:
    """An AVIF whose items are in many pieces, of no bytes each."""
    places = b"".join(struct.pack(">IHHH", item + 1, 0, 0, pieces) for item in range(items))
    handler = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
    located = box(b"iloc", b"\2\0\0\0\0\0" + struct.pack(">I", items) + places)
    meta = box(b"meta", bytes(4) + handler + box(b"pitm", bytes(5) + b"\1") + located)
    return box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + meta


def box(kind: bytes, contents: bytes) -> bytes:
    """A box of an AVIF file."""
    return struct.pack(">I", 8 + len(contents)) + kind + contents


def lying_heic(side: int, told: int, tiles: int = 0) -> bytes:
    """A HEIC whose frames have this side and are told to have another; as a grid that many times over."""
    picture = heic_files.coded(
        heic_files.saved(Image.new("RGB", (side, side), "red"), quality=10), (told, told)
    )
    if not tiles:
        return heic_files.heif([picture])
    grid = heic_files.layout(1, tiles, told * tiles, told)
    return heic_files.heif([grid, picture], (b"dimg", 1, [2] * tiles))


def shared_metadata_heic(pictures: int, size: int) -> bytes:
    """A HEIC with many pictures, to each of which the same metadata belong."""
    picture = heic_files.coded(heic_files.saved(Image.new("RGB", (64, 64))), (64, 64))
    items = [*[picture] * pictures, heic_files.Item(b"Exif", bytes(size))]
    return heic_files.heif(items, (b"cdsc", len(items), list(range(1, pictures + 1))))


BOMBS: dict[str, Callable[[], bytes]] = {
    "huge.jpg": lambda: resized_jpeg(SIDE),
    "huge-progressive.jpg": lambda: resized_jpeg(SIDE, progressive=True),
    "empty-7000.jpg": lambda: resized_jpeg(7_000),
    "fill.jpg": lambda: stuffed_jpeg(b"\xff" * 25 * MEGABYTE),
    "junk.jpg": lambda: stuffed_jpeg(b"\xff\xfe\0\2" + bytes(25 * MEGABYTE)),
    "comments.jpg": lambda: stuffed_jpeg(b"\xff\xfe\0\2" * 6 * MEGABYTE),
    "exif.jpg": lambda: stuffed_jpeg((b"\xff\xe1\2\xbcExif\0\0" + bytes(692)) * 35_000),
    "tables.jpg": lambda: stuffed_jpeg((b"\xff\xdb\xff\xfd" + bytes(65_531)) * 110),
    "blocks.jpg": lambda: stuffed_jpeg(
        (b"\xff\xed\xff\xf2Photoshop 3.0\0" + (b"8BIM\4\4\0\0" + bytes(4)) * 5459 + bytes(12)) * 110
    ),
    "scans-small.jpg": lambda: scans(64, 3_000),
    "scans-large.jpg": lambda: scans(5_000, 150),
    "scans-allowed.jpg": lambda: scans(6_500, 8),
    "progressive.jpg": lambda: large("JPEG", "RGB", 6_500, progressive=True, subsampling=0),
    "progressive-too-large.jpg": lambda: large("JPEG", "RGB", 7_000, progressive=True, subsampling=0),
    "progressive-cmyk.jpg": lambda: large("JPEG", "CMYK", 5_650, progressive=True),
    "huge.png": lambda: png(SIDE, SIDE, size=1000),
    "long.png": lambda: png(1, 40 * MEGABYTE),
    "more-than-it-says.png": lambda: png(8, 8, size=300 * MEGABYTE),
    "less-than-it-says.png": lambda: png(7_000, 7_000, size=1000),
    "ztxt.png": lambda: png(8, 8, text(b"zTXt", 200 * MEGABYTE)),
    "itxt.png": lambda: png(8, 8, text(b"iTXt", 200 * MEGABYTE)),
    "iccp.png": lambda: png(8, 8, text(b"iCCP", 200 * MEGABYTE)),
    "ztxt-flood.png": lambda: png(8, 8, text(b"zTXt", 900_000, 20_000)),
    "iccp-flood.png": lambda: png(8, 8, text(b"iCCP", 900_000, 20_000)),
    "chunks.png": lambda: png(8, 8, chunk(b"abCd", b"") * 2 * MEGABYTE),
    "rgba16.png": lambda: png(7_000, 7_000, depth=16, colour=6),
    "grey-alpha.png": lambda: png(7_000, 7_000, colour=4),
    "huge.gif": lambda: resized_gif(SIDE),
    "empty-7000.gif": lambda: resized_gif(7_000),
    "frames.gif": lambda: frames("GIF", 3_000),
    "comments.gif": lambda: gif(b"!\xfe" + b"\1a" * 12 * MEGABYTE + b"\0"),
    "extensions.gif": lambda: gif(b"!\x01\1a\0" * 5 * MEGABYTE),
    "transparent.gif": lambda: large("GIF", "P", 7_000, transparency=0),
    "frames.webp": lambda: frames("WEBP", 1_000),
    "lossless.webp": lambda: large("WEBP", "RGBA", 4_000, lossless=True, quality=0, method=0),
    "too-large.webp": lambda: large("WEBP", "RGB", 7_000, method=0),
    "lossy.webp": lambda: large("WEBP", "RGB", 4_000, method=0),
    "run-wide.bmp": lambda: bmp(49 * MEGABYTE, 1, 8, 1, b"\0\0\0\1"),
    "runs.bmp": lambda: bmp(2_000, 2_000, 8, 1, b"\1\5" * 12 * MEGABYTE),
    "runs-of-four-bits.bmp": lambda: bmp(2_000, 2_000, 4, 2, b"\xfe\5" * 15_900),
    "deltas.bmp": lambda: bmp(2_000, 2_000, 8, 1, b"\0\2\0\0" * 6 * MEGABYTE),
    "one-bit.bmp": lambda: bmp(20_000, 2_400, 1, 0, bytes(2_500 * 2_400)),
    "strips.tiff": lambda: strips(4, 4, 6 * MEGABYTE),
    "strips-of-bytes.tiff": lambda: strips(1, 1, 24 * MEGABYTE),
    "strips-allowed.tiff": lambda: strips(4, 4, 32_000, height=32_000),
    "rationals.tiff": lambda: tiff(
        *grey_tiff(10, 10), number(273, 8), (282, 5, 3 * MEGABYTE, b"\1\0\0\0" * 6 * MEGABYTE)
    ),
    "entries.tiff": lambda: tiff(*grey_tiff(10, 10), *(number(1000 + n, n) for n in range(20_000))),
    "shared-strips.tiff": lambda: shared_strips(60_000, 200_000),
    "tile-unpacks.tiff": lambda: tiles(4_000, 40_000, 400 * MEGABYTE),
    "tile-absurd.tiff": lambda: tiles(4_000, 2**31 - 16, 1000),
    "tile-signed.tiff": lambda: tiles(300, 32_768, 1 << 30, kind=9),
    "tile-allowed.tiff": lambda: tiles(4_990, 9_984, 9_984 * 9_984),
    "loop.tiff": looped_tiff,
    "huge.tiff": lambda: tiff(*grey_tiff(SIDE, SIDE, 8), number(278, SIDE), number(273, 8), number(279, 100)),
    "one-strip.tiff": lambda: large("TIFF", "RGB", 4_990, compression="tiff_adobe_deflate", strip_size=10**9),
    "lzma.tiff": lambda: large("TIFF", "RGBA", 4_990, compression="lzma", strip_size=10**9),
    "floats.tiff": lambda: large("TIFF", "F", 4_990, compression="tiff_adobe_deflate"),
    "lying.avif": lambda: lying_avif(8_000),
    "lying-animation.avif": lambda: lying_avif(7_000, frames=2),
    "pieces.avif": lambda: crowded_avif(400, 65_535),
    "items.avif": lambda: crowded_avif(200_000, 0),
    "claims.heic": lambda: lying_heic(64, 30_000),
    "claims-grid.heic": lambda: lying_heic(64, 300, tiles=100),
    "lying.heic": lambda: lying_heic(5_000, 256),
    "same-tiles.heic": lambda: lying_heic(4_000, 256, tiles=200),
    "metadata.heic": lambda: shared_metadata_heic(900, 20 * MEGABYTE),
    "large.heic": lambda: heic_files.saved(Image.new("RGB", (5_300, 5_300), "red"), quality=10),
    "large-deep.heic": lambda: heic_files.saved_deep(Image.new("RGB", (3_700, 3_700), "red"), 444),
    "large-alpha.heic": lambda: heic_files.saved(Image.new("RGBA", (3_100, 3_100), "red"), quality=10),
    "noise.heic": lambda: heic_files.saved(
        Image.effect_noise((4_000, 4_000), 90).convert("RGB"), quality=100
    ),
    "large.avif": lambda: large("AVIF", "RGBA", 4_000, speed=10, subsampling="4:4:4"),
}
