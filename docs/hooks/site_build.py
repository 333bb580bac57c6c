"""What the site has besides docs/: texts from beside the code, the reference, the files linked to."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_links import ELSEWHERE, ROOT, origin_of, place_of, rewritten, targets
from site_reference import PARTS

_MARK = re.compile(r"^<!-- made by docs/hooks: ([a-z-]+) -->$", re.MULTILINE)
_LANGUAGES = {
    ".json": "json",
    ".md": "markdown",
    ".py": "python",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_MOST_CHARACTERS = 100_000


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the texts from beside the code, then a page for each file that any text links to."""
    for path, page in ELSEWHERE.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=(ROOT / path).read_text("utf-8")))
    linked = {path for file in files.documentation_pages() for path in _linked(file)}
    for path in sorted(linked):
        if files.get_file_from_path(place_of(path)) is None and (ROOT / path).exists():
            files.append(_source(ROOT / path, path, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is made from the code, and lead links to the pages of the site."""
    del config, files
    name = page.file.src_uri
    return markdown if name.startswith("source/") else rewritten(filled(markdown), name, origin_of(name))


def filled(markdown: str) -> str:
    """A text with the parts of the reference that it asks for."""
    return _MARK.sub(lambda mark: PARTS[mark[1]](), markdown)


def _linked(file: File) -> list[str]:
    return [*targets(filled(file.content_string), origin_of(file.src_uri))]


def _source(file: Path, path: str, config: MkDocsConfig) -> File:
    place = place_of(path)
    if not place.endswith(".md"):
        return File.generated(config, place, abs_src_path=str(file))
    head = f"---\ntitle: {path}\nsearch:\n  exclude: true\nhide: [navigation, toc]\n---\n\n# `{path}`\n\n"
    fence = "`" * 8
    text = f"{head}{fence}{_LANGUAGES.get(file.suffix, 'text')}\n{_text_of(file)}\n{fence}\n"
    return File.generated(config, place, content=text)


def _text_of(file: Path) -> str:
    if file.is_dir():
        return "\n".join(sorted(entry.name for entry in file.iterdir() if entry.name[0] not in "._"))
    return file.read_text("utf-8")[:_MOST_CHARACTERS]
