"""AVIF files that say one size and hold another, or lists without end."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from support.decoding import outcome, refused

from model import decode
from model.decoding.heif.av1_frames import frame_pixels
from model.decoding.heif.avif import pictures
from model.decoding.limits import MAX_FRAME_PIXELS, check_frames, decoding_bytes

if not features.check("avif"):
    pytest.skip("this Pillow was built without AVIF", allow_module_level=True)

GREY = Image.linear_gradient("L")
CODES = {"not_an_image", "unsupported_format", "truncated", "too_many_pixels", "corrupt"}
SPHERE = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def saved(mode: str = "RGB", size: tuple[int, int] = (130, 70), frames: int = 1, **options: object) -> bytes:
    """A file as Pillow writes it."""
    image = GREY.resize(size).convert(mode)
    if mode == "RGBA":
        image.putalpha(GREY.resize(size))
    more = [image.transpose(Image.Transpose.ROTATE_180)] * (frames - 1)
    file = BytesIO()
    animated = {"save_all": True, "append_images": more} if more else {}
    image.save(file, "AVIF", speed=10, **animated, **options)
    return file.getvalue()


def in_frames(data: bytes) -> list[list[int]]:
    return [list(map(sum, frame_pixels(it.data for it in source))) for source in pictures(data)]


BLOCKS = 256 * 128
HONEST = {
    "colour": (saved(), [BLOCKS], []),
    "unsubsampled": (saved(subsampling="4:4:4"), [BLOCKS], []),
    "grey": (saved("L", subsampling="4:0:0"), [BLOCKS], []),
    "transparent": (saved("RGBA"), [BLOCKS, BLOCKS], []),
    "animated": (saved(frames=3), [BLOCKS], [BLOCKS]),
    "transparent and animated": (saved("RGBA", frames=3), [BLOCKS, BLOCKS], [BLOCKS, BLOCKS]),
    "odd": (saved(size=(1, 1)), [128 * 128], []),
    "long": (saved(size=(1, 3000)), [128 * 3072], []),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_files(name: str) -> None:
    """What frames hold is read from their headers, and is what the file says, in whole blocks."""
    data, items, tracks = HONEST[name]
    assert in_frames(data) == [items, tracks]
    assert outcome(data) == "decoded"


@pytest.mark.slow
def test_a_large_honest_file() -> None:
    """Up to the limit an image is decoded with its transparency."""
    assert outcome(saved("RGBA", (4000, 4000))) == "decoded"


def box(kind: bytes, *contents: bytes) -> bytes:
    joined = b"".join(contents)
    return struct.pack(">I", 8 + len(joined)) + kind + joined


def first_stream(data: bytes) -> bytes:
    return pictures(data)[0][0].data


def configuration(data: bytes) -> bytes:
    at = data.index(b"av1C")
    return data[at - 4 : at + 8]


def grid(
    tiles: list[bytes],
    told: tuple[int, int],
    config: bytes,
    *,
    inside: bool = False,
    shown: tuple[int, int] | None = None,
) -> bytes:
    """An AVIF of tiles side by side, each of which is told to have this size."""
    width, height = shown or (told[0] * len(tiles), told[1])
    layout = struct.pack(">BBBBHH", 0, 0, 0, len(tiles) - 1, width, height)
    bodies = [layout, *tiles]
    ids = range(1, len(bodies) + 1)
    items = [
        box(b"infe", struct.pack(">IHH4s", 2 << 24, item, 0, b"av01" if item > 1 else b"grid"), b"\0")
        for item in ids
    ]
    references = box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *ids[1:]))
    sizes = [box(b"ispe", struct.pack(">III", 0, *size)) for size in ((width, height), told)]
    properties = [*sizes, box(b"pixi", bytes(4), b"\3\x08\x08\x08"), config]
    uses = [
        struct.pack(">HBBB", item, 2 + (item > 1), 1 + (item > 1), 3) + b"\x84" * (item > 1) for item in ids
    ]
    method = int(inside)

    def meta(start: int) -> bytes:
        places, at = [], 0 if inside else start
        for item, body in zip(ids, bodies, strict=True):
            places.append(struct.pack(">HHHHII", item, method, 0, 1, at, len(body)))
            at += len(body)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", len(ids)), *places),
            box(b"iinf", bytes(4), struct.pack(">H", len(ids)), *items),
            box(b"iref", bytes(4), references),
            box(
                b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(4), struct.pack(">I", len(ids)), *uses)
            ),
            *([box(b"idat", *bodies)] if inside else []),
        )

    head = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    before = len(head) + len(meta(0)) + 8
    return head + meta(before) + (b"" if inside else box(b"mdat", *bodies))


@pytest.mark.parametrize("inside", [False, True])
def test_an_honest_grid(*, inside: bool) -> None:
    """A grid's tiles are decoded and joined, wherever their data are."""
    plain = saved(size=(64, 64))
    data = grid([first_stream(plain)] * 3, (64, 64), configuration(plain), inside=inside)
    assert in_frames(data) == [[0, 128 * 128, 128 * 128, 128 * 128], []]
    assert decode(data, 32).width == 192


