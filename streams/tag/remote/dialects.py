"""How servers are spoken to: decoded images to a request, an answer to tags. Nothing here waits."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from model import Tag, View
from streams.tag.remote.pictures import Seen


class Question(NamedTuple):
    """What is posted."""

    path: str
    body: bytes


class AnswerError(ValueError):
    """An answer is not what was asked for."""


class Dialect(Protocol):
    """One way to speak.

    Attributes:
        view: How it looks at an image.
        max_batch: Most images of a question.
        tag_names: Every tag that can come back; empty where nobody knows.
    """

    view: View
    max_batch: int
    tag_names: tuple[str, ...]

    def question(self, images: Sequence[Seen]) -> Question:
        """What to post for some images."""

    def tags(self, answer: bytes, images: int) -> list[list[Tag]]:
        """One list per image, best first.

        Raises:
            AnswerError: The answer says no such thing.
        """
