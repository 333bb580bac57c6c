"""Who gave the tags that a change added, as an image's history keeps it: in few bytes.

That is, by source, the places of its tags among those added. It is left out where all of them are from the
first add-on that looked, or, where none did, from people.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from streams.fold.people import PEOPLE


class ChangedTags(NamedTuple):
    """Tags that came and tags that went, each in the order in which the image has or had them."""

    added: list[str]
    removed: list[str]

    @classmethod
    def between(cls, before: Sequence[str], after: Sequence[str]) -> "ChangedTags":
        """Compare an image's tags before an event with those after it."""
        had, has = set(before), set(after)
        return cls([tag for tag in after if tag not in had], [tag for tag in before if tag not in has])


SourcePositions = dict[str, list[int]]  # by source


def encode_sources(
    added: Iterable[str], sources: Mapping[str, Sequence[str]], add_ons: Iterable[str]
) -> SourcePositions:
    """Positions of each source's tags among those added; nothing where they go without saying.

    Args:
        added: The tags.
        sources: By tag, where it is from.
        add_ons: Those that looked at the image, the first one first.
    """
    found: SourcePositions = {}
    for place, tag in enumerate(added):
        for source in sources[tag]:
            found.setdefault(source, []).append(place)
    return {} if found.keys() <= {_usual(add_ons)} else found


def decode_sources(
    added: Sequence[str], places: Mapping[str, Sequence[int]], add_ons: Iterable[str]
) -> dict[str, list[str]]:
    """The tags of each source: what `encode_sources` encoded."""
    if added and not places:
        return {_usual(add_ons): [*added]}
    return {source: [added[place] for place in its_places] for source, its_places in places.items()}


def _usual(add_ons: Iterable[str]) -> str:
    return next(iter(add_ons), PEOPLE)