@pytest.fixture(scope="module")
def large() -> bytes:
    return saved(size=(4096, 4096), quality=10)


def test_frames_larger_than_the_file_says(large: bytes) -> None:
    """An AVIF that tells a small size around large frames is refused before they are decoded."""
    lying = large.replace(struct.pack(">II", 4096, 4096), struct.pack(">II", 256, 256))
    stream, config = first_stream(large), configuration(large)
    assert in_frames(lying) == [[4096 * 4096], []]
    for inside in (False, True):
        error = refused(grid([stream] * 4, (64, 64), config, inside=inside))
        assert error.code == "too_many_pixels"
        assert "67,108,864 pixels in all its frames" in str(error)
    frame = stream[2 + stream[3] + 2 :] if stream[0] == 0x12 else b""
    assert frame[0] >> 3 == 6
    assert "67,108,864" in str(refused(grid([stream, frame, frame, frame], (64, 64), config)))
    assert "67,108,864" in str(refused(grid([stream + stream[2:] * 3], (64, 64), config)))


@pytest.mark.slow
def test_one_frame_larger_than_any_image(large: bytes) -> None:
    """Whatever it is scaled to; the largest that an honest image needs passes."""
    assert outcome(large.replace(struct.pack(">II", 4096, 4096), struct.pack(">II", 3999, 4001))) == "decoded"
    huge = saved(size=(4864, 4864), quality=10)
    error = refused(huge.replace(struct.pack(">II", 4864, 4864), struct.pack(">II", 3999, 4001)))
    assert "23,658,496 pixels in a frame" in str(error)


