"""Dead letters one by one: what they are about, and choosing among them."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

import msgspec

from schemas.cloudevents import open_envelope
from schemas.dead_letters import LEFT_OUT, Fault, read_fault
from schemas.errors import BadEventError
from schemas.origins import TopicPartitionOffset
from schemas.replays import failed_place, replays_of
from schemas.uploads import Record
from streams.kafka.offset_ranges import OffsetRanges


class _Event(msgspec.Struct):
    public_id: str | None = None
    url: str | None = None
    tenant: str | None = None


_UNREAD = _Event()


@dataclass(frozen=True)
class Letter:
    """A dead letter.

    Attributes:
        record: As it is in the topic of dead letters.
        fault: What its headers say was wrong.
        failed: The place of the record that it is about; None: it is none of ours.
    """

    record: Record
    fault: Fault
    failed: TopicPartitionOffset | None

    @classmethod
    def of(cls, record: Record) -> "Letter":
        """Read a record of the topic of dead letters."""
        return cls(record, read_fault(record.headers), failed_place(record.headers))

    @property
    def place(self) -> tuple[int, int]:
        """Its partition and offset."""
        return self.record.partition, self.record.offset

    @property
    def replays(self) -> int:
        """How often its event was replayed before it failed this time."""
        return replays_of(self.record.headers)

    @property
    def whole(self) -> bool:
        """Whether it holds the event; one that was too large for any record it only tells of."""
        return all(name != LEFT_OUT for name, _ in self.record.headers)

    @property
    def image(self) -> str:
        """The image that the event names, or else the record's key."""
        return self._event.public_id or (self.record.key or b"").decode(errors="backslashreplace")

    @property
    def tenant(self) -> str | None:
        """Whose image that is, as the event says; None: it cannot be read."""
        return None if self._event is _UNREAD else self._event.tenant or ""

    @property
    def hosts(self) -> set[str]:
        """The source's host as the event's URL names it, with its port and without."""
        url = self._url
        return {url.netloc.rpartition("@")[2].lower(), (url.hostname or "").lower()} if url else set()

    @property
    def host(self) -> str | None:
        """The source's host, where the event could be read and names one."""
        return self._url.hostname if self._url else None

    @cached_property
    def _url(self) -> SplitResult | None:
        try:
            url = urlsplit(self._event.url or "")
        except ValueError:
            return None
        return url if url.netloc else None

    @cached_property
    def _event(self) -> _Event:
        try:
            data = open_envelope(self.record.value or b"", self.record.headers).data
            return msgspec.json.decode(data, type=_Event)
        except (BadEventError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _UNREAD  # that may be why it is a dead letter


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant; what is empty or None excludes nothing.

    Attributes:
        reasons: Codes, or patterns such as `http_5*`.
        since: Milliseconds since the epoch; likewise `until`, which is exclusive.
        hosts: Of the source, HOST or HOST:PORT.
        places: Partition and offset of each letter.
        replayed: Letters that are left out.
        max_replays: Letters of events that were replayed so often, or more often, are left out.
    """

    reasons: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    retryable: bool | None = None
    since: int | None = None
    until: int | None = None
    hosts: tuple[str, ...] = ()
    places: Container[tuple[int, int]] = ()
    replayed: Container[tuple[int, int]] = ()
    max_replays: int | None = None

    def has(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        fault, at = letter.fault, letter.record.timestamp
        return (
            (not self.places or letter.place in self.places)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and (not self.reasons or any(fnmatchcase(fault.reason, pattern) for pattern in self.reasons))
            and (not self.stages or fault.stage in self.stages)
            and (self.retryable is None or fault.retryable is self.retryable)
            and letter.place not in self.replayed
            and (self.max_replays is None or letter.replays < self.max_replays)
            and (not self.hosts or any(host.lower() in letter.hosts for host in self.hosts))
        )


@dataclass
class Summary:
    """The number of letters by reason, and of those that may pass if they are published again."""

    reasons: Counter[str] = field(default_factory=Counter)
    retryable: Counter[str] = field(default_factory=Counter)

    def add(self, letter: Letter) -> None:
        """Count a letter."""
        self.reasons[letter.fault.reason] += 1
        self.retryable[letter.fault.reason] += letter.fault.retryable

    def __len__(self) -> int:
        return self.reasons.total()


class ReplayedLetters:
    """Places of dead letters: a bit for each letter of the ranges."""

    def __init__(self, ranges: OffsetRanges) -> None:
        self._ranges = ranges
        self._bits = {
            partition: bytearray((end - ranges.starts[partition]) // 8 + 1)
            for partition, end in ranges.ends.items()
        }

    def add(self, place: TopicPartitionOffset) -> None:
        """Remember a letter; a place outside of the ranges is nobody's."""
        ranges, partition = self._ranges, place.partition
        if place.topic != ranges.topic or partition not in self._bits:
            return
        if ranges.starts[partition] <= place.offset < ranges.ends[partition]:
            byte, bit = divmod(place.offset - ranges.starts[partition], 8)
            self._bits[partition][byte] |= 1 << bit

    def __contains__(self, place: object) -> bool:
        match place:
            case (int(partition), int(offset)) if partition in self._bits:
                byte, bit = divmod(offset - self._ranges.starts[partition], 8)
                bits = self._bits[partition]
                return 0 <= byte < len(bits) and bool(bits[byte] >> bit & 1)
        return False
