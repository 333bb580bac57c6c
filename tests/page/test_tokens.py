"""The page where a token is needed: signing in and out, tenants, and what a reader cannot do."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from support.page.browsing import Run, data_url, publish, running, visit

from schemas.uploads import UploadData
from streams.web.access.callers import Scope
from streams.web.access.tokens import lines_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def guarded(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run that asks for tokens: of an operator, and of somebody who reads two tenants."""
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "tokens.toml"
    reader = lines_of("ts_reader", [Scope.READ], ["zoo", "acme"], "reader")
    path.write_text(lines_of("ts_all", [Scope.READ, Scope.WRITE], ["*"], "operator") + "\n" + reader, "utf-8")
    path.chmod(0o600)
    settings = {"TAGSTREAM_TOKENS": str(path), "TAGSTREAM_TOKEN": "ts_all", "TAGSTREAM_PARTITIONS": "2"}
    with running(kafka, f"page-{uuid.uuid4().hex[:8]}", folder, **settings) as run:
        yield run


def test_whoever_has_a_token_signs_in_and_out(guarded: Run, browser: Browser) -> None:
    """A wrong one is refused with the reason; each tenant's photos are its own; no script reads the token."""
    events = [
        UploadData(public_id=f"of-{tenant}", tenant=tenant, url=data_url("cat.jpg"))
        for tenant in ("zoo", "acme")
    ]
    publish(guarded, *events)
    tab = visit(browser.new_context(locale="en-US"), guarded.url)
    page = tab.page
    tab.go("/library?tenant=zoo")
    page.fill("#token", "ts_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known")
    page.fill("#token", "ts_reader")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator(".tile")).to_contain_text("of-zoo")
    page.wait_for_function("() => document.querySelector('.tile img')?.naturalWidth > 1")
    assert page.evaluate("document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })") == "{}"
    page.get_by_label("Tenant").select_option("acme")
    expect(page.locator(".tile")).to_contain_text("of-acme")
    assert page.locator(".tile input").count() == 0
    tab.go("/")
    expect(page.locator("main")).to_contain_text("read and write")
    tab.go("/health")
    expect(page.get_by_role("alert")).to_contain_text("all tenants")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#token")).to_be_visible()
    assert page.context.cookies() == []
    refused = [fault for fault in tab.wrong if "status of 401" not in fault and "status of 403" not in fault]
    assert refused == []
    page.context.close()
