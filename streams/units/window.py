"""The window of a unit: records in work, from their beginning to the commit of what became of them.

An outcome is applied once those before it of its image are: images do not wait for one another. So what is
folded in of the log has gaps above its watermark, which move in `Progress` with each transaction. The window
from the watermark to the newest record is bounded. Those that wait for strangers' servers and keep the
watermark back for a while, or the window full, go on beside the log, kept by rows of `retries`.
"""

import asyncio
import functools
import itertools
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence

from schemas.times import steady_time
from schemas.topics import Progress
from schemas.uploads import Record
from streams.fold.outcomes import Outcome, Parked
from streams.state.partition import PartitionState
from streams.units.aside import Patience, Slot
from streams.units.micro_batch import tags_touched
from streams.units.order import Beside, Entry, Waits
from streams.units.waiting_room import WaitingRoom
from streams.units.work import Pace, Work

MAX_RECORDS = 1000  # offsets from the watermark to the newest record
HOLDS_UP = 3.0  # seconds that a record may keep the watermark back for its source
MAX_BYTES = 16_000_000  # of events in the window; one that is larger enters alone
_KEPT_BESIDE_OTHERS = 4  # of those that rows keep: others do not wait for many counts to be written

_TAGS_OF_AN_EVENT = 25  # one that has more counts as several

Leaving = tuple[Entry, Outcome]


