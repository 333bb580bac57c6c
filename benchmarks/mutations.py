"""Make a folder of hostile images: mutated photos and bombs, the same ones for the same seed.

python benchmarks/mutations.py FOLDER [--count 500] [--bombs 1000] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bombs import BOMBS, encoded
from PIL import Image, features
from support.images import heic_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PHOTOS = sorted((Path(__file__).parents[1] / "streams" / "photos").glob("*.jpg"))
SEED = 1
SIDE = 160  # of the photos that are mutated: small files are hit in their headers more often

_EDGES = (b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")
_MARKERS = [bytes([0xFF, marker]) for marker in b"\xc0\xc2\xc4\xda\xdb\xdd\xe1\xe2\xee\xd9"]
_PNG = "IHDR PLTE IDAT tRNS acTL fcTL fdAT eXIf IEND"
_BOXES = (
    "VP8_ VP8L VP8X ALPH ANIM ANMF ftyp meta iloc iprp ispe av1C hvcC hvc1 grid iref dimg irot pitm mdat iinf"
)
_TAGS = [name.replace("_", " ").encode() for name in f"{_PNG} {_BOXES}".split()]


def seeds() -> dict[str, bytes]:
    """Whole, good files of every format that is decoded, by name."""
    photos = [Image.open(path).convert("RGB").resize((SIDE, SIDE)) for path in PHOTOS[:4]]
    first, second, third, fourth = photos
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    alpha = second.copy()
    alpha.putalpha(third.convert("L"))
    wide = first.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    found: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, kind: str, **options: object) -> None:
        found[name] = encoded(image, kind, **options)

    profile = bytes(3000)
    add("baseline.jpg", first, "JPEG", exif=exif, icc_profile=profile)
    add("progressive.jpg", second, "JPEG", progressive=True, exif=exif)
    add("cmyk.jpg", third.convert("CMYK"), "JPEG", restart_marker_blocks=4)
    add("grey.jpg", fourth.convert("L"), "JPEG", comment="grey")
    add("rgb.png", first, "PNG", exif=exif, icc_profile=profile)
    add("rgba.png", alpha, "PNG")
    add("palette.png", second.quantize(64), "PNG", transparency=3)
    add("wide.png", wide, "PNG")
    add("bit.png", third.convert("1"), "PNG")
    add("animated.png", first.quantize(16), "PNG", save_all=True, append_images=[second.quantize(16)])
    add("still.gif", first.quantize(128), "GIF", transparency=1, interlace=1)
    add("animated.gif", first.quantize(16), "GIF", save_all=True, append_images=[second.quantize(16)])
    add("lossy.webp", first, "WEBP", exif=exif, icc_profile=profile)
    add("lossless.webp", alpha, "WEBP", lossless=True)
    add("alpha.webp", alpha, "WEBP")
    add("animated.webp", first, "WEBP", save_all=True, append_images=[second, third])
    add("rgb.bmp", first, "BMP")
    add("palette.bmp", second.quantize(16), "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"):
        add(f"{compression}.tiff", first, "TIFF", compression=compression, tiffinfo={274: 6})
    add("group4.tiff", third.convert("1"), "TIFF", compression="group4")
    add("wide.tiff", wide, "TIFF", compression="tiff_lzw")
    add("floats.tiff", first.convert("L").convert("F"), "TIFF")
    add("cmyk.tiff", third.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate")
    add("pages.tiff", first, "TIFF", save_all=True, append_images=[second.copy()])
    add("big.tiff", first, "TIFF", big_tiff=True)
    if features.check("avif"):
        add("rgb.avif", first, "AVIF", speed=9, exif=exif, icc_profile=profile)
        add("alpha.avif", alpha, "AVIF", speed=9, subsampling="4:4:4")
        add("animated.avif", first, "AVIF", speed=9, save_all=True, append_images=[second])
        found["animated.avif"] = timeless(found["animated.avif"])
    found.update(heic_seeds(first, alpha))
    return found


def heic_seeds(photo: Image.Image, alpha: Image.Image) -> dict[str, bytes]:
    """HEIC files of each kind that phones and cameras write."""
    tile = heic_files.saved(photo)
    tiles = [heic_files.coded(tile, photo.size, heic_files.box(b"irot", b"\1"))] * 4
    grid = heic_files.layout(2, 2, 2 * photo.width, 2 * photo.height)
    return {
        "rgb.heic": heic_files.saved(photo, exif=bytes(200)),
        "alpha.heic": heic_files.saved(alpha),
        "grey.heic": heic_files.saved(photo.convert("L"), chroma=444),
        "deep.heic": heic_files.saved_deep(photo, 422),
        "grid.heic": heic_files.heif([grid, *tiles], (b"dimg", 1, [2, 3, 4, 5])),
    }


def timeless(data: bytes) -> bytes:
    """Take the times of creation out of the boxes that hold them, or no two runs would be alike."""
    return re.sub(rb"(mvhd|tkhd|mdhd)(\x01...).{16}", rb"\1\2" + bytes(16), data, flags=re.DOTALL)


def flip_bits(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Flip some bits, more often near the beginning."""
    for _ in range(chance.choice((1, 2, 4, 16, 64))):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)
    return data


