"""Every topic: names, retention, compaction.

All have the same number of partitions, but for upload topics that are read by way of the repartition topic.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from schemas.streams.records import IMAGE_TAGS, TAG_COUNTS

TABLES = ("images", "trends", "interests", "retries", "meta")


OFFSET_KEY = "@offset"
MAX_INPUTS = 100  # upload topics
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_DAY_MS = 86_400_000
TOMBSTONES_KEPT_DAYS = 7.0
_TRUSTED = 0.8  # of that time: what is older might soon miss that a row was removed
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

    @property
    def keep_tombstones(self) -> float:
        """Days that state topics keep the mark of a removed row."""

    @property
    def uploads_topics(self) -> str:
        """Upload topics that are read by way of the repartition topic; empty: the one, read as it is."""

    @property
    def source_topics(self) -> tuple[str, ...]:
        """Topics of other programs' messages, which are translated to upload events."""

    @property
    def told_streams(self) -> tuple[str, ...]:
        """The streams of what changed that are on."""


def split_topics(names: str) -> tuple[str, ...]:
    """The topics that a setting names, separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))


def topic_fault(name: str) -> str | None:
    """What is wrong with the name of a topic; None: nothing."""
    if _TOPIC.fullmatch(name) and name not in {".", ".."}:
        return None
    return "a topic has 1 to 249 letters, digits, dots, underscores and hyphens"


def uploads_topics_fault(names: str) -> str | None:
    """What is wrong with the names of upload topics; None: nothing."""
    found = [name.strip() for name in names.split(",")] if names else []
    for name in found:
        if fault := topic_fault(name):
            return f"names {name!r}: {fault}"
    if len(found) > MAX_INPUTS or len(set(found)) < len(found):
        return f"must name at most {MAX_INPUTS} topics, each once"
    return None


@dataclass(frozen=True)
class TopicNames:
    """The names of all topics of one deployment, and how long state topics keep marks of removed rows."""

    app_id: str
    prefix: str = ""
    inputs: tuple[str, ...] = ()
    keep_tombstones: float = TOMBSTONES_KEPT_DAYS
    sources: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Deployment) -> "TopicNames":
        """The names that the settings lead to."""
        return cls(
            settings.app_id,
            settings.topic_prefix,
            split_topics(settings.uploads_topics),
            settings.keep_tombstones,
            settings.source_topics,
            settings.told_streams,
        )

    @property
    def tombstones_kept_ms(self) -> int:
        """The least `delete.retention.ms` of state topics."""
        return int(self.keep_tombstones * _DAY_MS)

    @property
    def trusted_seconds(self) -> float:
        """How old a state may be that is followed further: what is older may miss that a row was removed."""
        return _TRUSTED * self.tombstones_kept_ms / 1000

    @property
    def uploads(self) -> str:
        """Upload events in."""
        return self.inputs[0] if self.inputs else f"{self.prefix}image.uploads"

    @property
    def uploads_topics(self) -> tuple[str, ...]:
        """All topics of upload events; our own are published to the first."""
        return self.inputs or (self.uploads,)

    @property
    def copied(self) -> tuple[str, ...]:
        """Topics whose records are copied to the log that units read, those of sources as upload events."""
        return (*self.inputs, *self.sources)

    @property
    def upload_log(self) -> str:
        """What units read, with as many partitions as the state: the upload topic, or copies of several."""
        return self.repartition if self.inputs else self.uploads

    @property
    def repartition(self) -> str:
        """The topic that upload topics are copied to, where they are."""
        return f"{self.app_id}-uploads-repartition"

    @property
    def inputs_changelog(self) -> str:
        """How far each partition of the upload topics is repartitioned, compacted; all in partition 0."""
        return f"{self.app_id}-inputs-changelog"

    @property
    def repartition_group(self) -> str:
        """The group that shares out the partitions of the upload topics."""
        return f"{self.app_id}-repartition"

    @property
    def rescale(self) -> str:
        """A topic that is there while the state is moved to more partitions: no worker starts beside it."""
        return f"{self.app_id}-rescale"

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
    def image_tags(self) -> str:
        """A record per image and tag: see `TAGSTREAM_STREAMS`."""
        return f"{self.prefix}{IMAGE_TAGS}"

    @property
    def tag_counts(self) -> str:
        """Counts of tags by window and add-on, and a sketch of the uploaders: see `TAGSTREAM_STREAMS`."""
        return f"{self.prefix}{TAG_COUNTS}"

    @property
    def image_trends(self) -> str:
        """Tags that began to rise, peaked and rise no longer: see the role `trends`."""
        return f"{self.prefix}image.trends"

    @property
    def rises_changelog(self) -> str:
        """Rises that go on, and how far counts are judged, compacted; all in partition 0."""
        return f"{self.app_id}-rises-changelog"

    @property
    def stream_topics(self) -> dict[str, str]:
        """The topic of each stream that is on."""
        topics = {IMAGE_TAGS: self.image_tags, TAG_COUNTS: self.tag_counts}
        return {stream: topic for stream, topic in topics.items() if stream in self.streams}

    @property
    def outputs(self) -> tuple[str, ...]:
        """What units write besides changelogs."""
        results = (self.categorizations, self.tag_updates, self.dead_letters)
        return (*results, *self.stream_topics.values())

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
            "delete.retention.ms": str(self.tombstones_kept_ms),
            "segment.bytes": str(64 * 1024 * 1024),  # what is in the newest segment is not compacted
        } | size
        # The size limit is of a batch as it is sent: one that was compressed could unpack to gigabytes.
        uploads = kept | {"compression.type": "uncompressed"}
        outputs = (self.categorizations, self.tag_updates, self.dead_letters)
        changelogs = {self.changelog(table): compacted for table in TABLES}
        # A row per transaction, and each load reads all of it.
        changelogs[self.changelog("meta")] = compacted | {"segment.bytes": str(4 * 1024 * 1024)}
        found = {**dict.fromkeys(self.uploads_topics, uploads), **dict.fromkeys(outputs, kept), **changelogs}
        if self.inputs:
            # Units delete what they have folded in. What waits must not go by its age: a time of an input's.
            found[self.upload_log] = uploads | {"retention.ms": "-1"}
        found |= dict.fromkeys(self.sources, kept)
        if self.copied:
            found[self.inputs_changelog] = changelogs[self.changelog("meta")]
        # Who reads them a little late still sees each step.
        streams = compacted | {"min.compaction.lag.ms": str(600_000)}
        return found | dict.fromkeys(self.stream_topics.values(), streams)

    @property
    def written(self) -> frozenset[str]:
        """What workers write besides upload events, whatever the inputs are."""
        internal = {self.repartition, self.inputs_changelog, self.rescale}
        outputs = (
            self.categorizations,
            self.tag_updates,
            self.dead_letters,
            self.image_tags,
            self.tag_counts,
        )
        others = {*self.webhook_configs, *self.trend_configs}
        return frozenset({*outputs, *map(self.changelog, TABLES), *others, *internal})

    @property
    def told_configs(self) -> dict[str, dict[str, str]]:
        """Each topic that others may rely on with its configuration; trends are told where counts are."""
        return self.configs | (self.trend_configs if TAG_COUNTS in self.streams else {})

    @property
    def trend_configs(self) -> dict[str, dict[str, str]]:
        """Each topic of the role `trends` with its configuration; they are there where it runs."""
        size = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        kept = {"cleanup.policy": "delete", "retention.ms": str(14 * _DAY_MS)}
        rows = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        rows |= {"segment.bytes": str(4 * 1024 * 1024)}
        return {self.image_trends: size | kept, self.rises_changelog: size | rows}

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
