"""Pages for people, made of documents for machines: HTML without scripts or anything from elsewhere."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-top: 1px solid #ccc; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top }
pre { overflow-x: auto }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"
"""The content security policy of a page."""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1><p>{description} {links}</p>
{sections}</body></html>
"""


def page(title: str, description: str, links: str, sections: Iterable[str]) -> bytes:
    """A whole page of texts, and of links and sections that are HTML."""
    head = {"title": escape(title), "description": escape(description)}
    return _PAGE.format(**head, style=_STYLE, links=links, sections="\n".join(sections)).encode()


def link(path: str) -> str:
    """A link to a path that is shown as it is."""
    return f'<a href="{escape(path)}">{escape(path.lstrip("/"))}</a>'


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraphs(text: str) -> str:
    """Text whose blank lines part it."""
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))


def table(rows: Iterable[Iterable[object]]) -> str:
    """Rows of texts."""
    cells = ("".join(f"<td>{escape(str(text))}</td>" for text in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def verbatim(text: str) -> str:
    """Text as it stands."""
    return f"<pre>{escape(text)}</pre>"
