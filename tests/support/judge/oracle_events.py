"""Upload events as the oracle reads them, from the contract alone."""

import base64
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from aiokafka.partitioner import murmur2

HOUR_MS = 3_600_000
OFFERED = ("tagstream", "imagga_tagging")
DEFAULT_ADD_ON = "imagga_tagging"
UPLOADED, UPDATED, DELETED = "image.uploaded", "image.update", "image.deleted"
EDITED, RETAGGED = "image.tags-edited", "image.retag"
TYPES = (UPLOADED, UPDATED, DELETED, EDITED, RETAGGED)
REPLAY_OF, REPLAY_TIME = "tagstream.replay-of", "tagstream.replay-time"
Photo = dict[str, float]
Id = tuple[str, str]


class Source(NamedTuple):
    """A record of the upload topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> str:
        """Where it lies."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def told_origin(self) -> str | None:
        """Where it lay first, if it was forwarded."""
        found = dict(self.headers).get(REPLAY_OF)
        return None if found is None else found.decode()

    @property
    def published_at(self) -> int:
        """When it was published first, in milliseconds."""
        return int(dict(self.headers).get(REPLAY_TIME, self.timestamp))


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


def owner_of(public_id: str, partitions: int) -> int:
    """The partition of an image, as Kafka's client for Java has it for its public id as a key."""
    return int(murmur2(public_id.encode()) & 0x7FFFFFFF) % partitions


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
    return _event(source, attributes, {name: value for name, value in data.items() if value is not None})


def check_add_ons(event: Event) -> None:
    """Refuse an add-on that nobody offers."""
    if any(name not in OFFERED for name in event.add_ons):
        raise BadEvent("unknown_add_on")


def _plain(value: bytes) -> dict[str, Any]:
    try:
        data: dict[str, Any] = orjson.loads(value)
    except ValueError:
        raise BadEvent("invalid_json") from None
    return data


def _event(source: Source, attributes: Mapping[str, str], data: dict[str, Any]) -> Event:
    kind = attributes.get("type") or data.get("type", UPLOADED)
    if kind not in TYPES:
        raise BadEvent("unknown_type")
    if kind == UPLOADED and "url" not in data:
        raise BadEvent("invalid_event")
    added, removed = set(data.get("added", ())), set(data.get("removed", ()))
    if kind == EDITED and (added & removed or not added | removed):
        raise BadEvent("invalid_event")
    at = _milliseconds(data["uploaded_at"]) if "uploaded_at" in data else source.published_at
    if at > source.timestamp + HOUR_MS:
        raise BadEvent("invalid_event")
    return Event(
        id=_identity(source, attributes, data),
        type=kind,
        public_id=data.get("public_id") or (source.key or b"").decode(),
        at=at,
        data=data,
        add_ons=_add_ons(data.get("categorization", DEFAULT_ADD_ON)),
        threshold=_threshold(data.get("auto_tagging")),
    )


def _identity(source: Source, attributes: Mapping[str, str], data: Mapping[str, Any]) -> Id:
    if attributes:
        return attributes["source"], attributes["id"]
    return f"kafka:{source.topic}", data.get("event_id", source.told_origin or source.place)


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
