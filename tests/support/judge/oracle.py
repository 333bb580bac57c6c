"""What must come of upload events: computed offline, from the events alone, one after the other.

Written from the contract (`streams.fold.rows`, the schemas, the documentation) and independent of the code
that it judges: an image is the set of its events, and every count is a recount over the images as they are at
the end. Images whose name begins with `SLOW` wait for their sources, so their events may be folded in any
order: what they are in the end is known, what is told of them on the way is not.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from support.judge.oracle_events import (
    DELETED,
    EDITED,
    RETAGGED,
    BadEvent,
    Event,
    Id,
    Photo,
    Source,
    check_add_ons,
    owner_of,
    read,
)
from support.judge.oracle_images import (
    DAY_MS,
    MODEL,
    RULES,
    WINDOW_MS,
    Image,
    Look,
    difference,
    places_of,
    ranked,
)

KEPT_MINUTES = 0.4  # days; a workload's events are of one day, and some of its minutes must expire
SLOW = "slow-"
_NEEDED = {"version", "user_id", "tags", "keep_edits"}
ImageKey = tuple[str, str]  # tenant, public id
TrendKey = tuple[str, str, int, str]  # tenant, window, start of the bucket in seconds, tag
InterestKey = tuple[str, str, int]  # tenant, user, day


class Result(NamedTuple):
    """A categorization that must come out."""

    offset: int
    cause: Id
    content: dict[str, Any]


class Update(NamedTuple):
    """A tag-update that must come out."""

    offset: int
    cause: Id
    tenant: str
    public_id: str
    added: list[str]
    removed: list[str]
    tags: list[str]


class Letter(NamedTuple):
    """A dead letter that must come out. `place` is where the event was published first."""

    place: str
    reason: str
    stage: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass
class Trend:
    """A count, and what can be said of its uploaders and its first and last event time."""

    n: int = 0
    by: Counter[str] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    first: float = math.inf
    last: float = -math.inf

    def see(self, at: int) -> None:
        """Take note of an event time."""
        self.first, self.last = min(self.first, at), max(self.last, at)


@dataclass(frozen=True)
class Kept:
    """Days that buckets are kept after their end: as chaos tests say, else the defaults of the settings."""

    minute: float = KEPT_MINUTES
    hour: float = 31.0
    day: float = 800.0
    interests: float = 365.0

    def window(self, window: str, start: int, stream_time: int) -> bool:
        """Whether a bucket counts when the partition's clock shows `stream_time`."""
        if window == "all":
            return True
        return start * 1000 + WINDOW_MS[window] + getattr(self, window) * DAY_MS > stream_time

    def interest(self, day: int, stream_time: int) -> bool:
        """Whether a day of interests counts when the partition's clock shows `stream_time`."""
        return (day + 1 + self.interests) * DAY_MS > stream_time


@dataclass
class Late:
    """How many counts came too late for their buckets: as the clock was, and as it may have been.

    Images overtake each other, so the clock may have been ahead of a record's own time when it was folded.
    """

    least: int = 0
    _counted: list[tuple[str, int]] = field(default_factory=list)  # windows and starts that were kept then
    _slow: int = 0

    def note(self, window: str, start: int, *, kept: bool, slow: bool) -> None:
        """Take note of a count that changed."""
        if slow:
            self._slow += 1
        elif kept:
            self._counted.append((window, start))
        else:
            self.least += 1

    def most(self, kept: Kept, stream_time: int) -> int:
        """As many may have been late, by the time at the end; slow images' events may each come late."""
        return self.least + self._slow + sum(not kept.window(*each, stream_time) for each in self._counted)


