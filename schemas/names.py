"""Names: what tells images, events, people and tags apart.

A name ends up in keys, ids and logs, so it is visible text: not blank, and free of control
characters (CloudEvents forbids them in attributes as well).
"""

import difflib
import re
from collections.abc import Collection
from typing import Annotated

import msgspec

from schemas.errors import BadEventError

MAX_NAME = 255
VISIBLE = r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])[\s\S]*\S"
_visible = re.compile(VISIBLE)

# The pattern is only published here: `check_visible` explains a breach better than msgspec does.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME, extra_json_schema={"pattern": VISIBLE})]


def is_visible(text: str) -> bool:
    """Whether text can serve as a name, however long."""
    return _visible.search(text) is not None


def check_visible(code: str, what: str, text: str) -> None:
    """Refuse text that cannot serve as a name.

    Args:
        code: The error's code.
        what: What the text is, for the error's message.
        text: The would-be name.

    Raises:
        BadEventError: The text is blank or holds a control character.
    """
    if not is_visible(text):
        message = f"{what} {text[:64]!r} is blank or holds a control character; use visible text"
        raise BadEventError(code, message)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that somebody who wrote `name` most likely meant."""
    lowered = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
