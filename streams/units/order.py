"""Records in work, in the order of their log: which of them may leave it."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.times import steady_time
from schemas.uploads import Record, Upload
from streams.fold.outcomes import Deferred, Outcome, Parked
from streams.telemetry.tracing import NO_SPAN, UploadSpan

_LATE_BESIDE_OTHERS = 4


@dataclass
class Turn:
    """A record's place in the order of its partition. It loses it if its source keeps others waiting.

    Attributes:
        image: The image that the record is about, by the key of its row; None: it is not known yet.
        late: Whether it left the order without an outcome.
        waits: Whether the record waits for its source.
        source_failed: Whether the source has failed once already.
        awaits_predecessors: Whether it waits until those before it, of the same image, have left the order.
        upload: The upload that waits, where the record is one.
        since: Since when it has been up to us, while it does not wait for its source; as `Entry.began`.
        span: What its work is traced as.
    """

    image: str | None = None
    late: bool = False
    waits: bool = False
    source_failed: bool = False
    awaits_predecessors: bool = False
    upload: Upload | None = None
    since: float = field(default_factory=time.monotonic)
    span: UploadSpan = NO_SPAN

    def wait_for_source(self, upload: Upload | None) -> None:
        """Say that a stranger's server decides how long it takes from now on."""
        self.waits, self.upload = True, upload

    def go_on(self) -> None:
        """Say that it is up to us again."""
        self.waits, self.since = False, time.monotonic()


@dataclass(eq=False)
class Entry:
    """A record in work.

    Attributes:
        slots: Where its slot is given back when it leaves; None: it was.
        applied: Set when what became of it is committed, or that it is parked.
        done: Whether its outcome is there.
        took: The seconds that we took for it, its source apart; 0 until it is done.
        overdue: Whether it has been for longer than it should wait for slow sources before it.
        parked: Whether it lost its turn.
        began: When the record came into work, in seconds of `time.monotonic`.
    """

    record: Record
    outcome: asyncio.Task[Outcome]
    turn: Turn
    slots: asyncio.Semaphore | None
    applied: asyncio.Event = field(default_factory=asyncio.Event)
    done: bool = False
    took: float = 0.0
    overdue: bool = False
    parked: bool = False
    began: float = field(default_factory=time.monotonic)

    def finish(self) -> None:
        """Take note that its outcome is there."""
        self.done = True
        if not self.turn.waits:
            self.took = time.monotonic() - self.turn.since

    def leave(self) -> Outcome:
        """What is to be applied as it leaves the order: its outcome, or that it is parked."""
        if self.parked:
            return Parked(int(steady_time() * 1000), self.turn.upload)
        return self.outcome.result()

    def give_slot_back(self) -> None:
        """Let another record begin."""
        if self.slots is not None:
            self.slots.release()
            self.slots = None


class Order:
    """Entries in the order of the log, and those that have left it without an outcome.

    An entry leaves when it is done and all before it have left. But one that waits for its source is parked
    when another one behind it is overdue, or done while the sources of all before it have failed: no
    stranger's server stops a partition. Records of one image keep their order all the same: one whose image
    is parked is parked as well, and waits for it.

    Attributes:
        starved: Whether others cannot even begin. Then all are parked, if all wait for their sources.
    """

    def __init__(self) -> None:
        self.starved = False
        self._entries: deque[Entry] = deque()
        self._late: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter((*self._entries, *self._late))

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self._entries) + len(self._late)

    @property
    def parked(self) -> list[Entry]:
        """The entries that lost their turn and are in work."""
        return [entry for entry in self._late if entry.parked]

    @property
    def is_clear(self) -> bool:
        """Whether no entry waits for its turn."""
        return not self._entries

    @property
    def longest_took(self) -> float:
        """The most seconds that we took for one of the entries that leave in their turn, or 0."""
        leaving = itertools.islice(self._entries, self._number_leaving())
        return max((entry.took for entry in leaving), default=0.0)

    def append(self, entry: Entry) -> None:
        """Add the next record of the log."""
        self._entries.append(entry)

    def add_late(self, entry: Entry) -> None:
        """Add a record that has left the order without an outcome."""
        entry.turn.late = True
        self._late.append(entry)

    @property
    def any_leaves(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._number_leaving() or self._finished_late(1))

    def take(self, most: int) -> tuple[list[Entry], list[Entry]]:
        """Remove the entries that leave: late ones that are done, and at most so many in their turn.

        Of those in turn, the ones that are parked are marked. Few late ones leave beside others: where many
        become done at once, the others do not wait for their counts to be written. Those that wait on have
        none.
        """
        number = min(self._number_leaving(), most)
        few = _LATE_BESIDE_OTHERS if number else most
        late = self._take_late(few, max(few, most - number))
        in_turn = [self._entries.popleft() for _ in range(number)]
        images = {entry.turn.image for entry in self.parked} - {None}
        for entry in in_turn:
            entry.parked = not entry.done or entry.turn.image in images
            if entry.parked:
                self.add_late(entry)
                images |= {entry.turn.image} - {None}
        return late, in_turn

    def _take_late(self, few: int, most: int) -> list[Entry]:
        taken = self._finished_late(few)[:most]
        gone = set(taken)
        self._late = [entry for entry in self._late if entry not in gone]
        return taken

    def _number_leaving(self) -> int:
        leaving = 0
        all_failed = True  # the sources of those that would be parked if the next one left
        for index, entry in enumerate(self._entries):
            if entry.done:
                if all_failed or entry.overdue:
                    leaving, all_failed = index + 1, True
            elif entry.turn.awaits_predecessors and self._is_urgent():
                return index  # it goes on once those before it are committed: they leave first, parked or not
            elif not entry.turn.waits:
                return leaving  # it is up to us, and soon done: nobody behind it overtakes
            else:
                all_failed = all_failed and entry.turn.source_failed
        if self.starved and not any(entry.done for entry in self._entries):
            return len(self._entries)
        return leaving

    def _is_urgent(self) -> bool:
        return self.starved or any(entry.overdue for entry in self._entries)

    def _finished_late(self, few: int) -> list[Entry]:
        """The late entries that may leave; of those that do not wait on, at most a few."""
        finished: list[Entry] = []
        awaited: set[str | None] = set()
        for entry in self._late:
            waits_on = entry.done and isinstance(entry.outcome.result(), Deferred)
            if not entry.done or (entry.parked and entry.turn.image in awaited) or not (few or waits_on):
                awaited |= {entry.turn.image} - {None} if entry.parked else set()
            else:
                finished.append(entry)
                few -= not waits_on
        return finished