class Partition:
    """What must come of one partition's events.

    Args:
        look: Gives the tags behind a URL, or raises BadEvent.
        kept: How long buckets are kept.
        number: Its own.
        partitions: How many there are; 1: all images are its own.
    """

    def __init__(
        self,
        look: Callable[[str], Photo],
        kept: Kept | None = None,
        number: int = 0,
        partitions: int = 1,
    ) -> None:
        self.images: dict[ImageKey, Image] = {}
        self.results: list[Result] = []
        self.updates: list[Update] = []
        self.letters: list[Letter] = []
        self.sent_on: list[str] = []  # places of records that belong elsewhere
        self.came: list[str] = []  # places of records that were forwarded to here
        self.next = self.stream_time = self.at = 0
        self.late = Late()
        self.ever: dict[TrendKey, Trend] = defaultdict(Trend)  # withdrawn images included
        self.kept = kept or Kept()
        self._look = look
        self._number = number
        self._partitions = partitions

    def apply(self, source: Source) -> None:
        """Apply the next event."""
        self.next = source.offset + 1
        self.stream_time = max(self.stream_time, source.published_at)
        if source.told_origin is not None:
            self.came.append(source.told_origin)
        try:
            event = read(source)
            if owner_of(event.public_id, self._partitions) != self._number:
                self.sent_on.append(source.place)
                return
            check_add_ons(event)
            self.at = max(self.at, self._handle(event, source))
        except BadEvent as bad:
            letter = (bad.reason, bad.stage, source.key, source.value, source.headers)
            self.letters.append(Letter(source.told_origin or source.place, *letter))

    def _handle(self, event: Event, source: Source) -> int:
        key = (event.data.get("tenant", ""), event.public_id)
        image = self.images.get(key)
        if event.type == EDITED:
            self._edit(key, image, event, source)
        elif event.type == RETAGGED:
            _retag(image, event, source.offset)
        else:
            self._look_at(key, image, event, source)
        return 0 if event.type == RETAGGED else event.at

    def _edit(self, key: ImageKey, image: Image | None, event: Event, source: Source) -> None:
        """A person's edit: nothing where it has come before."""
        if image is not None and image.knows(event.id):
            return
        since = image.said_since if image is not None else None
        void = since is not None and (event.at, source.offset) < since
        if image is None or (image.deleted and not void):
            raise BadEvent("unknown_image")
        before = _State.of(image)
        image.edit(event, source.offset)
        who = event.data.get("by") or event.data.get("user_id")
        image.note_change(event, before.sources, {"rules": None, "by": who})
        self._announce(key, image, before, event, source)

    def _look_at(self, key: ImageKey, image: Image | None, event: Event, source: Source) -> None:
        photo, url = self._photo(event, image)
        if image is not None and image.knows(event.id):
            return
        before = _State.of(image)
        image = self.images.setdefault(key, Image())
        mine = Look(event._replace(data=_kept_of(event.data)), source.offset, photo, url)
        image.look(mine, keep=key[1].startswith(SLOW))
        told: dict[str, Any] = {"rules": RULES if image.shown.photo is not None else None}
        if image.shown is mine and photo is not None:
            told["models"] = dict.fromkeys(event.add_ons, MODEL)
        image.note_change(event, before.sources, told)
        if photo is not None:
            content = result_content(event, photo, list(image.sources))
            self.results.append(Result(source.offset, event.id, content))
        self._announce(key, image, before, event, source)

    def _photo(self, event: Event, image: Image | None) -> tuple[Photo | None, str | None]:
        if event.type == DELETED:
            return None, None
        url = event.data.get("url") or (image and image.shown.url)
        if url is None:
            raise BadEvent("unknown_image")
        return self._look(url), None if url.startswith("data:") else url

    def _announce(self, key: ImageKey, image: Image, before: "_State", event: Event, source: Source) -> None:
        after = _State.of(image)
        added, removed = difference(before.sources, after.sources)
        if added or removed:
            place = (source.offset, event.id, *key)
            self.updates.append(Update(*place, added, removed, list(after.sources)))
        self._note_changes(key, before, after, source.published_at)

    def _note_changes(self, key: ImageKey, before: "_State", after: "_State", now: int) -> None:
        """Note who and when each count has seen, and which counts came too late."""
        slow = key[1].startswith(SLOW)
        known = {place: (before.sources[place[2]], before.user) for place in before.places}
        for window, start, tag in after.places:
            kept = self.kept.window(window, start, now)
            if known.get((window, start, tag)) != (after.sources[tag], after.user):
                self.late.note(window, start, kept=kept, slow=slow)
            if kept:
                trend = self.ever[key[0], window, start, tag]
                trend.see(after.at)
                trend.users |= {after.user} if after.user else set()

    def note_ways(self) -> None:
        """Note, once all events are in, what slow images may have been on the way."""
        for (tenant, name), image in self.images.items():
            if not name.startswith(SLOW):
                continue
            tags = {tag for look in image.kept for tag in (*(look.photo or ()), *(look.own or ()))}
            tags |= image.ever_said
            users = {look.event.data["user_id"] for look in image.kept if "user_id" in look.event.data}
            for look in image.kept:
                for window, start, tag in places_of(look.event.at, tags):
                    trend = self.ever[tenant, window, start, tag]
                    trend.see(look.event.at)
                    trend.users |= users

    def trends(self) -> dict[TrendKey, Trend]:
        """Count every tag in every bucket that is kept, over the images as they are now."""
        found: dict[TrendKey, Trend] = defaultdict(Trend)
        for (tenant, _), image in self.images.items():
            state = _State.of(image)
            for window, start, tag in state.places:
                if self.kept.window(window, start, self.stream_time):
                    trend = found[tenant, window, start, tag]
                    trend.n += 1
                    trend.by.update(state.sources[tag])
                    trend.users |= {state.user} if state.user else set()
                    trend.see(state.at)
        return dict(found)

    def interests(self) -> dict[InterestKey, Counter[str]]:
        """Count every user's tags by day, over the images as they are now."""
        found: dict[InterestKey, Counter[str]] = defaultdict(Counter)
        for (tenant, _), image in self.images.items():
            state = _State.of(image)
            day = state.at // DAY_MS
            if state.user and state.sources and self.kept.interest(day, self.stream_time):
                found[tenant, state.user, day].update(state.sources.keys())
        return dict(found)


