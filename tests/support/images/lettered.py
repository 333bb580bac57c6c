"""Photos with letters on them."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"


def lettered(*lines: str, photo: str = "koala", size: int = 48, orientation: int = 1) -> bytes:
    """A JPEG of a photo with lines of text across it; held as a camera was turned, if that is said."""
    with Image.open(PHOTOS / f"{photo}.jpg") as file:
        image = file.convert("RGB")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, line in enumerate(lines):
        place = (size // 2, size // 2 + number * round(size * 1.6))
        pen.text(place, line, font=font, fill="white", stroke_width=max(size // 20, 1), stroke_fill="black")
    if orientation == 3:
        image = image.transpose(Image.Transpose.ROTATE_180)
    exif = Image.Exif()
    exif[0x0112] = orientation
    kept = BytesIO()
    image.save(kept, "JPEG", quality=88, exif=exif)
    return kept.getvalue()
