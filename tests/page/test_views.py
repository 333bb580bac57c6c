"""The page in a real browser, of a real worker and a real broker: what people see and do."""

import re
import uuid
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from support.page.browsing import PHOTOS, Run, Visit, data_url, publish

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

Look = Callable[..., Visit]
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>&amp;\'"'
VIEWS = {
    "try": "/",
    "library": "/library",
    "filtered": "/library?tag=mammal&none=pet",
    "untagged": "/library?untagged=true",
    "empty": "/library?tag=nobody-has-this",
    "large": "/library?photo=koala",
    "image": "/image?id=koala",
    "unknown": "/image?id=nothing",
    "trends": "/trends",
    "tag": "/tag?tag=mammal",
    "live": "/live",
    "letters": "/letters",
    "users": "/users?user=u1",
    "duplicates": "/duplicates",
    "health": "/health",
    "settings": "/settings",
    "missing": "/nowhere",
}


def tag_with_keys(page: Page, tag: str) -> None:
    """Type a tag where one is asked for, and say that it is whole."""
    page.keyboard.type(tag)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["en-US", "de-DE"])
def test_every_view_is_shown(look: Look, language: str) -> None:
    """With a title, in the browser's language, with a link in the address that leads there again."""
    visit = look(locale=language)
    titles = {name: (visit.go(address), visit.page.title())[1] for name, address in VIEWS.items()}
    assert all(title.endswith(" Tagstream") for title in titles.values())
    assert titles["library"].startswith("Library" if language == "en-US" else "Bibliothek")
    visit.page.reload()
    visit.ready()
    assert visit.page.title() == titles["missing"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_that_keeps_people_out(look: Look, axe: str, scheme: str, width: int) -> None:
    """No serious or critical finding on any view, by day and night, on a desk and a phone."""
    visit = look(color_scheme=scheme, viewport={"width": width, "height": 844})
    found = {}
    for name, address in VIEWS.items():
        page = visit.go(address)
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        bad = [each for each in result["violations"] if each["impact"] in {"serious", "critical"}]
        if bad:
            found[name] = [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in bad]
        scrolled = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert scrolled <= 0, f"{name} is wider than the screen by {scrolled}"
    assert found == {}


def test_a_photo_that_is_dropped_gets_its_tags(look: Look) -> None:
    """It is stored, published, tagged and told, with bars and timings; then it is there, and large."""
    visit = look()
    page = visit.go("/")
    page.set_input_files("#photos", PHOTOS / "koala.jpg")
    card = page.locator("article").first
    expect(card.locator("tag-bars a").first).to_have_text("koala")
    expect(card).to_contain_text("ms in all")
    expect(card.locator("li.assigned")).not_to_have_count(0)
    card.get_by_role("link", name="Open").click()
    picture = page.locator("img.large")
    expect(picture).to_be_visible()
    page.wait_for_function("() => document.querySelector('img.large')?.naturalWidth > 400")
    assert "/page/pictures/" in (picture.get_attribute("src") or "")


def test_what_is_no_photo_is_told_with_its_reason(look: Look) -> None:
    """It becomes a dead letter, and the page says which."""
    page = look().go("/")
    page.set_input_files(
        "#photos", files={"name": "a<b>.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"}
    )
    expect(page.locator("article").first).to_contain_text("not_an_image")
    page.get_by_role("link", name="What to do").click()
    expect(page.locator("section.card").filter(has_text="not_an_image")).to_be_visible()


def test_a_photo_by_its_address(look: Look) -> None:
    """An address that is not allowed is told with the reason."""
    page = look().go("/")
    page.fill("#url", "http://127.0.0.1:1/private.jpg")
    page.keyboard.press("Enter")
    expect(page.locator("article .problem").first).to_be_visible(timeout=40_000)


def test_the_library_is_filtered_by_tags(look: Look) -> None:
    """With completion; a chip turns from `has` to `has one of` to `has not`; Back leads back."""
    page = look().go("/library?until=2100-01-01")
    everything = page.locator(".tile").count()
    box = page.get_by_role("combobox", name="Tag …")
    box.fill("mam")
    expect(page.get_by_role("option")).to_contain_text(["mammal"])
    box.press("ArrowDown")
    box.press("Enter")
    expect(page.locator(".chip.tag")).to_have_text(re.compile("mammal"))
    with_it = page.locator(".count").inner_text()
    page.locator(".chip button").first.click()
    expect(page.locator(".chip.any")).to_be_visible()
    page.locator(".chip button").first.click()
    expect(page.locator(".chip.none")).to_be_visible()
    expect(page.locator(".count")).not_to_have_text(with_it)
    for _ in range(3):
        page.go_back()
    expect(page.locator(".tile")).to_have_count(everything)


def test_thumbnails_are_shown(look: Look) -> None:
    """Each sample has one, from this host."""
    page = look().go("/library?user=u1")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.tile img')].filter((each) => each.naturalWidth).length >= 5"
    )
    sizes = page.evaluate(
        "[...document.querySelectorAll('.tile img')]"
        ".map((each) => Math.max(each.naturalWidth, each.naturalHeight))"
    )
    assert set(sizes) == {256}


