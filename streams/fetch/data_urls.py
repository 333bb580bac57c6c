"""Data URLs: images that an event carries itself."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

import numpy as np

from streams.fetch.errors import SourceGoneError
from streams.fetch.urls import too_large

MAX_DATA_URL_BYTES = 1_000_000

_WHITE_SPACE = b" \t\n\f\r"
_BASE64 = re.compile(r"; *base64 *\Z", re.IGNORECASE)
_MOST_SPACE = 65_536  # characters of white space: of lines of 76 signs each there are fewer
_SHORT = 4096  # bytes; numpy takes longer to begin
_PERCENT, _NO_DIGIT = ord("%"), 16
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _value, _signs in enumerate(zip(b"0123456789ABCDEF", b"0123456789abcdef", strict=True)):
    _DIGITS[list(_signs)] = _value


def read_data_url(url: str, limit: int) -> bytes:
    """Read the bytes that a data URL carries.

    Raises:
        SourceGoneError: It cannot be read, or they are too many.
    """
    header, comma, payload = url.partition(",")
    rule = f"a data URL needs a comma and at most {MAX_DATA_URL_BYTES} bytes"
    if not comma or len(payload) > MAX_DATA_URL_BYTES * 4 // 3 + _MOST_SPACE:
        raise SourceGoneError("invalid_url", rule)
    try:
        data = percent_decoded(payload.encode())
        if _BASE64.search(header):
            data = _forgiving(data)
    except (binascii.Error, ValueError) as error:
        raise SourceGoneError("invalid_url", f"the data URL cannot be decoded: {error!s:.100}") from error
    if len(data) > MAX_DATA_URL_BYTES:
        raise SourceGoneError("invalid_url", rule)
    if len(data) > limit:
        raise too_large(url, limit)
    return data


def _forgiving(text: bytes) -> bytes:
    """Decode base64 as browsers do: white space is skipped, and the padding may be missing."""
    digits = text.translate(None, _WHITE_SPACE)
    if len(digits) % 4 == 0:
        digits = digits.removesuffix(b"=").removesuffix(b"=")
    if len(digits) % 4 == 1 or b"=" in digits:
        raise ValueError("its base64 ends within a byte, or has padding within")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)


def percent_decoded(text: bytes) -> bytes:
    """As `urllib.parse.unquote_to_bytes`, which makes an object of each `%`: half a second for a megabyte."""
    if len(text) <= _SHORT:
        return unquote_to_bytes(text)
    signs = np.frombuffer(text, np.uint8)
    at = np.flatnonzero(signs[:-2] == _PERCENT)
    high, low = _DIGITS[signs[at + 1]], _DIGITS[signs[at + 2]]
    meant = (high < _NO_DIGIT) & (low < _NO_DIGIT)
    if not meant.any():
        return text
    at = at[meant]
    decoded, kept = signs.copy(), np.ones(len(signs), np.bool_)
    decoded[at] = high[meant] << 4 | low[meant]
    kept[at + 1] = kept[at + 2] = False
    return decoded[kept].tobytes()
