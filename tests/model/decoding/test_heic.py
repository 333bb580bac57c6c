"""HEIC as phones write it, and HEIC that says one thing and holds another."""

from __future__ import annotations

import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.decoding import outcome, refused
from support.images.heic_files import (
    TRANSPARENCY,
    Item,
    box,
    coded,
    heif,
    layout,
    saved,
    saved_deep,
    size_told,
)

from model import FORMATS, BadImageError, View, decode, open_image, read_header
from model.decoding.heif.heic import MAX_TILES, work
from streams.app.settings import IMAGE_FORMATS

PHOTO = Path(__file__).parents[3] / "streams" / "photos" / "koala.jpg"
CODES = {"not_an_image", "unsupported_format", "truncated", "too_many_pixels", "corrupt"}
RED, BLUE = (220, 30, 30), (30, 30, 220)


def halves(size: tuple[int, int] = (256, 128)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def photo(side: int = 320) -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.convert("RGB").resize((side, side))


def like(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 40)


@pytest.mark.parametrize("chroma", [420, 422, 444])
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "10 bits"])
def test_a_photo_looks_as_its_original(chroma: int, *, deep: bool) -> None:
    """Whatever its depth and however its colours are subsampled."""
    original = photo()
    found = decode(saved_deep(original, chroma) if deep else saved(original, chroma=chroma), 64)
    wanted = np.asarray(original.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    assert (found.width, found.height, found.format) == (320, 320, "heic")
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 6


def test_grey_and_transparency() -> None:
    """Grey is grey, and what is transparent is white."""
    clear = halves().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size).point(lambda value: 255 * (value > 127)))
    found = decode(saved(clear), 32).pixels
    assert like(found[4, 4], (255, 255, 255))
    assert like(found[28, 4], RED)
    grey = decode(saved(photo().convert("L")), 32).pixels
    assert (grey[..., 0] == grey[..., 1]).all()


def test_grids_are_joined() -> None:
    """A phone's photo is a grid of tiles; its size is the grid's."""
    tiles = [coded(saved(Image.new("RGB", (128, 128), colour)), (128, 128)) for colour in (RED, BLUE)]
    data = heif([layout(1, 2, 250, 128), *tiles], (b"dimg", 1, [2, 3]))
    found = decode(data, 32)
    assert (found.width, found.height) == (250, 128)
    assert like(found.pixels[16, 4], RED)
    assert like(found.pixels[16, 28], BLUE)
    assert read_header(data) == read_header(data + b"what phones append")