class _State(NamedTuple):
    """What is counted of an image."""

    sources: dict[str, list[str]]
    user: str | None
    at: int

    @classmethod
    def of(cls, image: Image | None) -> "_State":
        """That of an image as it is now."""
        if image is None or not image.looks:
            return cls({}, None, 0)
        return cls(image.sources, image.user, image.shown.event.at)

    @property
    def places(self) -> list[tuple[str, int, str]]:
        """Window, bucket and tag of everything that it counts in."""
        return list(places_of(self.at, self.sources))


def _kept_of(data: dict[str, Any]) -> dict[str, Any]:
    """What an image's state may need of an event: a long run has many, and all are in memory."""
    return {name: content for name, content in data.items() if name in _NEEDED}


def _retag(image: Image | None, event: Event, offset: int) -> None:
    """A re-tag: model and rules are the same, so it finds what was found before."""
    if image is None:
        raise BadEvent("unknown_image")
    if not image.deleted and image.cause[:2] != list(event.id):
        image.causes[image.shown.offset] = [*event.id, event.type]
        image.offset = offset


def result_content(event: Event, photo: Photo, tags: list[str]) -> dict[str, Any]:
    """The fields of a categorization that follow from the events."""
    data = [{"tag": tag, "confidence": confidence} for tag, confidence in ranked(photo)]
    model = dict(zip(("name", "version"), MODEL, strict=True))
    content = {
        "public_id": event.public_id,
        "tags": tags,
        "version": event.data.get("version"),
        "user_id": event.data.get("user_id"),
        "tenant": event.data.get("tenant"),
        "cause": {"source": event.id[0], "id": event.id[1], "type": event.type},
        "categorization": {
            name: {"status": "complete", "data": data, "model": model} for name in event.add_ons
        },
    }
    return content | {"model": model, "rules": RULES}


def result_identity(kind: str, cause: Id, add_ons: Iterable[str], model: str) -> str:
    """The id that a result must carry, however often it is made."""
    text = "\x1f".join((kind, *cause, ",".join(add_ons), model))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
