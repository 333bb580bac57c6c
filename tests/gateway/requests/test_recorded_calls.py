"""What eleven versions of SDKs sent is understood as it was sent, their signatures included."""

from pathlib import Path
from typing import Any

import pytest
from support.examples import PHOTOS
from support.gateway.requests import KeepingSink, receiving, scope_of
from support.sdk.recorded import CLOUD, KEY, SECRET, Recorded, load

from streams.gateway.requests.authentication import authenticate_basic, authenticate_signed
from streams.gateway.requests.credentials import Cloud, Credentials, Key
from streams.gateway.requests.forms import Forms
from streams.gateway.requests.options import UploadOptions, read_options

RECORDINGS = sorted((Path(__file__).parents[1] / "sdk" / "recordings").glob("*.json"))
FILES = {"koala.jpg": "koala.jpg", "landscape.jpg": "mountain.jpg"}
CREDENTIALS = Credentials([Cloud(CLOUD, {KEY: Key(KEY, SECRET)})])
ASKED = [("imagga_tagging", None), (None, None), ("imagga_tagging", None), *[("imagga_tagging", 0.4)] * 3]


async def understood(request: Recorded, photos: dict[str, bytes]) -> tuple[UploadOptions, bytes]:
    """What a request asks for, and its file; its caller is known at the time that it tells."""
    first, *lines = request.head.rstrip().split("\r\n")
    path = first.split(" ")[1]
    scope: Any = scope_of([tuple(line.split(": ", 1)) for line in lines])
    sink = KeepingSink()
    form = await Forms().read(scope, receiving([request.content(photos)]), sink)
    if "/resources/" in path:
        assert authenticate_basic(CREDENTIALS, CLOUD, scope).name == KEY
    else:
        now = float(form.fields.required("timestamp"))
        assert authenticate_signed(CREDENTIALS, CLOUD, scope, form.fields, now).name == KEY
    return read_options(form.fields, {"imagga_tagging"}, update="/resources/" in path), bytes(sink.data)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_the_calls_of_the_announcement(path: Path) -> None:
    """Upload, update and explicit: options and bytes are those of the program."""
    photos = {name: (PHOTOS / photo).read_bytes() for name, photo in FILES.items()}
    calls = [await understood(request, photos) for request in load(path)]
    assert [(",".join(call.categorization or ()) or None, call.auto_tagging) for call, _ in calls] == ASKED
    koala, landscape = photos.values()
    assert [content for _, content in calls] == [koala, landscape, b"", landscape, b"", b""]