@pytest.mark.parametrize(
    ("turn", "size", "where"),
    [
        (box(b"irot", b"\1"), (128, 256), (28, 16)),  # a quarter, counterclockwise: the left is below
        (box(b"irot", b"\2"), (256, 128), (16, 28)),
        (box(b"irot", b"\3"), (128, 256), (4, 16)),
        (box(b"imir", b"\1"), (256, 128), (16, 28)),
    ],
    ids=["a quarter", "half", "three quarters", "mirrored"],
)
def test_boxes_say_which_way_is_up(turn: bytes, size: tuple[int, int], where: tuple[int, int]) -> None:
    """An image is turned and mirrored as its boxes say; EXIF data have no say."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(halves(), exif=exif.tobytes())
    item = coded(data, (256, 128), turn)
    turned = heif([item])
    found = decode(turned, 32)
    assert (found.width, found.height) == size
    assert like(found.pixels[where], RED)
    header = read_header(turned)
    assert (header.width, header.height, header.format) == (*size, "heic")


def test_the_primary_picture_is_taken() -> None:
    """Of a burst one picture is looked at: the one that the file says, wherever it stands."""
    first, second = (coded(saved(Image.new("RGB", (96, 96), colour)), (96, 96)) for colour in (RED, BLUE))
    assert like(decode(heif([first, second], primary=2), 8).pixels[4, 4], BLUE)
    assert like(decode(heif([first, second], primary=1), 8).pixels[4, 4], RED)


def test_mif1_alone_names_no_codec() -> None:
    """A file of the general brand is decoded if its picture is HEVC."""
    picture = coded(saved(halves()), (256, 128))
    assert outcome(heif([picture], brand=b"mif1").replace(b"mif1heic", b"mif1mif1", 1)) == "decoded"


@pytest.mark.parametrize(("kind", "shown"), [(b"jpeg", "'jpeg'"), (b"j2k1", "'j2k1'"), (b"iovl", "'iovl'")])
def test_other_codings_are_named(kind: bytes, shown: str) -> None:
    """What is no HEVC is refused by the name of its coding, and never called damaged."""
    error = refused(heif([Item(kind, b"x" * 100, (size_told(64, 64),))]))
    assert error.code == "unsupported_format"
    assert f"pictures coded as {shown} are not decoded" in str(error)


def test_a_film_without_a_picture_is_named() -> None:
    """A sequence that has no still picture is no image."""
    error = refused(box(b"ftyp", b"msf1", bytes(4), b"msf1") + box(b"moov", bytes(16)))
    assert (error.code, "films" in str(error)) == ("unsupported_format", True)


@pytest.fixture(scope="module")
def large() -> Item:
    """A black picture of 16 million pixels, of some kilobytes."""
    return coded(saved(Image.new("RGB", (4096, 4096)), quality=10), (4096, 4096))


def test_a_picture_that_says_it_is_huge() -> None:
    """30,000 x 30,000 pixels are refused by what the file says, before anything is decoded."""
    small = coded(saved(halves()), (30_000, 30_000))
    for data in (heif([small]), heif([layout(100, 100, 30_000, 30_000), small], (b"dimg", 1, [2] * 100))):
        started = time.thread_time()
        error = refused(data)
        assert time.thread_time() - started < 0.1
        assert error.code == "too_many_pixels"
        assert "900,000,000 pixels in its frames" in str(error)


def test_a_picture_that_says_it_is_small(large: Item) -> None:
    """The size of its frames counts, not what the file says around them; twice two frames are four."""
    small = size_told(256, 256)
    liar = large._replace(properties=(small, *large.properties[1:]))
    assert work(heif([liar])).pixels == 4096 * 4096
    assert outcome(heif([liar])) in CODES
    twice = liar._replace(data=liar.data * 2)
    for data in (
        heif([twice]),
        heif([layout(1, 2, 512, 256), liar], (b"dimg", 1, [2, 2])),
        heif(
            [Item(b"iden", b"", (small,)), layout(1, 2, 512, 256), liar],
            (b"dimg", 1, [2]),
            (b"dimg", 2, [3, 3]),
        ),
    ):
        assert "33,554,432 pixels in its frames" in str(refused(data))


def test_transparency_counts(large: Item) -> None:
    """The frames of a picture's transparency are decoded as well."""
    picture = coded(saved(halves()), (256, 128))
    mask = large._replace(properties=(*large.properties, box(b"auxC", bytes(4), TRANSPARENCY)))
    found = work(heif([picture, mask], (b"auxl", 2, [1])))
    assert (found.pixels, found.transparent) == (4096 * 4096 + 256 * 128, True)
    other = large._replace(properties=(*large.properties, box(b"auxC", bytes(4), b"urn:apple:gainmap\0")))
    assert work(heif([picture, other], (b"auxl", 2, [1]))).pixels == 256 * 128


def test_floods_are_refused() -> None:
    """Tiles that are named over and over, and grids of grids, end before they cost anything."""
    tile = coded(saved(Image.new("RGB", (64, 64))), (64, 64))
    many = heif([layout(50, 50, 3200, 3200), tile], (b"dimg", 1, [2] * (MAX_TILES + 1)))
    assert "a flood of tiles" in str(refused(many))
    empty = [layout(1, 1, 64, 64) for _ in range(4)]
    nested = heif(empty, *((b"dimg", item, [item + 1] * 5_000) for item in (1, 2, 3)))
    started = time.thread_time()
    assert "a flood of tiles" in str(refused(nested))
    assert time.thread_time() - started < 0.5
    assert refused(heif([layout(1, 1, 64, 64)], (b"dimg", 1, [1]))).code == "corrupt"


