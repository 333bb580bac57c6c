"""What a release may change: records must be readable in both directions, answers by callers of any release.

`schemas/released/` has the schemas of each release. All of them count, not only the last one's: a record is
in its topic for weeks, and a field that is gone must not come back as something else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from schemas.contracts.channels import CHANNELS
from schemas.contracts.differences import BACKWARD, FORWARD, Difference, differences
from schemas.json_schemas import PUBLISHED, json_schema

Schemas = Mapping[str, Mapping[str, Any]]  # by the name in `PUBLISHED`


@dataclass(frozen=True)
class Break:
    """A change that somebody would notice.

    Attributes:
        release: The release that it is a change of.
        schema: Name of the schema.
        difference: What changed, None: there is no such schema any more.
    """

    release: str
    schema: str
    difference: Difference | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.schema}: schema removed, it is in release {self.release}; leave it in PUBLISHED"
        found, rule = self.difference, _rule(self.schema)
        field = found.field or "the whole value"
        return (
            f"{self.schema}: {field}: {found.rule} since {self.release} ({found.told}), not {found.breaks} "
            f"compatible, and {rule} is the rule; {found.cure}"
        )


@cache
def _of_records() -> frozenset[str]:
    messages = [message for channel in CHANNELS for message in channel.messages]
    return frozenset(name for each in messages for name in (each.schema, each.key_schema) if name)


def _rule(schema: str) -> str:
    return "FULL_TRANSITIVE" if schema in _of_records() else "FORWARD_TRANSITIVE"


def breaks(releases: Mapping[str, Schemas], now: Schemas) -> Iterator[Break]:
    """All changes that break what any release has promised.

    Args:
        releases: The schemas of each.
        now: The present ones.
    """
    for release, schemas in releases.items():
        for name, old in schemas.items():
            if name not in now:
                yield Break(release, name)
                continue
            kept = {BACKWARD, FORWARD} if name in _of_records() else {FORWARD}
            found = (each for each in differences(old, now[name]) if each.breaks in kept)
            yield from (Break(release, name, each) for each in found)


def present_schemas() -> dict[str, dict[str, Any]]:
    """The schemas that the types have now."""
    return {name: json_schema(name) for name in PUBLISHED}


def read_releases(folder: Path) -> dict[str, Schemas]:
    """The schemas of each release, by its version."""
    return {path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))}
