"""Rows of the tables: their keys and what is in them. Keys are strings, values JSON.

`images`, by image: {"o": source offset, "placed": that of the upload or deletion that counts,
    "at": event time in ms, "version": the highest of any event, a text where that is a
    sequencer, "user", "tenant", "url",
    "unversioned": true where the state is that of an event without a version, although others had one,
    "behind": the state that may come back, see `streams.fold.precedence.standing`,
    "told": what of "user" and "own" is inherited, see `streams.fold.precedence.tellings`,
    "ids": {key of an event: second in which it was folded}, see `streams.fold.precedence.repeats`,
    "cause": [source, id, type] of the last upload, deletion or re-tag,
    "own": tags that came with the image, "own_from": the event that told them, if that is not the cause,
    "tags": all its tags, "by": per tag the add-ons (or "own", "people") that it is from,
    "scores": {add-on: [[tag, confidence], …]}, "model": [name, version] of the first add-on,
    "models": {add-on: [name, version]} where another one was at work, "rules": their hash,
    "raw": {add-on: what its tagger said before the rules}, where they made something else of it,
    "failed": {add-on: why it failed at the last look}, where one did; what it said before holds still,
    "asked": threshold that the event named, or null,
    "phash": the perceptual hash of its bytes, where it was looked at and has one,
    "thumb": the digest of its bytes that its small picture lies under, where one was made,
    "embedding": what its bytes show in 32 bytes, see `model.embedding.codes`, where the classifier saw them,
    "words": {add-on: [[word, confidence], …]} of those that read, where one found any,
    "history": the last changes, each {"at", "cause", "rules", "added", "removed",
        "models": {add-on: [name, version]} of those that looked, "from": see `streams.fold.history`},
    "asset": what is known of its bytes, where an event told: see `schemas.assets`,
    "deleted": true if it is, "people": what people said of its tags, see `streams.fold.people`}
`trends`, by window, bucket and tag: {"o", "n": images that have the tag, "by": {add-on: images},
    "u": sketch of the uploaders, base64, absent if none is known; all-time rows also have
    "first" and "last": earliest and latest event time ever counted, in ms}; with
    "recent" for a window and 0 for its start: {"o", "n": images more than its buckets have, "uses": [[minute
    since the epoch, bits of the windows besides all time, [add-on, …], images, first and last ms of that
    minute, coupons of the uploaders, base64], …]}, see `streams.fold.trend_rows.recent`
`interests`, by user and day of the event time: {"o", "t": {tag: images}}
`retries`, by source offset: an event whose source was busy: {"o", "due": ms, "attempt": failures so far,
    "since": ms of the first one, "wait": ms of the wait under way, "waited": of all of them, "reason",
    "image": key of the image that is uploaded, or null, and the record: "topic", "ts", "key", "value",
    "headers", bytes as base64}
`meta`: "@offset": {"next": first offset that is not folded in, "above": what is from there on, if anything
    (see `schemas.topics.Progress`), "mark": latest Kafka timestamp seen,
    "at": latest event time seen, "late": counts that came after their bucket's retention,
    "skipped": records that were deleted before they were read};
    "@id": {"id": of this incarnation of the state}, "@uploads": {"id": Kafka's of the upload topic};
    "@tenant:" with a tenant's name: {"images", "tags": different ones, "day", "bytes": of its events on that
    day}, "tenants" in "@offset" how many such rows there are;
    "@awaited:" with an image's key: {"n": uploads of it among the retries}

A bucket starts at a multiple of its window's length in UTC; its start is in seconds since the epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from schemas.uploads import Upload

AWAITED = "@awaited:"
ALL = "all"
WINDOW_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
WINDOWS = (ALL, *WINDOW_SECONDS)
DAY_MS = 86_400_000
_TENANT = "\x1f"  # no name has a control character: `schemas.names`


class State(Protocol):
    """Where rows are: see `streams.state.partition.PartitionState`."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The encoded rows by table and key."""


class TrendKey(NamedTuple):
    """Whose count it is: window is minute, hour, day or all; `start` of all is 0."""

    tenant: str
    window: str
    start: int
    tag: str

    def encode(self) -> str:
        """The row's key."""
        return _with_tenant(f"{self.window}:{self.start}:{self.tag}", self.tenant)

    @classmethod
    def decode(cls, key: str) -> "TrendKey":
        """Read a row's key."""
        rest, _, tenant = key.partition(_TENANT)
        window, start, tag = rest.split(":", 2)
        return cls(tenant, window, int(start), tag)


class ImageKey(NamedTuple):
    """An image is known by its public id within its tenant."""

    tenant: str
    public_id: str

    @classmethod
    def of(cls, upload: Upload) -> "ImageKey":
        """The key of the image that an event is about."""
        return cls(upload.data.tenant or "", upload.public_id)

    def encode(self) -> str:
        """The row's key."""
        return _with_tenant(self.public_id, self.tenant)

    @classmethod
    def decode(cls, key: str) -> "ImageKey":
        """Read a row's key."""
        public_id, _, tenant = key.partition(_TENANT)
        return cls(tenant, public_id)


class InterestKey(NamedTuple):
    """A user's tags on one day; `day` counts from the epoch."""

    tenant: str
    user: str
    day: int

    def encode(self) -> str:
        """The row's key."""
        return _with_tenant(f"{self.day}:{self.user}", self.tenant)

    @classmethod
    def decode(cls, key: str) -> "InterestKey":
        """Read a row's key."""
        rest, _, tenant = key.partition(_TENANT)
        day, _, user = rest.partition(":")
        return cls(tenant, user, int(day))


def bucket_start(window: str, at: int) -> int:
    """Start in seconds of the bucket that a moment (milliseconds) falls into."""
    if window == ALL:
        return 0
    length = WINDOW_SECONDS[window]
    return at // 1000 // length * length


def split_tenants(keys: Sequence[str]) -> Iterator[tuple[str, Sequence[int], Sequence[str]]]:
    """Each tenant with the places of its keys, and these keys as if they had no tenant."""
    if _TENANT not in "".join(keys):
        yield "", range(len(keys)), keys
        return
    found: dict[str, tuple[list[int], list[str]]] = {}
    for place, key in enumerate(keys):
        rest, _, tenant = key.partition(_TENANT)
        places, names = found.setdefault(tenant, ([], []))
        places.append(place)
        names.append(rest)
    for tenant, (places, names) in found.items():
        yield tenant, places, names


def _with_tenant(key: str, tenant: str) -> str:
    return f"{key}{_TENANT}{tenant}" if tenant else key
