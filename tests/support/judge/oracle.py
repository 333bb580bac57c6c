"""What must come of upload events: computed offline, from the events alone, one after the other.

Written from the contract (`streams.fold.rows`, the schemas, the documentation) and independent of the code
that it judges: images are plain records, and every count is a recount over the images as they are at the end.
"""

import base64
import hashlib
import math
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

DAY_MS = 86_400_000
KEPT_MINUTES = 0.4  # days; a workload's events are of one day, and some of its minutes must expire
REMEMBERED_EVENTS, REMEMBERED_CHANGES = 8, 10
WINDOW_MS = {"minute": 60_000, "hour": 3_600_000, "day": DAY_MS}
MODEL = ["stub", "1"]
RULES = "a0ea1af23aab"  # the hash of no rules
OFFERED = ("tagstream", "imagga_tagging")
DEFAULT_ADD_ON = "imagga_tagging"
EDITED, RETAGGED = "image.tags-edited", "image.retag"
TYPES = ("image.uploaded", "image.update", "image.deleted", EDITED, RETAGGED)
Photo = dict[str, float]
Id = tuple[str, str]
ImageKey = tuple[str, str]  # tenant, public id
TrendKey = tuple[str, str, int, str]  # tenant, window, start of the bucket in seconds, tag
InterestKey = tuple[str, str, int]  # tenant, user, day


class Source(NamedTuple):
    """A record of the upload topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class BadEvent(Exception):  # noqa: N818 - a dead letter, no error
    """The event becomes a dead letter, for this reason."""

    def __init__(self, reason: str, stage: str = "parse") -> None:
        super().__init__(reason)
        self.reason, self.stage = reason, stage


class Event(NamedTuple):
    """A readable upload event. `at` is in milliseconds."""

    id: Id
    type: str
    public_id: str
    at: int
    data: dict[str, Any]
    add_ons: tuple[str, ...]
    threshold: float | None


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
    """A dead letter that must come out."""

    offset: int
    reason: str
    stage: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Said(NamedTuple):
    """What a person said of a tag: whether it is on the image, and in which event."""

    wanted: bool
    at: int
    offset: int
    by: str | None
    id: Id


@dataclass
class Image:
    """The state of an image.

    Attributes:
        placed: Offset of the last upload or deletion that counted.
        found: Tags that add-ons assign, whatever people say, each with those add-ons.
        asked: The threshold that the event named.
        own_cause: The event that told `own`.
        said: What people said last of each tag, since `said_since`.
        edits: Ids of the last edits.
    """

    offset: int
    placed: int
    at: int
    version: int | None
    user: str | None
    url: str | None
    cause: list[str]
    own: list[str]
    found: dict[str, list[str]]
    scores: dict[str, list[list[Any]]]
    model: list[str] | None
    rules: str | None
    deleted: bool
    seen: list[Id]
    history: list[dict[str, Any]]
    asked: float | None = None
    own_cause: list[str] | None = None
    said: dict[str, Said] = field(default_factory=dict)
    said_since: int | None = None
    edits: list[Id] = field(default_factory=list)

    @property
    def sources(self) -> dict[str, list[str]]:
        """The image's tags with where they are from: of people, with the image, from add-ons."""
        if self.deleted:
            return {}
        wanted = sorted((said.at, tag) for tag, said in self.said.items() if said.wanted)
        every = [(tag, "people") for _, tag in wanted] + [(tag, "own") for tag in self.own]
        every += [(tag, name) for tag, names in self.found.items() for name in names]
        given: dict[str, list[str]] = {}
        for tag, source in every:
            if tag not in self.unwanted:
                given.setdefault(tag, []).append(source)
        return given

    @property
    def unwanted(self) -> set[str]:
        """The tags that people took away."""
        return {tag for tag, said in self.said.items() if not said.wanted}

    def places(self) -> Iterable[tuple[str, int, str]]:
        """Window, bucket and tag of everything that the image counts in."""
        for tag in self.sources:
            yield "all", 0, tag
            for window, length in WINDOW_MS.items():
                yield window, self.at // length * length // 1000, tag


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


