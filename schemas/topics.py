"""Every topic: names, retention, compaction. All have the same number of partitions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

TABLES = ("images", "trends", "interests", "retries", "meta")


OFFSET_KEY = "@offset"
_DAY_MS = 86_400_000
TOMBSTONES_KEPT_MS = 7 * _DAY_MS  # a snapshot that is older might miss a removal
MAX_FORWARDED_BYTES = 1_572_864  # the largest event with key and headers, and where it came from
MAX_RECORD_BYTES = 4_194_304  # a dead letter is an event of any allowed size, and its explanation


class Deployment(Protocol):
    """What topics are named by: see `streams.app.settings.Settings`."""

    @property
    def app_id(self) -> str:
        """Name of the consumer group, and prefix of the state topics."""

    @property
    def topic_prefix(self) -> str:
        """Put before the name of each event topic."""


@dataclass(frozen=True)
class TopicNames:
    """The names of all topics of one deployment."""

    app_id: str
    prefix: str = ""

    @classmethod
    def of(cls, settings: Deployment) -> "TopicNames":
        """The names that the settings lead to."""
        return cls(settings.app_id, settings.topic_prefix)

    @property
    def uploads(self) -> str:
        """Upload events in."""
        return f"{self.prefix}image.uploads"

    @property
    def categorizations(self) -> str:
        """Every tag of an image with its confidence."""
        return f"{self.prefix}image.categorizations"

    @property
    def tag_updates(self) -> str:
        """Tags assigned to an image: added, removed, resulting."""
        return f"{self.prefix}image.tag-updates"

    @property
    def dead_letters(self) -> str:
        """Events that could not be handled, with the reason."""
        return f"{self.prefix}image.dead-letters"

    @property
    def notifications(self) -> str:
        """Notifications that receivers have not taken yet, keyed, compacted."""
        return f"{self.prefix}image.notifications"

    @property
    def notification_dead_letters(self) -> str:
        """Notifications that no receiver took in time, until somebody sends them again."""
        return f"{self.prefix}image.notification-dead-letters"

    def changelog(self, table: str) -> str:
        """Rows of a table, keyed, compacted. The name is the one that Faust gives."""
        return f"{self.app_id}-{table}-changelog"

    @property
    def configs(self) -> dict[str, dict[str, str]]:
        """Each topic with its configuration."""
        size = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        kept = {"cleanup.policy": "delete", "retention.ms": str(14 * _DAY_MS)} | size
        compacted = {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": str(TOMBSTONES_KEPT_MS),
            "segment.bytes": str(64 * 1024 * 1024),  # what is in the newest segment is not compacted
        } | size
        # The size limit is of a batch as it is sent: one that was compressed could unpack to gigabytes.
        uploads = kept | {"compression.type": "uncompressed"}
        outputs = (self.categorizations, self.tag_updates, self.dead_letters)
        changelogs = {self.changelog(table): compacted for table in TABLES}
        # A row per transaction, and each load reads all of it.
        changelogs[self.changelog("meta")] = compacted | {"segment.bytes": str(4 * 1024 * 1024)}
        return {self.uploads: uploads, **dict.fromkeys(outputs, kept), **changelogs}

    @property
    def webhook_configs(self) -> dict[str, dict[str, str]]:
        """Each topic of the role `webhooks` with its configuration; they are there where it runs."""
        size = {"max.message.bytes": str(MAX_RECORD_BYTES), "segment.bytes": str(16 * 1024 * 1024)}
        rows = size | {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        letters = {"cleanup.policy": "compact,delete", "retention.ms": str(14 * _DAY_MS)}
        return {self.notifications: rows, self.notification_dead_letters: rows | letters}


@dataclass(frozen=True)
class Progress:
    """How far a log is folded in: all of it up to a watermark, and some records above.

    Attributes:
        next: The watermark: every record before it is folded in.
        above: Lengths of runs of offsets from there on, in turns not folded in and folded in. Offsets without
            a record, as of transactions' markers, count as folded in.
    """

    next: int = 0
    above: tuple[int, ...] = ()

    @classmethod
    def of(cls, unfinished: Iterable[int], end: int) -> Self:
        """Where these records, by ascending offsets, are not folded in, and all others before `end` are."""
        runs: list[int] = []
        first = place = end
        for offset in unfinished:
            if not runs:
                first, runs = offset, [1]
            elif offset == place:
                runs[-1] += 1
            else:
                runs += [offset - place, 1]
            place = offset + 1
        if place < end:
            runs.append(end - place)
        return cls(first, tuple(runs[: len(runs) // 2 * 2]))

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """What the row of `OFFSET_KEY` says; one of an older release has a watermark alone."""
        return cls(int(row.get("next", 0)), tuple(row.get("above", ())))

    @property
    def end(self) -> int:
        """Nothing is folded in from here on."""
        return self.next + sum(self.above)

    @property
    def unfinished(self) -> Iterator[int]:
        """The offsets before the end that are not folded in."""
        place = self.next
        for number, length in enumerate(self.above):
            if number % 2 == 0:
                yield from range(place, place + length)
            place += length

    def holds(self, offset: int) -> bool:
        """Whether the record at an offset is folded in."""
        place = self.next
        if offset < place:
            return True
        for number, length in enumerate(self.above):
            place += length
            if offset < place:
                return number % 2 == 1
        return False