def test_metadata_are_left_alone() -> None:
    """Metadata that many pictures share are never unpacked: they cost nothing."""
    small = coded(saved(Image.new("RGB", (64, 64))), (64, 64))
    exif = Item(b"Exif", bytes(4_000_000))
    data = heif([*[small] * 400, exif], (b"cdsc", 401, list(range(1, 401))))
    started = time.thread_time()
    assert outcome(data) == "decoded"
    assert time.thread_time() - started < 1


def test_truncated_and_damaged() -> None:
    """A file that ends early is told from one whose boxes contradict themselves."""
    data = saved(photo())
    assert refused(data[: len(data) * 2 // 3]).code == "truncated"
    assert refused(data[:200]).code == "corrupt"
    assert refused(data.replace(b"pitm", b"pitx", 1)).code == "corrupt"
    assert refused(data.replace(b"hvcC", b"hvcX", 1)).code == "corrupt"


def test_a_format_that_is_switched_off_is_not_parsed() -> None:
    """An operator may leave HEIC out: it is an unsupported format then, by its name."""
    data = saved(halves())
    without = FORMATS - {"heic"}
    for read in (lambda: open_image(data, (View(32),), without), lambda: read_header(data, without)):
        with pytest.raises(BadImageError, match="HEIC files are not decoded: send one of jpg") as caught:
            read()
        assert caught.value.code == "unsupported_format"
        assert "heic" not in str(caught.value)


def test_without_the_extra_the_cure_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libheif is not installed, the dead letter says what to install."""
    monkeypatch.delitem(open_image.__globals__["SHORT_NAMES"], "HEIC")
    error = refused(saved(halves()))
    assert error.code == "unsupported_format"
    assert "install the extra `heif` on the worker, or send one of jpg" in str(error)


def test_settings_know_every_format() -> None:
    """What can be decoded here is what settings offer."""
    assert set(IMAGE_FORMATS) == FORMATS


def test_one_core_and_no_more() -> None:
    """A decoder takes its own share: CPU time is not more than the time that passes, and threads go again."""
    data = saved(photo(1_500), quality=90)
    image = open_image(data, (View(260),))
    before = threading.active_count()
    wall, cpu = time.perf_counter(), time.process_time()
    image.decode()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.3 * wall + 0.05
    assert threading.active_count() == before
    assert len(list(Path("/proc/self/task").iterdir())) < 64


@pytest.mark.slow
def test_its_price_is_told_from_above() -> None:
    """A phone's photo is dear, and does not cost more than its header says."""
    image = open_image(saved(photo(3_000)), (View(260),))
    assert image.milliseconds > 250
    started = time.process_time()
    image.decode()
    assert (time.process_time() - started) * 1000 < 3 * image.milliseconds + 20


@pytest.mark.slow
def test_memory_is_estimated_from_above_and_released() -> None:
    """What decoding takes is less than the header says, and all of it is given back."""
    data = saved(photo(3_000))
    decode(data, 260)
    Path("/proc/self/clear_refs").write_text("5")
    before, held = _status("VmHWM"), _status("VmRSS")
    image = open_image(data, (View(260),))
    estimate = image.memory
    image.decode()
    assert _status("VmHWM") - before < estimate < 256_000_000
    for _ in range(3):
        decode(data, 260)
    assert _status("VmRSS") - held < 40_000_000


def _status(name: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) * 1024


def test_threads_give_equal_pixels() -> None:
    """Decoding from several threads at the same time gives what one thread gives."""
    data = saved(photo())
    expected = decode(data, 64).pixels
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: decode(data, 64).pixels, range(12)))
    assert all((pixels == expected).all() for pixels in results)


SAMPLE = saved(photo(96))


@given(st.data())
def test_a_flipped_byte_never_crashes(data: st.DataObject) -> None:
    """A file with some bytes overwritten is decoded or refused, and nothing else happens."""
    mutated = bytearray(SAMPLE)
    last = data.draw(st.sampled_from([len(SAMPLE) - 1, 700]))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(mutated)) in {"decoded", *CODES}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tail: bytes) -> None:
    """Whatever stands behind the brand."""
    assert outcome(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + tail) in CODES
