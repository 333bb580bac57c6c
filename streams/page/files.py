"""The files of the page: read once, compressed once."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
FOLDER = "/page/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_INDENTATION, _COMMENT = re.compile(r"^ +", re.MULTILINE), re.compile(r"^//.*", re.MULTILINE)
_APART = re.compile(r"(?<=[:;{,]) +| +(?=[{}])|^ +", re.MULTILINE)
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes:
        packed: The body, by gzip.
        etag: Tells this content from any other.
    """

    kind: str
    body: bytes
    packed: bytes
    etag: str

    @property
    def headers(self) -> Mapping[str, str]:
        """What is said of it in any case."""
        policy = {"content-security-policy": POLICY} if self.kind.startswith("text/html") else {}
        asked_again = {"cache-control": "no-cache", "etag": self.etag, "vary": "accept-encoding"}
        return {"content-type": self.kind} | asked_again | policy


def page_files(folder: Path = STATIC) -> dict[str, PageFile]:
    """The files by the paths that they are served at; `index.html` is at `/`."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _KINDS:
            name = path.relative_to(folder).as_posix()
            files["/" if name == "index.html" else FOLDER + name] = _read(path)
    return files


def lean(code: str) -> str:
    """The same without comments and indentation, which browsers have no use for; lines keep their numbers."""
    return _COMMENT.sub("", _INDENTATION.sub("", code))


def lean_style(rules: str) -> str:
    """The same without spaces beside what parts rules and values."""
    return _APART.sub("", rules)


_LEAN = {".js": lean, ".css": lean_style}


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    if (leaner := _LEAN.get(path.suffix)) is not None:
        body = leaner(body.decode()).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return PageFile(_KINDS[path.suffix], body, gzip.compress(body, 9, mtime=0), etag)