class Partition:
    """What must come of one partition's events.

    Args:
        look: Gives the tags behind a URL, or raises BadEvent.
        kept: How long buckets are kept.
    """

    def __init__(self, look: Callable[[str], Photo], kept: Kept | None = None) -> None:
        self.images: dict[ImageKey, Image] = {}
        self.results: list[Result] = []
        self.updates: list[Update] = []
        self.letters: list[Letter] = []
        self.next = self.stream_time = self.at = self.late = 0
        self.ever: dict[TrendKey, Trend] = defaultdict(Trend)  # withdrawn images included
        self.kept = kept or Kept()
        self._look = look

    def apply(self, source: Source) -> None:
        """Apply the next event."""
        self.next = source.offset + 1
        self.stream_time = max(self.stream_time, source.timestamp)
        try:
            event = read(source)
            self.at = max(self.at, self._handle(event, source.offset))
        except BadEvent as bad:
            letter = (bad.reason, bad.stage, source.key, source.value, source.headers)
            self.letters.append(Letter(source.offset, *letter))

    def _handle(self, event: Event, offset: int) -> int:
        key = (event.data.get("tenant", ""), event.public_id)
        old = self.images.get(key)
        if event.type == EDITED:
            photo, new = None, self._edited(event, old, offset)
        elif event.type == RETAGGED:
            photo, new = None, self._retagged(event, old, offset)
        else:
            photo, url = self._photo(event, old)
            new = None if old and event.id in old.seen else self._next_image(event, old, photo, url, offset)
        if new is not None:
            self._note_changes(key, old, new)
            self.images[key] = new
            self._announce(event, offset, old, new, photo)
        return 0 if event.type == RETAGGED else event.at

    def _retagged(self, event: Event, old: Image | None, offset: int) -> Image | None:
        """The image after a re-tag: model and rules are the same, so it finds what was found before."""
        if old is None:
            raise BadEvent("unknown_image")
        if old.deleted or old.cause[:2] == list(event.id):
            return None
        return Image(**{**vars(old), "offset": offset, "cause": [*event.id, event.type]})

    def _edited(self, event: Event, old: Image | None, offset: int) -> Image | None:
        """The image after a person's edit; None where it has come before."""
        if old and event.id in old.edits:
            return None
        forgotten = old is not None and old.said_since is not None and event.at < old.said_since
        if old is None or (old.deleted and not forgotten):
            raise BadEvent("unknown_image")
        said, who = dict(old.said), event.data.get("by") or event.data.get("user_id")
        for wanted, tags in ((True, event.data.get("added", ())), (False, event.data.get("removed", ()))):
            for tag in tags if not forgotten else ():
                if tag not in said or (said[tag].at, said[tag].offset) < (event.at, offset):
                    said[tag] = Said(wanted, event.at, offset, who, event.id)
        edits = [*old.edits, event.id][-REMEMBERED_EVENTS:]
        image = Image(**{**vars(old), "offset": offset, "said": said, "edits": edits})
        note_change(event, old, image, {"rules": None, "by": who})
        return image

    def _photo(self, event: Event, old: Image | None) -> tuple[Photo | None, str | None]:
        if event.type == "image.deleted":
            return None, None
        url = event.data.get("url") or (old and old.url)
        if url is None:
            raise BadEvent("unknown_image")
        return self._look(url), None if url.startswith("data:") else url

    def _next_image(
        self, event: Event, old: Image | None, photo: Photo | None, url: str | None, offset: int
    ) -> Image:
        seen = [*(old.seen if old else []), event.id][-REMEMBERED_EVENTS:]
        if old and is_older(event, old):
            return Image(**{**vars(old), "seen": seen, "offset": offset})
        cause = [*event.id, event.type]
        own = list(event.data.get("tags", old.own if old else []))
        image = Image(
            offset=offset,
            placed=offset,
            at=event.at,
            version=event.data.get("version", old.version if old else None),
            user=event.data.get("user_id", old.user if old else None),
            url=url,
            cause=cause,
            own=own if photo is not None else [],
            found=assigned(photo, event) if photo is not None else {},
            scores=dict.fromkeys(event.add_ons, ranked(photo)) if photo is not None else {},
            model=MODEL if photo is not None else None,
            rules=RULES if photo is not None else None,
            deleted=photo is None,
            seen=seen,
            history=old.history if old else [],
            asked=event.threshold,
            own_cause=cause if "tags" in event.data else (old and old.own_cause),
            said=old.said if old else {},
            said_since=old.said_since if old else None,
            edits=old.edits if old else [],
        )
        if image.deleted or event.data.get("keep_edits") is False:
            image.said = {tag: said for tag, said in image.said.items() if said.at > event.at}
            image.said_since = max(event.at, image.said_since or 0)
        models = {"models": dict.fromkeys(event.add_ons, MODEL)} if photo is not None else {}
        note_change(event, old, image, {"rules": image.rules, **models})
        return image

    def _announce(
        self, event: Event, offset: int, old: Image | None, new: Image, photo: Photo | None
    ) -> None:
        tags = list(new.sources)
        if photo is not None:
            self.results.append(Result(offset, event.id, result_content(event, photo, tags)))
        added, removed = difference(old, new)
        if added or removed:
            self.updates.append(
                Update(offset, event.id, event.data.get("tenant", ""), event.public_id, added, removed, tags)
            )

    def _note_changes(self, key: ImageKey, old: Image | None, new: Image) -> None:
        """Note who and when each count has seen, and which counts came too late."""
        before = {place: (old.sources[place[2]], old.user) for place in old.places()} if old else {}
        for window, start, tag in new.places():
            trend = self.ever[key[0], window, start, tag]
            if not self.kept.window(window, start, self.stream_time):
                self.late += before.get((window, start, tag)) != (new.sources[tag], new.user)
            else:
                trend.see(new.at)
                trend.users |= {new.user} if new.user else set()

    def trends(self) -> dict[TrendKey, Trend]:
        """Count every tag in every bucket that is kept, over the images as they are now."""
        found: dict[TrendKey, Trend] = defaultdict(Trend)
        for (tenant, _), image in self.images.items():
            for window, start, tag in image.places():
                if self.kept.window(window, start, self.stream_time):
                    trend = found[tenant, window, start, tag]
                    trend.n += 1
                    trend.by.update(image.sources[tag])
                    trend.users |= {image.user} if image.user else set()
                    trend.see(image.at)
        return dict(found)

    def interests(self) -> dict[InterestKey, Counter[str]]:
        """Count every user's tags by day, over the images as they are now."""
        found: dict[InterestKey, Counter[str]] = defaultdict(Counter)
        for (tenant, _), image in self.images.items():
            day = image.at // DAY_MS
            if image.user and image.sources and self.kept.interest(day, self.stream_time):
                found[tenant, image.user, day].update(image.sources.keys())
        return dict(found)


