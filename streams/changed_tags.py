"""What an event changes about an image's tags."""

from collections.abc import Sequence
from typing import NamedTuple


class ChangedTags(NamedTuple):
    """Tags that came and tags that went, each in the order in which the image has or had them."""

    added: list[str]
    removed: list[str]

    @classmethod
    def between(cls, before: Sequence[str], after: Sequence[str]) -> "ChangedTags":
        """Compare an image's tags before an event with those after it."""
        had, has = set(before), set(after)
        return cls([tag for tag in after if tag not in had], [tag for tag in before if tag not in has])
