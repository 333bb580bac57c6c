"""What becomes of an image's bytes, for tests."""

import pytest

from model import BadImageError, decode


def refused(data: bytes) -> BadImageError:
    """The error with which the bytes are refused; they must be."""
    with pytest.raises(BadImageError) as caught:
        decode(data, 32)
    return caught.value


def outcome(data: bytes, size: int = 32) -> str:
    """The code of the refusal, or that they are decoded."""
    try:
        decode(data, size)
    except BadImageError as error:
        return error.code
    return "decoded"