def is_older(event: Event, image: Image) -> bool:
    """Whether the image is known in a newer state: by version where both have one, then by time."""
    version = event.data.get("version")
    if version is not None and image.version is not None and version != image.version:
        return bool(version < image.version)
    return event.at < image.at


def ranked(photo: Photo) -> list[list[Any]]:
    """Tags with their confidences, best first."""
    return [[tag, photo[tag]] for tag in sorted(photo, key=lambda tag: (-photo[tag], tag))]


def assigned(photo: Photo, event: Event) -> dict[str, list[str]]:
    """The tags that add-ons assign, each with those add-ons: all of them see the same here."""
    least = 1.0 if event.threshold is None else event.threshold
    return {tag: list(event.add_ons) for tag, confidence in ranked(photo) if confidence > least}


def note_change(event: Event, old: Image | None, new: Image, told: dict[str, Any]) -> None:
    """Put into an image's history what an event changed about its tags."""
    added, removed = difference(old, new)
    if added or removed:
        change = {"at": event.at, "cause": [*event.id, event.type], "added": added, "removed": removed}
        given = {source for tag in added for source in new.sources[tag]}
        if not given <= {next(iter(told.get("models", ["people"])))}:
            change["from"] = {
                source: [place for place, tag in enumerate(added) if source in new.sources[tag]]
                for source in given
            }
        new.history = [*new.history, change | told][-REMEMBERED_CHANGES:]