def test_tiles_that_would_be_scaled() -> None:
    """Tiles that are small and told to be large would be scaled up: that counts as well."""
    plain = saved(size=(64, 64))
    tiles, config = [first_stream(plain)] * 5, configuration(plain)
    error = refused(grid(tiles, (100, 160_000), config, shown=(500, 400)))
    assert "80,000,000 pixels in all its frames" in str(error)
    assert "at most 16,000,000 pixels" in str(refused(grid(tiles, (100, 64), config, shown=(500, 65_000))))
    assert outcome(grid(tiles[:1], (256, 256), config)) == "decoded"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_animations_larger_than_the_file_says(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is an animation whose track tells a small size."""
    monkeypatch.setattr("model.decoding.limits.MAX_FRAME_PIXELS", 1_000_000)
    monkeypatch.setattr("model.decoding.limits.MAX_FRAMES", 1)
    side = 1_100 if mode == "RGB" else 800
    data = saved(mode, (side, side), frames=2).replace(
        struct.pack(">II", side, side), struct.pack(">II", 256, 256)
    )
    assert {it.pixels for source in pictures(data) for it in source} == {256 * 256}
    assert refused(data).code == "too_many_pixels"
    without_items = data.replace(b"meta", b"free", 1)
    assert refused(without_items).code == "too_many_pixels"


def test_a_frame_with_a_size_of_its_own() -> None:
    """Where a frame may be larger than its sequence says, it counts as the largest that there is room for."""
    data = saved(size=(300, 300), frames=2)
    stream = pictures(data)[1][0].data
    assert frame_pixels([stream]) == [[384 * 384]]
    assert stream[:3] == b"\x12\0\x0a"
    at = 2 + 2 + stream[3] + 2 + (stream[2 + 2 + stream[3] + 1] > 127)
    assert stream[2 + 2 + stream[3]] >> 3 == 6
    found = set()
    for place in range(16):
        flipped = bytearray(stream)
        flipped[at + place // 8] ^= 128 >> place % 8
        found |= set(frame_pixels([bytes(flipped)])[0])
    assert 512 * 512 in found


def test_lists_that_explode() -> None:
    """Lists of items, pieces and properties, for which libavif would take gigabytes or hours, are refused."""
    plain = saved(size=(64, 64))
    stream, config = first_stream(plain), configuration(plain)
    data = grid([stream], (64, 64), config)
    meta, handler = data.index(b"meta") - 4, data.index(b"hdlr") - 4

    def stuffed(kind: bytes, more: bytes) -> bytes:
        size = int.from_bytes(data[meta : meta + 4], "big") + len(more)
        renamed = data.replace(kind, b"free")
        return (
            renamed[:meta] + size.to_bytes(4, "big") + renamed[meta + 4 : handler] + more + renamed[handler:]
        )

    many = struct.pack(">I", 1_000_000)
    piece = struct.pack(">HHH", 1, 0, 65_535)
    uses = box(b"ipma", bytes(4) + many + b"\0\1\xff" * 200_000)
    for kind, more, found in (
        (b"iloc", box(b"iloc", b"\2\0\0\0\0\0" + many), "a flood of items"),
        (b"iloc", box(b"iloc", b"\0\0\0\0\0\0\0\2" + piece), "items in a flood of pieces"),
        (b"iref", box(b"iref", bytes(200_000)), "bytes of references"),
        (b"iprp", box(b"iprp", uses), "a flood of properties"),
        (b"free", box(b"free") * 100_000, "a flood of boxes"),
    ):
        in_track = box(b"moov", box(b"trak", box(b"meta", bytes(4), more)))
        for bad in (stuffed(kind, more), data + in_track):
            error = refused(bad)
            assert error.code == "corrupt"
            assert found in str(error)


def test_a_flood_of_frames() -> None:
    """An animation may not tell of more frames than any honest one has, though they are in one list."""
    data = bytearray(saved(frames=2))
    sizes, chunks = data.index(b"stsz") + 8, data.index(b"stsc") + 16
    data[sizes : sizes + 8] = struct.pack(">II", 1, 2_000_000)
    data[chunks : chunks + 4] = struct.pack(">I", 2_000_000)
    error = refused(bytes(data) + bytes(2_000_000))
    assert "a flood of frames" in str(error)


def test_data_that_many_items_share() -> None:
    """Items may share data, but not megabytes each, which libavif would copy."""
    plain = saved(size=(64, 64))
    padding = b"\x7a" + b"\xc0\x84\x3d" + bytes(1_000_000)
    shared = first_stream(plain) + padding
    data = grid([shared] * 4, (64, 64), configuration(plain))
    assert outcome(data) == "decoded"
    first = struct.pack(">II", data.index(shared), len(shared))
    for at in range(4):
        place = data.index(shared) + at * len(shared)
        data = data.replace(struct.pack(">II", place, len(shared)), first, 1)
    short = data[: data.index(shared) + len(shared)]
    assert "share much of their data" in str(refused(short))


def test_a_flood_of_units() -> None:
    """Units without data cost time, not space."""
    plain = saved(size=(64, 64))
    data = grid([b"\x7a\0" * 200_000], (64, 64), configuration(plain))
    assert "a flood of units" in str(refused(data))


def test_boxes_that_cannot_be_read() -> None:
    """What libavif takes and is not understood here is refused, as nothing is known of its size."""
    data = saved()
    at = data.index(b"iinf")
    odd = data[: at + 4] + b"\1" + data[at + 5 :]
    assert outcome(odd) in CODES


def test_what_a_frame_reserves() -> None:
    """Memory is reserved for what is decoded, not only for what is shown."""
    with Image.open(BytesIO(saved())) as image:
        assert decoding_bytes(image, 2 * 130 * 70) == decoding_bytes(image)
        assert decoding_bytes(image, MAX_FRAME_PIXELS) == 8 * MAX_FRAME_PIXELS
    assert check_frames([5, 1, 1], [[3], [2, 2], []]) == 9


@given(st.sampled_from(sorted(HONEST)), st.data())
def test_any_change_is_decoded_or_refused(name: str, data: st.DataObject) -> None:
    """A file with some bytes overwritten, cut or added is an image or a refusal, and nothing else happens."""
    file = bytearray(HONEST[name][0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(file) - 1))
        piece = data.draw(st.sampled_from([b"", b"\0", b"\xff", b"\x7f\xff\xff\xff"]) | st.binary(max_size=4))
        file[at : at + data.draw(st.sampled_from([len(piece), 0, 4]))] = piece
        file = file or bytearray(b"\0")
    assert outcome(bytes(file)) in {"decoded", *CODES}


@given(st.binary(max_size=300))
def test_any_stream(stream: bytes) -> None:
    """Any bytes are some number of frames."""
    assert all(pixels >= 0 for pixels in frame_pixels([stream])[0])