def large_photo(page: Page) -> tuple[float, float]:
    """Middle and width of the photo that is seen large."""
    box = page.locator(".stage > *").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["width"]


def test_a_photo_is_seen_large_and_the_next_one(look: Look) -> None:
    """From the grid; arrow keys lead on, Escape and Back close, the focus is where one left off."""
    page = look().go("/library?user=u1")
    first, second = page.locator(".tile").all()[:2]
    names = [tile.locator(".caption").inner_text() for tile in (first, second)]
    first.locator("a").click()
    viewer = page.get_by_role("dialog", name="Photo")
    expect(viewer).to_contain_text(f"{names[0]} 1 of 5")
    expect(page).to_have_url(re.compile(f"photo={names[0]}$"))
    page.keyboard.press("ArrowRight")
    expect(viewer).to_contain_text(f"{names[1]} 2 of 5")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(page).not_to_have_url(re.compile("photo="))
    expect(second.locator("a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(viewer).to_contain_text("2 of 5")
    page.get_by_role("button", name="Previous photo").click()
    expect(viewer).to_contain_text("1 of 5")
    expect(page.get_by_role("button", name="Previous photo")).to_be_hidden()
    page.go_back()
    expect(viewer).to_have_count(0)
    expect(first.locator("a")).to_be_focused()
    page.go_forward()
    expect(viewer).to_contain_text("1 of 5")
    page.keyboard.press("i")
    expect(page.locator(".origins")).to_be_visible()
    expect(viewer).to_have_count(0)
    page.go_back()
    expect(viewer).to_contain_text("1 of 5")


def test_a_photo_that_is_seen_large_has_an_address(look: Look) -> None:
    """Which shows it again, over its view; closed, the view is there, and nothing was left."""
    page = look().go("/library?tag=mammal&photo=koala")
    viewer = page.get_by_role("dialog", name="Photo")
    expect(viewer).to_contain_text("koala")
    viewer.get_by_role("button", name="Close").click()
    expect(viewer).to_have_count(0)
    expect(page).to_have_url(re.compile(r"#/library\?tag=mammal$"))
    expect(page.locator(".tile")).not_to_have_count(0)
    page.goto(f"{page.url}&photo=castle")
    expect(viewer).to_contain_text("castle")
    page.goto(page.url.partition("#")[0] + "#/image?id=koala")
    page.get_by_role("button", name="See koala large").click()
    expect(viewer).to_contain_text("koala")


def test_a_photo_is_zoomed_and_moved(look: Look) -> None:
    """By wheel, double click, keys and buttons, about where one points; never beyond its edges."""
    page = look().go("/library?photo=koala")
    page.wait_for_function("() => document.querySelector('.stage img')?.naturalWidth")
    middle, width = large_photo(page)
    page.mouse.move(300, 400)
    page.mouse.wheel(0, -400)
    nearer = large_photo(page)
    assert nearer[1] > 2 * width
    assert nearer[0] >= middle
    page.mouse.dblclick(640, 450)
    assert large_photo(page) == (middle, width)
    page.mouse.dblclick(640, 450)
    assert large_photo(page)[1] == pytest.approx(3 * width)
    page.mouse.move(640, 450)
    page.mouse.down()
    page.mouse.move(5000, 450, steps=4)
    page.mouse.up()
    left = page.evaluate(
        "(() => { const img = document.querySelector('.stage img'), box = img.getBoundingClientRect();"
        " const shown = Math.min(box.width, box.height * img.naturalWidth / img.naturalHeight);"
        " return box.x + (box.width - shown) / 2 })()"
    )
    assert left == pytest.approx(0, abs=1)
    page.keyboard.press("0")
    assert large_photo(page)[1] == width
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Zoom in").click()
    assert large_photo(page)[1] > 2 * width
    expect(page.get_by_role("dialog", name="Photo")).to_contain_text("koala")


def test_fingers_lead_on_zoom_and_close(look: Look) -> None:
    """A swipe aside shows the next photo, two fingers zoom, a swipe downwards closes."""
    visit = look(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visit.go("/library")
    page.locator(".tile a").first.tap()
    viewer = page.get_by_role("dialog", name="Photo")
    expect(viewer).to_contain_text(" 1 of ")
    fingers = page.context.new_cdp_session(page)

    def drag(*ways: tuple[tuple[int, int], tuple[int, int]]) -> None:
        for kind, part in (("touchStart", 0), ("touchMove", 0.5), ("touchMove", 1)):
            points = [
                {"x": x + (to_x - x) * part, "y": y + (to_y - y) * part, "id": number}
                for number, ((x, y), (to_x, to_y)) in enumerate(ways)
            ]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    drag(((300, 400), (80, 410)))
    expect(viewer).to_contain_text(" 2 of ")
    drag(((80, 400), (300, 410)))
    expect(viewer).to_contain_text(" 1 of ")
    drag(((80, 400), (300, 410)))
    expect(viewer).to_contain_text(" 1 of ")
    _, width = large_photo(page)
    drag(((180, 400), (60, 400)), ((210, 400), (330, 400)))
    assert large_photo(page)[1] > 3 * width
    drag(((60, 400), (190, 400)), ((330, 400), (200, 400)))
    assert large_photo(page)[1] == width
    drag(((200, 300), (205, 600)))
    expect(viewer).to_have_count(0)


def test_neighbours_are_there_before_one_goes_to_them(look: Look) -> None:
    """Whoever looks at a photo has the next one's bytes already."""
    page = look().go("/library?photo=koala")
    page.wait_for_function(
        "() => performance.getEntriesByType('resource')"
        ".filter((each) => each.name.includes('/page/pictures/')).length >= 3"
    )


def test_the_threshold_shows_what_would_be_assigned(look: Look) -> None:
    """Moving it changes which bars stand out, and how many."""
    page = look().go("/image?id=koala")
    before = page.locator("li.assigned").count()
    page.locator("#limit").fill("0.05")
    assert page.locator("li.assigned").count() > before
    page.locator("#limit").fill("1")
    assert page.locator("li.assigned").count() == 0


def test_a_tag_has_top_users(look: Look) -> None:
    """By interest and by images, with links to them and to their images; who has images is listed."""
    visit = look()
    page = visit.go("/tag?tag=mammal")
    section = page.locator("section").filter(has_text="Top users")
    expect(section.locator("th")).to_have_text(["User", "Images", "Score"])
    expect(section.get_by_role("link", name="u2")).to_be_visible()
    section.get_by_role("link", name="by images").click()
    visit.ready()
    expect(section.locator("th")).to_have_text(["User", "Images"])
    expect(section.locator("tbody tr").first).to_contain_text(re.compile(r"u\d\s*\d"))
    section.locator("tbody tr").first.get_by_role("link").last.click()
    expect(page.locator(".tile")).not_to_have_count(0)
    page = visit.go("/users")
    page.get_by_role("link", name="u1", exact=True).click()
    expect(page.get_by_role("heading", name="Interests")).to_be_visible()


def test_all_of_it_by_the_keyboard(look: Look) -> None:
    """Upload, filter, open, edit and replay, without a pointer."""
    tag = f"by-hand-{uuid.uuid4().hex[:6]}"
    visit = look()
    visit.page.on("filechooser", lambda _: None)  # known to Chromium before the key comes
    page = visit.go("/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_id("photos")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(PHOTOS / "panda.jpg")
    expect(page.locator("article tag-bars a").first).to_be_visible(timeout=40_000)
    visit.go("/library")
    page.keyboard.press("/")
    tag_with_keys(page, "giant panda")
    visit.ready()
    expect(page.locator(".tile")).not_to_have_count(0)
    while page.evaluate("!document.activeElement.closest('.tile')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".chosen-line")).to_contain_text("1 selected")
    page.keyboard.press("t")
    expect(page.get_by_role("dialog")).to_be_visible()
    tag_with_keys(page, tag)
    while page.evaluate("document.activeElement.textContent !== 'Save'"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#notes")).to_contain_text("edited")
    visit.go(f"/library?tag={tag}")
    expect(page.locator(".tile")).to_have_count(1)
    while page.evaluate("!document.activeElement.closest('.tile')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("i")
    expect(page.locator(".origins")).to_contain_text(tag)
    visit.go("/letters")
    while page.evaluate("!document.activeElement.matches('li input')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    while page.evaluate("document.activeElement.textContent !== 'Publish again'"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#notes")).to_contain_text("published again")


def test_dead_letters_are_published_again_all_at_once(look: Look, run: Run) -> None:
    """Those of a reason, selected by one box; each is sent, and nothing is selected any more."""
    names = [f"again-{uuid.uuid4().hex[:6]}" for _ in range(3)]
    publish(run, *(UploadData(public_id=name, url="ftp://nowhere/") for name in names))
    page = look().go("/letters?reason=invalid_url")
    count = page.locator("li input").count()
    assert count >= 3
    page.get_by_label("Select all").check()
    expect(page.locator(".bar-line").first).to_contain_text(f"{count} selected")
    page.locator("li input").first.uncheck()
    expect(page.get_by_label("Select all")).not_to_be_checked()
    page.locator("li input").first.check()
    expect(page.get_by_label("Select all")).to_be_checked()
    page.get_by_role("button", name="Publish again").click()
    expect(page.locator("#notes")).to_contain_text(f"{count} events were published again")
    expect(page.locator("li input:checked")).to_have_count(0)


def test_what_is_committed_is_seen_live(look: Look, run: Run) -> None:
    """Results, changes of tags and dead letters, as they come; Pause stops them."""
    page = look().go("/live")
    expect(page.get_by_role("status").filter(has_text="Nothing comes")).to_be_visible()
    name = f"live-{uuid.uuid4().hex[:6]}"
    photo = UploadData(public_id=f"{name}-2", url=data_url("cat.jpg"), auto_tagging=0.4)
    publish(run, UploadData(public_id=name, url="data:,"), photo)
    for kind in ("categorization", "tag-update"):
        expect(page.locator(f"li.{kind}").filter(has_text=f"{name}-2")).to_be_visible()
    expect(page.locator("li.dead-letter").filter(has_text=name)).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    publish(run, UploadData(public_id=f"{name}-late", url="data:,"))
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("li").filter(has_text=f"{name}-late")).to_have_count(0)


def test_names_full_of_markup_are_shown_as_text(look: Look, run: Run) -> None:
    """A public id, tags, a user, a tenant and a message of a dead letter run nothing anywhere."""
    given = {"user_id": HOSTILE, "tags": [HOSTILE], "url": data_url("boat.jpg")}
    publish(
        run,
        UploadData(public_id=HOSTILE, **given),
        UploadData(public_id=f"{HOSTILE}2", **given),
        UploadData(public_id=f"{HOSTILE}3", tenant=HOSTILE, **given),
        UploadData(public_id=f"{HOSTILE}4", url=f"http://{HOSTILE}/"),
    )
    name = quote(HOSTILE, safe="")
    visit = look()
    for address in (
        f"/library?tag={name}",
        f"/image?id={name}",
        f"/tag?tag={name}",
        f"/trends?line={name}",
        f"/users?user={name}",
        "/letters",
        f"/library?tenant={name}",
        "/duplicates",
    ):
        page = visit.go(address)
        assert HOSTILE in page.evaluate(
            "document.body.innerText + [...document.querySelectorAll('option')].map((each) => each.text)"
        ), address
        assert page.locator("main script, main img[src='x']").count() == 0
