"""One run of the samples and one browser for all tests that look at the page."""

import shutil
import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser
from support.page.browsing import CHROMIUM, Run, Visit, chromium, install_axe, running, visit


@pytest.fixture(scope="session")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run that needs no token."""
    folder = tmp_path_factory.mktemp("run")
    with running(kafka, f"page-{uuid.uuid4().hex[:8]}", folder, TAGSTREAM_PARTITIONS="2") as run:
        yield run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, where there is one. While it is there an event loop runs: tests beside are no coroutines."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: `make programs` installs one, or name it in CHROMIUM")
    with chromium() as browser:
        yield browser


@pytest.fixture
def look(run: Run, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens tabs; afterwards none of them has broken the policy, failed, or asked another host."""
    visits: list[Visit] = []

    def open_one(**options: object) -> Visit:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **options}
        )
        visits.append(visit(context, run.url))
        return visits[-1]

    yield open_one
    wrong = [each.wrong for each in visits]
    for each in visits:
        each.page.context.close()
    assert [fault for faults in wrong for fault in faults] == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    if shutil.which("npm") is None:
        pytest.skip("no npm to install axe-core with")
    return install_axe(tmp_path_factory.mktemp("axe"))