def difference(old: Image | None, new: Image) -> tuple[list[str], list[str]]:
    """The tags that came and those that went."""
    before = list(old.sources) if old else []
    added = [tag for tag in new.sources if tag not in before]
    return added, [tag for tag in before if tag not in new.sources]


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


def read(source: Source) -> Event:
    """Read an event in any of its three encodings."""
    if not source.value:
        raise BadEvent("empty_value")
    headers = dict(source.headers)
    if "content-type" in headers:
        envelope = orjson.loads(source.value)
        if not {"id", "source", "type"} <= envelope.keys():
            raise BadEvent("invalid_cloudevent")
        attributes, data = envelope, envelope["data"]
    elif "ce_id" in headers:
        if headers["ce_specversion"] != b"1.0":
            raise BadEvent("invalid_cloudevent")
        attributes = {name.removeprefix("ce_"): text.decode() for name, text in headers.items()}
        data = orjson.loads(source.value)
    else:
        attributes, data = {}, _plain(source.value)
    event = _event(source, attributes, {name: value for name, value in data.items() if value is not None})
    if any(name not in OFFERED for name in event.add_ons):
        raise BadEvent("unknown_add_on")
    return event


def _plain(value: bytes) -> dict[str, Any]:
    try:
        data: dict[str, Any] = orjson.loads(value)
    except ValueError:
        raise BadEvent("invalid_json") from None
    return data


def _event(source: Source, attributes: dict[str, str], data: dict[str, Any]) -> Event:
    kind = attributes.get("type") or data.get("type", "image.uploaded")
    if kind not in TYPES:
        raise BadEvent("unknown_type")
    if kind == "image.uploaded" and "url" not in data:
        raise BadEvent("invalid_event")
    added, removed = set(data.get("added", ())), set(data.get("removed", ()))
    if kind == EDITED and (added & removed or not added | removed):
        raise BadEvent("invalid_event")
    at = _milliseconds(data["uploaded_at"]) if "uploaded_at" in data else source.timestamp
    if at > source.timestamp + DAY_MS:
        raise BadEvent("invalid_event")
    return Event(
        id=_identity(source, attributes, data),
        type=kind,
        public_id=data.get("public_id") or source.key.decode(),
        at=at,
        data=data,
        add_ons=_add_ons(data.get("categorization", DEFAULT_ADD_ON)),
        threshold=_threshold(data.get("auto_tagging")),
    )


def _identity(source: Source, attributes: dict[str, str], data: dict[str, Any]) -> Id:
    if attributes:
        return attributes["source"], attributes["id"]
    place = f"{source.topic}/{source.partition}/{source.offset}"
    return f"kafka:{source.topic}", data.get("event_id", place)


def _add_ons(value: str | list[str]) -> tuple[str, ...]:
    return tuple(value.split(",") if isinstance(value, str) else value)


def _threshold(value: float | str | None) -> float | None:
    if value is not None and not 0 <= float(value) <= 1:
        raise BadEvent("invalid_auto_tagging")
    return None if value is None else float(value)


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round(moment.astimezone(UTC).timestamp() * 1000)


def look_at(url: str, photo_host: str) -> Photo:
    """The tags in a photo of a chaos test, as the stub tagger will find them.

    Raises:
        BadEvent: There is no such photo.
    """
    address, _, path = url.partition(",")
    if address.startswith("data:"):
        content = urllib.parse.unquote_to_bytes(path)
    elif "/photo/" in url:
        content = base64.urlsafe_b64decode(url.rpartition("/")[2].partition("?")[0])
    else:
        raise BadEvent("http_404" if url.startswith(photo_host) else "refused_address", "fetch")
    try:
        photo: Photo = orjson.loads(content)
    except ValueError:
        raise BadEvent("not_an_image", "decode") from None
    return photo


def result_identity(kind: str, cause: Id, add_ons: Iterable[str], model: str) -> str:
    """The id that a result must carry, however often it is made."""
    text = "\x1f".join((kind, *cause, ",".join(add_ons), model))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
