"""The tags of a cloud, in the order of letters."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from streams.gateway.search.candidates import candidate_of

DEFAULT_RESULTS = 10
MAX_RESULTS = 500


class TagPage(NamedTuple):
    """Which tags are asked for.

    Attributes:
        resource_type: Of the assets whose tags count.
        prefix: What they begin with.
        after: The last tag of the page before; empty: it is the first page.
        most: How many.
    """

    resource_type: str
    prefix: str
    after: str
    most: int


def tags_of_page(page: TagPage, keys: Sequence[str], rows: Sequence[bytes]) -> list[str]:
    """Give the tags of a page; it looks at every asset.

    Args:
        page: Which.
        keys: Of the rows.
        rows: Of all assets.
    """
    tags: set[str] = set()
    for key, row in zip(keys, rows, strict=True):
        found = candidate_of(key, row)
        if found.asset.resource_type == page.resource_type:
            tags.update(found.tags)
    return heapq.nsmallest(
        page.most, (tag for tag in tags if tag > page.after and tag.startswith(page.prefix))
    )