def overwrite(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Put extreme numbers into some places: sizes, counts and offsets that lie."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, edge = _place(data, chance), chance.choice(_EDGES)
        data[at : at + len(edge)] = edge
    return data


def truncate(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Cut the end off."""
    return data[: chance.randrange(1, len(data))]


def splice(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Go on with a piece of another file."""
    start, end = sorted(chance.randrange(len(other)) for _ in range(2))
    at = _place(data, chance)
    return data[:at] + other[start:end] + data[at + chance.choice((0, end - start)) :]


def repeat(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Repeat a piece, up to a few hundred times."""
    start = _place(data, chance)
    piece = data[start : start + chance.choice((1, 4, 12, 100, 1000))]
    return data[:start] + piece * chance.choice((2, 10, 300)) + data[start:]


def remove(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Leave a piece out."""
    start = _place(data, chance)
    return data[:start] + data[start + chance.choice((1, 2, 4, 12, 100, 1000)) :]


def rename(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Turn one chunk, box or marker into another."""
    known = [tag for tag in (*_TAGS, *_MARKERS) if tag in data]
    if known:
        tag = chance.choice(known)
        data = data.replace(
            tag, chance.choice([name for name in (*_TAGS, *_MARKERS) if len(name) == len(tag)]), 1
        )
    return data


def renumber(data: bytearray, chance: random.Random, _: bytes) -> bytearray:
    """Change one entry of a TIFF or EXIF directory: its tag, type, count or value."""
    at = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    if at < 0:
        return flip_bits(data, chance, b"")
    order = "<" if data[at : at + 1] == b"I" else ">"
    start = at + int(struct.unpack_from(order + "I", data.ljust(at + 8, b"\0"), at + 4)[0]) + 2
    entry = start + 12 * chance.randrange(12)
    offset, form = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I")))
    value = chance.choice((0, 1, 3, 5, 12, 257, 273, 322, 324, 34665, 65535, 2**20, 2**31 - 1, 2**32 - 1))
    new = struct.pack(order + form, value % (2 ** (8 * struct.calcsize(form))))
    if entry + 12 <= len(data):
        data[entry + offset : entry + offset + len(new)] = new
    return data


def mend(data: bytearray) -> bytearray:
    """Make the checksums of a PNG's chunks right, so that the mutation gets past them."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data


MUTATORS: tuple[Callable[[bytearray, random.Random, bytes], bytearray], ...] = (
    flip_bits, flip_bits, overwrite, overwrite, truncate, splice, repeat, remove, rename, renumber,
)  # fmt: skip


def mutated(originals: dict[str, bytes], number: int, seed: int = SEED) -> tuple[str, bytes]:
    """The name and the bytes of a mutated image; the same for the same number and seed."""
    chance = random.Random(f"{seed}/{number}")
    name = chance.choice(list(originals))
    data = bytearray(originals[name])
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if data:
            data = chance.choice(MUTATORS)(data, chance, originals[chance.choice(list(originals))])
    if name.endswith("png") and chance.random() < 0.8:
        data = mend(data)
    return f"{number:06d}-{name}", bytes(data)


def hostile(count: int, most_bombs: int, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """That many files: bombs of all kinds, and mutated images."""
    step = max(len(BOMBS) // most_bombs, 1) if most_bombs else 1
    bombs = list(BOMBS)[::step][: min(count, most_bombs)]
    for name in bombs:
        yield f"bomb-{name}", BOMBS[name]()
    originals = seeds()
    for number in range(count - len(bombs)):
        yield mutated(originals, number, seed)


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randrange(min(len(data), chance.choice((32, 200, 2_000, 10**9))))


def main() -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--bombs", type=int, default=1000, help="most bombs among them")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, data in hostile(chosen.count, chosen.bombs, chosen.seed):
        (chosen.folder / name).write_bytes(data)
        written += len(data)
    print(f"files={chosen.count} bytes={written} seed={chosen.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
