"""The pictures that the vendor's tests upload from the vendor's own servers, here from this machine."""

import io
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from PIL import Image

PHOTO = Path(__file__).parents[3] / "streams" / "photos" / "mountain.jpg"
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 1_000
LOGOS = (
    "test/resources/logo.png",
    "test/.resources/logo.png",
    "cloudinary-test-common/src/main/resources/old_logo.png",
)


def big_photo() -> bytes:
    """A photo of some 14 MB: noise cannot be compressed."""
    made = io.BytesIO()
    Image.effect_noise((4000, 3000), 100).save(made, "JPEG", quality=95)
    return made.getvalue()


class Pictures(ThreadingHTTPServer):
    """Serves the logo of the checkout, a photo for any other image, and the beginning of a video."""

    def __init__(self, port: int, checkout: Path) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        logo = next(checkout / name for name in LOGOS if (checkout / name).exists())
        self.content = {
            "image/png": logo.read_bytes(),
            "image/jpeg": PHOTO.read_bytes(),
            "video/mp4": VIDEO,
        }
        Thread(target=self.serve_forever, daemon=True).start()


class _Answers(BaseHTTPRequestHandler):
    server: Pictures

    def do_GET(self) -> None:
        kind = "video/mp4" if "/video/" in self.path else "image/png" if "logo" in self.path else "image/jpeg"
        content = self.server.content[kind]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