class Window:
    """Begins records, and knows whose outcomes a transaction may hold.

    Attributes:
        arrived: Set when there may be something to commit.
        commit_now: Set while the next transaction has waited long enough, whatever the clock says.
    """

    def __init__(self, state: PartitionState, work: Work, pace: Pace, room: WaitingRoom) -> None:
        self.arrived = asyncio.Event()
        self.commit_now = asyncio.Event()
        self._state = state
        self._work = work
        self._room = room
        self._moved = asyncio.Event()
        self._patience = Patience(
            pace.patience, work.places, state.partition, work.overloaded, self.arrived.set
        )
        self._beside = Beside(room.enter, self._update_commit_now)
        self._enough = min(pace.max_transaction, max(pace.max_in_flight // 2, 1))
        self._entries: dict[int, Entry] = {}  # of the log, by offset, ascending
        self._kept: dict[int, Entry] = {}  # those that rows keep
        self._done: dict[int, Entry] = {}  # of either, whose outcomes are not committed
        self._folded = Progress()  # what was folded in when the work began
        self._ahead = deque[int]()  # what was not, below its end, and has not begun
        self._read = 0  # all before it has begun
        self._bytes = 0

    def open(self) -> None:
        """Begin where the state, which is loaded now, says."""
        self._folded = self._state.progress
        self._ahead.extend(self._folded.unfinished)
        self._read = self._folded.next

    def __len__(self) -> int:
        return len(self._entries) + len(self._kept)

    @property
    def oldest_timestamp(self) -> int | None:
        """Kafka's timestamp, in milliseconds, of the first record of the log in work."""
        return next((entry.record.timestamp for entry in self._entries.values()), None)

    @property
    def is_clear(self) -> bool:
        """Whether all that has begun of the log is folded in."""
        return not self._entries

    @property
    def is_full(self) -> bool:
        """Whether no record may begin."""
        first = next(iter(self._entries), self._read)
        return self._read - first >= MAX_RECORDS or self._bytes >= MAX_BYTES

    @property
    def took(self) -> float:
        """The fewest seconds that we took for one of the log's records that are done, or 0."""
        return min((entry.took for entry in self._done.values() if not entry.is_kept), default=0.0)

    def is_folded(self, offset: int) -> bool:
        """Whether a record was folded in before the work began."""
        return self._folded.holds(offset)

    def works_on(self, offset: int) -> bool:
        """Whether a record that a row keeps is in work."""
        return offset in self._kept

    async def wait_until_open(self) -> None:
        """Wait until a record may begin."""
        while self.is_full:
            self._moved.clear()
            self.arrived.set()
            await self._moved.wait()

    def begin_next(self, record: Record, slots: asyncio.Semaphore) -> None:
        """Begin the next record of the log; its slot is taken, and given back to `slots`."""
        self._pass(record.offset + 1)
        self._bytes += _size(record)
        self._entries[record.offset] = self._begin(record, slots, is_kept=False)

    def begin_retry(self, record: Record, slots: asyncio.Semaphore) -> None:
        """Begin a record that a row keeps."""
        self._kept[record.offset] = self._begin(record, slots, is_kept=True)

    def take(self, most: int) -> list[Leaving]:
        """What the next transaction holds: outcomes of so much weight, and as many records to be kept.

        The oldest in any case, whatever it weighs; of the others, those first that weigh little.
        """
        leaving: dict[Entry, Outcome] = {}
        of_log = sum(not entry.is_kept for entry in self._done.values())
        left = {False: most, True: _KEPT_BESIDE_OTHERS if of_log else most}
        oldest = min(self._done, default=0)
        for offset in sorted(self._done, key=lambda each: (self._done[each].weight * (each != oldest), each)):
            entry = self._done[offset]
            if left[entry.is_kept] > 0 and (entry.follows is None or entry.follows in leaving):
                left[entry.is_kept] -= 1 if offset == oldest else entry.weight
                leaving[entry] = entry.outcome.result()
        now = int(steady_time() * 1000)
        for entry in self._in_the_way(leaving, most):
            leaving[entry] = Parked(now, entry.upload)
        return sorted(leaving.items(), key=lambda item: item[0].record.offset)

    def progress(self, leaving: Sequence[Leaving], reached: int) -> Progress:
        """What is folded in once a transaction is committed.

        Args:
            leaving: What it holds.
            reached: So far the log was read, and what it gave has begun.
        """
        gone = {entry for entry, _ in leaving}
        unfinished = [offset for offset, entry in self._entries.items() if entry not in gone]
        if not unfinished:
            self._pass(reached)
        end = max(self._read, self._folded.end)
        return Progress.of(itertools.chain(unfinished, self._ahead), end)

    def leave(self, leaving: Sequence[Leaving]) -> None:
        """Let go of entries whose outcomes are committed; those that rows keep now go on beside the log."""
        for entry, outcome in leaving:
            offset = entry.record.offset
            if not entry.is_kept:
                del self._entries[offset]
                self._bytes -= _size(entry.record)
            if isinstance(outcome, Parked):
                entry.is_kept = True
                self._kept[offset] = entry
            else:
                self._kept.pop(offset, None)
                del self._done[offset]
                entry.apply()
        self._moved.set()
        self._update_commit_now()
        self.arrived.set()

    def cancel(self) -> None:
        """Cancel all work; what was not committed is replayed."""
        for entry in (*self._entries.values(), *self._kept.values()):
            entry.outcome.cancel()

    def _begin(self, record: Record, slots: asyncio.Semaphore, *, is_kept: bool) -> Entry:
        record, span = self._work.tracing.begin(record)
        entry = Entry(record, span, Slot(slots, self._patience), self._beside, is_kept=is_kept)
        work = self._work.categorizer.outcome(record, self._state.rows, entry.wait_for_predecessors, entry)
        entry.outcome = asyncio.create_task(work)
        entry.outcome.add_done_callback(functools.partial(self._note_done, entry))
        return entry

    def _note_done(self, entry: Entry, outcome: asyncio.Task[Outcome]) -> None:
        entry.finish()
        if not outcome.cancelled():
            if outcome.exception() is None:
                entry.weight += tags_touched(self._size_of_image, outcome.result()) // _TAGS_OF_AN_EVENT
            self._done[entry.record.offset] = entry
            self._update_commit_now()
            self.arrived.set()

    def _size_of_image(self, key: str) -> int:
        return len(self._state.rows["images"].get(key, b""))

    def _in_the_way(self, leaving: Collection[Entry], most: int) -> Iterator[Entry]:
        """The oldest ones, as far as they wait for strangers' servers, or for one before that does.

        A while is theirs, so that few become rows; none where the window is full.
        """
        if not self._entries or self._room.is_full or self._work.overloaded():
            return
        kept = set[Entry]()
        asked_before = time.monotonic() - (0 if self.is_full else HOLDS_UP)
        staying = (entry for entry in self._entries.values() if entry not in leaving)
        for entry in itertools.islice(staying, most):
            at_source = entry.is_at_source and entry.asked < asked_before
            behind_one = entry.follows is not None and (entry.follows.is_kept or entry.follows in kept)
            if not at_source and not (behind_one and (entry.done or entry.waits)):
                return
            kept.add(entry)
            yield entry

    def _pass(self, offset: int) -> None:
        """Take note that all before an offset has begun: what was expected there and did not come is gone."""
        self._read = max(self._read, offset)
        while self._ahead and self._ahead[0] < offset:
            self._ahead.popleft()

    def _update_commit_now(self) -> None:
        if len(self._done) >= self._enough or self._is_awaited():
            self.commit_now.set()
        else:
            self.commit_now.clear()

    def _is_awaited(self) -> bool:
        """Whether a record waits for one of its image that is done."""
        images = {entry.image for entry in self._done.values()}
        return any(
            entry.waits is Waits.PREDECESSORS and entry.image in images for entry in self._entries.values()
        )


def _size(record: Record) -> int:
    headers = sum(len(name) + len(content or b"") for name, content in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers
