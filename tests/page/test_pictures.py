"""Pictures of the page, of a real run: `PICTURES=docs/pictures/page` takes those of the docs anew."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect
from support.page.browsing import PHOTOS, Run, Visit, data_url, publish

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "docs" / "pictures" / "page"
MOST = 150_000  # bytes of a picture
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
PICTURES = {
    "library": "/library",
    "image": "/image?id=koala",
    "trends": "/trends",
    "tag": "/tag?tag=mammal",
    "users": "/users?user=u1",
    "letters": "/letters",
    "health": "/health",
    "live": "/live",
    "try": "/",
}


def _photo(public_id: str, name: str) -> UploadData:
    return UploadData(public_id=public_id, url=data_url(name), user_id="u3", auto_tagging=0.4)


@pytest.mark.parametrize("look_of", LOOKS)
def test_every_view_looks_like_something(
    run: Run, look: Callable[..., Visit], look_of: str, tmp_path: Path
) -> None:
    """Each view fills its picture with more than a plain ground, in few bytes."""
    wanted = {path.stem for path in SHOWN.glob("*.webp")}
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    visit = look(**LOOKS[look_of])
    for name, address in PICTURES.items():
        page = visit.go(address)
        if name == "try":
            page.set_input_files("#photos", PHOTOS / "koala.jpg")
            expect(page.locator("article tag-bars a").first).to_be_visible(timeout=40_000)
        if name == "live":
            expect(page.get_by_role("status").filter(has_text="Nothing comes")).to_be_visible()
            publish(run, *(_photo(f"{path.stem}-{look_of}", path.name) for path in PHOTOS.glob("*.jpg")))
            expect(page.locator("li.tag-update")).to_have_count(10)
        else:
            page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        colours = picture.getcolors(1 << 24) or []
        assert len(colours) > 50, name
        path = folder / f"{name}-{look_of}.webp"
        if folder == tmp_path or path.stem in wanted or "PICTURES_ALL" in os.environ:
            picture.save(path, quality=80, method=6)
            assert path.stat().st_size < MOST
