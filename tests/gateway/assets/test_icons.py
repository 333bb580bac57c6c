import io

import pytest
from PIL import Image

from streams.gateway.assets.media import icon_size


def icon(*sizes: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGBA", (256, 256)).save(made, "ICO", sizes=[(size, size) for size in sizes])
    return made.getvalue()


@pytest.mark.parametrize(("sizes", "largest"), [((16,), 16), ((16, 32, 48), 48), ((256, 16), 256)])
def test_the_largest_picture_counts(sizes: tuple[int, ...], largest: int) -> None:
    """An icon has several pictures; 256 is written as 0."""
    content = icon(*sizes)
    assert icon_size(content, len(content)) == (largest, largest)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\1\0",
        b"\0\0\1\0\0\0" + b"\0" * 100,
        b"\0\0\2\0\1\0" + b"\0" * 100,
        b"\0\0\1\0\xff\xff" + b"\0" * 100,
        b"\0\0\1\0\1\0" + b"\xff" * 16,
        icon(16)[:30],
    ],
)
def test_what_is_no_icon(content: bytes) -> None:
    """No pictures, a cursor, too many, pictures that lie beyond the end."""
    assert icon_size(content, len(content)) is None
