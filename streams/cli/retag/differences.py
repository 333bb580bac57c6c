"""What a re-tag changes, or would change: which tags, how often, and what failed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from schemas.dead_letters import read_fault
from schemas.topics import TopicNames
from streams.fold.outcomes import Output


class TagDifferences:
    """Counts of what changed.

    Attributes:
        images: Images whose tags changed.
        added: By tag, the images that got it.
        removed: By tag, the images that lost it.
        failed: By reason, the dead letters.
    """

    def __init__(self) -> None:
        self.images = 0
        self.added: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def note_update(self, update: Mapping[str, Any]) -> None:
        """Count a tag-update."""
        for resource in update["resources"]:
            self.images += 1
            self.added.update(resource["added"])
            self.removed.update(resource["removed"])

    def note_outputs(self, outputs: Iterable[Output], names: TopicNames) -> None:
        """Count what an event would send."""
        for output in outputs:
            if output.topic == names.tag_updates:
                self.note_update(orjson.loads(output.value or b""))
            elif output.topic == names.dead_letters:
                self.failed[read_fault(output.headers).reason] += 1

    def by_tag(self) -> list[tuple[str, int, int]]:
        """Each tag with how many images got it and how many lost it, the most changes first."""
        changes = self.added + self.removed
        ranked = sorted(changes, key=lambda tag: (-changes[tag], tag))
        return [(tag, self.added[tag], self.removed[tag]) for tag in ranked]
