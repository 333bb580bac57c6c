"""The site builds without a warning, has every page, and is read without a network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.pages import PAGES, ROOT

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


class _Tags(HTMLParser):
    """What a page loads, and what it holds.

    Attributes:
        loads: Addresses that a browser fetches to show the page.
        classes: CSS classes of its elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.classes |= set((given.get("class") or "").split())
        if tag in _LOADS and (address := given.get(_LOADS[tag])):
            self.loads.append(address)
        self.loads += re.findall(r"url\(([^)]*)\)", given.get("style") or "")


def pages(site: Path) -> Iterator[tuple[str, _Tags]]:
    for path in sorted(site.rglob("*.html")):
        yield path.relative_to(site).as_posix(), _Tags(path.read_text("utf-8"))


@pytest.mark.slow
def test_every_text_has_a_page(site: Path) -> None:
    """Those in docs/ at the same place, those beside the code as well."""
    inside = [Path(page.path).relative_to("docs") for page in PAGES if page.path.startswith("docs/")]
    missing = [path for path in inside if not (site / path).with_suffix(".html").exists()]
    assert missing == []
    others = ["changelog", "contributing", "security", "records", "models", "model-card", "benchmarks"]
    assert [name for name in others if not (site / f"{name}.html").exists()] == []


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    """No script, style, font or picture; nor has it what makes a script fetch one, as Mermaid would."""
    built = list(pages(site))
    assert len(built) > len(PAGES)
    assert [(name, load) for name, page in built for load in page.loads if "//" in load] == []
    assert [name for name, page in built if "mermaid" in page.classes] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", styles) == []


@pytest.mark.slow
def test_what_pages_load_is_there(site: Path) -> None:
    """Scripts, styles and pictures are part of the site."""
    missing = [
        (name, load)
        for name, page in pages(site)
        for load in page.loads
        if not load.startswith(("data:", "#")) and name != "404.html"
        if not (site / name).parent.joinpath(load.partition("?")[0].partition("#")[0]).exists()
    ]
    assert missing == []


@pytest.mark.slow
def test_it_is_searched_without_a_server(site: Path) -> None:
    """The index is a script, and a frame of ours stands in for the worker that files may not start."""
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert index.startswith("var __index = ")
    assert "TAGSTREAM_RETRY_BUDGET" in index
    assert "iframe-worker.js" in (site / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_the_reference_is_filled_in(site: Path) -> None:
    """No mark is left where a table should be."""
    texts = {path: path.read_text("utf-8") for path in site.rglob("*.html") if "source" not in path.parts}
    assert [path for path, text in texts.items() if "made by docs/hooks" in text] == []
    assert "TAGSTREAM_RETRY_BUDGET" in texts[site / "settings.html"]
