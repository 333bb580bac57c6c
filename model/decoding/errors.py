"""Why an image is refused."""

from __future__ import annotations


class BadImageError(ValueError):
    """The bytes are no image that can be tagged; the same bytes will fail again.

    Attributes:
        code: ``not_an_image``, ``unsupported_format``, ``truncated``, ``too_many_pixels`` or ``corrupt``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def too_large(found: str, limit: str) -> BadImageError:
    """The error for an image with more pixels than are decoded."""
    message = f"the image is too large ({found}): at most {limit} are decoded; scale it down first"
    return BadImageError("too_many_pixels", message)


def too_much(found: str, limit: str) -> BadImageError:
    """The error for an image whose structure would cost more than any honest one does."""
    return BadImageError("corrupt", f"the image has {found}: at most {limit} are read; save it again")
