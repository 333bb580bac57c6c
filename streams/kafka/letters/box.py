"""The dead letters that are there: reading them, counting them, and which of them were replayed."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from schemas.replays import replayed_letter
from schemas.topics import TopicNames
from schemas.uploads import Record
from streams.kafka.connection import KafkaConnection
from streams.kafka.letters.letters import Letter, ReplayedLetters, Selection, Summary
from streams.kafka.offset_ranges import OffsetRanges, find_offset_ranges, read_offset_ranges

CLOCK_SKEW_MS = 3_600_000  # by which the clocks of workers and of those who replay may differ
OnRead = Callable[[], None]


def _ignore() -> None:
    """Nobody watches."""


class DeadLetterBox:
    """The dead letters that there were when it was opened."""

    def __init__(self, connection: KafkaConnection, names: TopicNames, ranges: OffsetRanges) -> None:
        self.ranges = ranges
        self._connection = connection
        self._names = names

    @classmethod
    async def open(
        cls, connection: KafkaConnection, names: TopicNames, since: int | None = None
    ) -> "DeadLetterBox":
        """Take note of what is there, `since` a moment in milliseconds if one is given."""
        return cls(connection, names, await find_offset_ranges(connection, names.dead_letters, since))

    async def letters(
        self, selection: Selection, skip: int = 0, on_read: OnRead = _ignore
    ) -> AsyncGenerator[Letter, None]:
        """The letters that are meant, oldest first. Use `contextlib.aclosing` around it.

        Args:
            selection: Which letters are meant.
            skip: So many of them are left out at the beginning.
            on_read: Called for each record that was looked at.
        """
        async with contextlib.aclosing(read_offset_ranges(self._connection, self.ranges)) as records:
            async for record in records:
                on_read()
                letter = Letter.of(record)
                if not selection.has(letter):
                    continue
                if skip > 0:
                    skip -= 1
                else:
                    yield letter

    async def count(self, selection: Selection, on_read: OnRead = _ignore) -> Summary:
        """Count the letters that are meant."""
        summary = Summary()
        async with contextlib.aclosing(self.letters(selection, on_read=on_read)) as letters:
            async for letter in letters:
                summary.add(letter)
        return summary

    async def letter_at(self, partition: int, offset: int) -> Letter:
        """Read one letter.

        Raises:
            ValueError: There is none.
        """
        fault = f"there is no dead letter {partition}/{offset}"
        if not self.ranges.starts.get(partition, 0) <= offset < self.ranges.ends.get(partition, 0):
            raise ValueError(f"{fault}; `tagstream dead-letters list` shows those that there are")
        only = OffsetRanges(self.ranges.topic, {partition: offset}, {partition: offset + 1})
        async with contextlib.aclosing(read_offset_ranges(self._connection, only)) as records:
            async for record in records:
                return Letter.of(record)
        raise ValueError(f"{fault}: only a transaction's marker is there")

    async def replayed(self, on_read: OnRead = _ignore) -> ReplayedLetters:
        """Find the letters that were published again already, in the topic to which they were published."""
        found = ReplayedLetters(self.ranges)
        oldest = await self._oldest()
        if oldest is None:
            return found
        since = oldest.timestamp - CLOCK_SKEW_MS  # no replay is older than its letter
        uploads = await find_offset_ranges(self._connection, self._names.uploads, since)
        async with contextlib.aclosing(read_offset_ranges(self._connection, uploads)) as records:
            async for record in records:
                on_read()
                letter = replayed_letter(record.headers)
                if letter is not None:
                    found.add(letter)
        return found

    async def _oldest(self) -> Record | None:
        async with contextlib.aclosing(read_offset_ranges(self._connection, self.ranges)) as records:
            async for record in records:
                return record
        return None


@dataclass(frozen=True)
class SelectedLetters:
    """Letters that are meant, counted.

    Attributes:
        summary: Of all that match.
        skip: How many of them, the oldest, are beyond the limit.
    """

    box: DeadLetterBox
    selection: Selection
    summary: Summary
    skip: int

    def __len__(self) -> int:
        return len(self.summary) - self.skip

    def letters(self) -> AsyncGenerator[Letter, None]:
        """The letters, oldest first: the same ones each time. Use `contextlib.aclosing` around it."""
        return self.box.letters(self.selection, self.skip)


async def choose(
    box: DeadLetterBox,
    selection: Selection,
    *,
    new_only: bool = False,
    limit: int | None = None,
    on_read: OnRead = _ignore,
) -> SelectedLetters:
    """Find the letters that are meant.

    Args:
        box: Where they are.
        selection: Which ones.
        new_only: Leave out those that were replayed already.
        limit: At most so many, the newest.
        on_read: Called for each record that was looked at.
    """
    if new_only:
        selection = replace(selection, replayed=await box.replayed(on_read))
    summary = await box.count(selection, on_read)
    return SelectedLetters(box, selection, summary, max(len(summary) - limit, 0) if limit else 0)
