"""What re-tags would come to: the real work on copies of the rows, and nothing is written anywhere."""

from collections.abc import Awaitable, Callable, Mapping

import orjson

from schemas.topics import TABLES
from schemas.uploads import Record, parse_upload
from streams.cli.retag.differences import TagDifferences
from streams.cli.retag.plan import Selection
from streams.fold.changes import Changes, PartitionRows
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Deferred, Done, Outcome, Rederived
from streams.fold.rules.applying import Rules
from streams.units.order import Turn

Settled = Callable[[], Awaitable[object]]
Compute = Callable[[Record, PartitionRows, Settled, Turn], Awaitable[Outcome]]


def with_rules(rules: Rules) -> Compute:
    """A `Compute` for the outcomes of re-tags by rules."""

    async def compute(record: Record, _rows: PartitionRows, _settled: Settled, _turn: Turn) -> Outcome:
        return Rederived(parse_upload(record), rules)

    return compute


class DryRun:
    """Re-tags that stay without consequences.

    Attributes:
        differences: What they would change.
    """

    def __init__(self, selection: Selection, compute: Compute, rules: FoldRules) -> None:
        self.differences = TagDifferences()
        self._selection = selection
        self._compute = compute
        self._rules = rules

    async def see(self, partition: int, key: str, row: bytes) -> None:
        """Count what would become of an image."""
        rows: dict[str, Mapping[str, bytes]] = {table: {} for table in TABLES}
        rows["images"] = {key: row}
        offset = int(orjson.loads(row)["o"]) + 1
        names = self._rules.names
        record = self._selection.event(names, partition, key, offset)
        outcome = await self._compute(record, rows, _at_once, Turn())
        if isinstance(outcome, Deferred):
            self.differences.failed[outcome.fault.reason] += 1
            return
        changes = Changes(rows)
        fold(changes, Done(record, outcome), self._rules)
        self.differences.note_outputs(changes.outputs, names)


async def _at_once() -> None:
    """Wait for nothing: the rows are all there."""
