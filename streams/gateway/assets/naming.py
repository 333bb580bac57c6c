"""Names that the gateway gives: of events, of assets, and of the objects that hold their bytes.

What is derived from a signed call is the same on every gateway, so that a call that is sent again is the same
event, and not another asset.
"""

import hashlib
import re
import time
import uuid
from typing import NamedTuple

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUBLIC_ID = 20  # characters
_SUFFIX = 6
_UNFIT = re.compile(r"[\s?&#\\%<>+]+")  # in a public id, as the vendor says
_DAY = "%Y/%m/%d"


def event_id_of(*parts: str | None) -> str:
    """The id of the event of a signed call: the same parts give the same one."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).hexdigest()[:32]


def random_id() -> str:
    """An id that nothing else has."""
    return uuid.uuid4().hex


def asset_id_of(event_id: str) -> str:
    """The id of an asset that an event makes."""
    return hashlib.sha256(f"asset\x1f{event_id}".encode()).hexdigest()[:32]


def random_public_id(event_id: str) -> str:
    """A public id for an asset that got none."""
    return _letters(f"public_id\x1f{event_id}", _PUBLIC_ID)


def object_key(cloud: str) -> str:
    """A key for new bytes: nothing else ever has it."""
    return f"{cloud}/{time.strftime(_DAY, time.gmtime())}/{uuid.uuid4().hex}"


class FileName(NamedTuple):
    """A file's name. `extension` is in lower case and without its dot; empty: there is none."""

    stem: str
    extension: str

    @classmethod
    def of(cls, name: str) -> "FileName":
        """Split a name."""
        own = name.replace("\\", "/").rpartition("/")[2]
        stem, dot, extension = own.rpartition(".")
        return cls(stem, extension.lower()) if dot and stem and len(extension) <= _PUBLIC_ID else cls(own, "")


def public_id_of_file(stem: str, event_id: str, *, unique: bool) -> str:
    """A public id made of a file's name, with some letters that make it unique if asked for."""
    plain = _UNFIT.sub("_", stem).strip("_/ ")[:200] or "file"
    return f"{plain}_{_letters(f'suffix{chr(31)}{event_id}', _SUFFIX)}" if unique else plain


def _letters(text: str, count: int) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = []
    for _ in range(count):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)
