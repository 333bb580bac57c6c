"""The page's files: few bytes, no code in the markup, no markup from texts, whole in each language."""

import gzip
import json
import re

import pytest
from litestar import Litestar
from support.web_client import client_of

from streams.page.files import POLICY, STATIC, lean, lean_style, page_files
from streams.page.serving import file_handler
from streams.web.app import create_api
from streams.web.door import Entry

FILES = page_files()
CODE = {path: path.read_text("utf-8") for path in STATIC.rglob("*.js") if path.parent.name != "vendor"}
MOST = 60_000  # bytes, compressed


def app() -> Litestar:
    handlers = [file_handler(path, file) for path, file in FILES.items()]
    return create_api([], handlers=handlers, entries=dict.fromkeys(FILES, Entry.COUNTED))


def test_it_is_small() -> None:
    """All that a browser loads for all views, in either language, is below 60 kB."""
    packed = {path: len(file.packed) for path, file in FILES.items()}
    languages = {path: size for path, size in packed.items() if path.startswith("/page/texts/")}
    assert len(languages) == 2
    assert sum(packed.values()) - min(languages.values()) < MOST


def test_code_is_served_without_comments() -> None:
    """And without indentation, line for line; no text goes over several lines, which would lose spaces."""
    assert lean("// why\nif (a) {\n  // so\n  b('//') // c\n}\n") == "\nif (a) {\n\nb('//') // c\n}\n"
    assert (
        lean_style("@media (a) {\n  b c:hover, d { e: f(1px, -2px) 3px; }\n}")
        == "@media (a){\nb c:hover,d{e:f(1px,-2px) 3px;}\n}"
    )
    for path, code in CODE.items():
        assert [line for line in code.splitlines() if line.count("`") % 2] == [], path
        served = FILES[f"/page/{path.relative_to(STATIC).as_posix()}"].body.decode()
        assert served.count("\n") == code.count("\n")


def test_markup_holds_no_code() -> None:
    """Neither scripts nor styles nor handlers are within the markup, and nothing is loaded from elsewhere."""
    markup = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", markup) == []
    assert set(re.findall(r'(?:src|href)="([^"]+)"', markup)) <= {*FILES, "#main"}


def test_texts_never_become_markup() -> None:
    """No code makes elements from texts, evaluates them, or asks other hosts."""
    parsing = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML"
    )
    for path, code in CODE.items():
        found = re.findall(rf"{parsing}|\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)\w", code)
        assert found == [], path


def test_each_language_says_all() -> None:
    """Both files have the same keys and values to fill in, and every key that code names."""
    texts = {path.stem: json.loads(path.read_text("utf-8")) for path in (STATIC / "texts").glob("*.json")}
    assert texts.keys() == {"en", "de"}
    assert texts["en"].keys() == texts["de"].keys()
    for key, text in texts["en"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", texts["de"][key])), key
    said = {key for code in CODE.values() for key in re.findall(r"\b(?:t|empty|section)\('([\w.-]+)'", code)}
    assert len(said) > 80
    assert said - texts["en"].keys() == set()


def test_each_module_that_is_imported_is_there() -> None:
    """Imports name files of the page."""
    for path, code in CODE.items():
        for name in re.findall(r"(?:from|import) '(\.[^']+)'", code):
            assert (path.parent / name).resolve().is_file(), (path, name)


async def test_files_are_served_compressed_and_once() -> None:
    """Compressed where that is understood, and not again where a browser has them."""
    async with client_of(app()) as client:
        for path, file in FILES.items():
            async with client.get(path, auto_decompress=False, headers={"accept-encoding": "gzip"}) as answer:
                assert answer.status == 200
                assert gzip.decompress(await answer.read()) == file.body
                assert answer.headers["content-type"] == file.kind
                assert answer.headers["x-content-type-options"] == "nosniff"
            async with client.get(path, headers={"if-none-match": answer.headers["etag"]}) as again:
                assert (again.status, await again.read()) == (304, b"")
            async with client.get(path, headers={"accept-encoding": "identity"}) as plain:
                assert await plain.read() == file.body
        async with client.get("/") as markup:
            assert markup.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    "path", ["/page", "/page/", "/page/nothing.js", "/page/../files.py", "/page/%2e%2e/files.py"]
)
async def test_nothing_else_is_served(path: str) -> None:
    """Only the files that were read at the start have addresses."""
    async with client_of(app()) as client, client.get(path) as answer:
        assert answer.status == 404
