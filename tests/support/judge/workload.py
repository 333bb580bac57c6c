"""Events for chaos tests, from a seed: new images, re-tags, edits, deletes, repeats, late and bad ones.

The stub tagger reads tags out of an image's bytes, so every event names the tags that it must lead to.
Kafka timestamps and event times run through the last days, so that buckets expire on the way. Publishers are
of several kinds: each has its own partitioner, or no key at all.
"""

import base64
import functools
import random
import urllib.parse
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from support.judge.oracle import SLOW
from support.judge.oracle_events import owner_of

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SPAN_MS = 23 * HOUR_MS  # with `oracle.KEPT_MINUTES` the minutes of the first half expire on the way
IMAGES = 40_000  # at most, however long a run: what workers and the oracle keep of it stays bounded
TAGS = [f"tag{number}" for number in range(60)] + ["koala", "grüne wiese", "a:b", "tag, with comma"]
ADD_ONS = (None, "imagga_tagging", "tagstream", ["tagstream", "imagga_tagging"], "imagga_tagging,tagstream")
REPEATED_WITHIN = 30  # events of an image, far more than lie between most repeats
PUBLISHERS = ("java", "librdkafka", "sarama", "no key", "other key")
_OF_PUBLISHERS = (70, 10, 8, 6, 6)
Headers = list[tuple[str, bytes]]


class Message(NamedTuple):
    """A record to be published."""

    key: bytes | None
    value: bytes
    headers: Headers
    timestamp: int
    partition: int = 0


_SlowMaker = Callable[[int, int], Message]


@dataclass
class _Past:
    """What was published about an image."""

    version: int | None = None
    events: deque[Message] = field(default_factory=lambda: deque(maxlen=REPEATED_WITHIN))


class Workload:
    """So many messages, always the same ones for a seed.

    Args:
        seed: Of the dice.
        size: Number of messages.
        photo_host: Scheme, host and port of a server that answers as `photo_path` promises.
        busy_hosts: Likewise, of servers that answer each request for a new path with 503 at first.
        end: Kafka timestamp of the last message, in milliseconds.
        partitions: Of the topic.
    """

    def __init__(  # noqa: PLR0917 - what a workload is made of
        self,
        seed: int,
        size: int,
        photo_host: str,
        end: int,
        busy_hosts: Sequence[str],
        partitions: int = 1,
    ) -> None:
        self._dice = random.Random(seed)
        self._size = size
        self._photo_host = photo_host
        self._busy_hosts = busy_hosts
        self._end = end
        self._pasts: dict[bytes, _Past] = {}
        self._partitions = partitions
        self._waiting: list[list[_SlowMaker]] = []  # of each slow image what may still come of it
        self._kinds = {
            self._upload: 40,
            self._repeat: 14,
            self._update: 9,
            self._delete: 7,
            self._late: 6,
            self._ancient: 3,
            self._conflict: 6,
            self._bad: 7,
            self._slow: 20,
            self._slow_again: 22,
            self._edit: 12,
            self._retag: 5,
        }

    def __iter__(self) -> Iterator[Message]:
        makers, weights = list(self._kinds), list(self._kinds.values())
        images = min(self._size // 4, IMAGES)
        for number in range(self._size):
            now = self._end - SPAN_MS + SPAN_MS * (number + 1) // self._size
            key = f"image-{min(int(self._dice.expovariate(2 / images)), images)}".encode()
            (make,) = self._dice.choices(makers, weights)
            yield self._published(make(number, key, now))

    def _upload(self, number: int, key: bytes, now: int) -> Message:
        return self._event(number, key, now, at=now - self._dice.choice((0, 1, 1, 2, 60)) * 60_000)

    def _late(self, number: int, key: bytes, now: int) -> Message:
        return self._event(number, key, now, at=now - self._dice.randint(4, 30) * HOUR_MS)

    def _ancient(self, number: int, key: bytes, now: int) -> Message:
        """An event that some of its buckets, or all, are too late for."""
        return self._event(number, key, now, at=now - self._dice.choice((2, 33, 370, 900)) * DAY_MS)

    def _conflict(self, number: int, key: bytes, now: int) -> Message:
        """A version that is higher, equal or lower, independent of the event time."""
        version = max((self._past(key).version or 3) + self._dice.randint(-2, 2), 0)
        return self._event(
            number, key, now, at=now - self._dice.randint(-2, 5) * HOUR_MS // 2, version=version
        )

    def _delete(self, number: int, key: bytes, now: int) -> Message:
        return self._event(number, key, now, at=now, type="image.deleted", url=None)

    def _update(self, number: int, key: bytes, now: int) -> Message:
        """An update without a URL: the last known one counts, and without one it is a dead letter."""
        return self._event(number, key, now, at=now, type="image.update", url=None)

    def _repeat(self, number: int, key: bytes, now: int) -> Message:
        # An update without a URL is not repeated: whether its URL is still known may have changed.
        events = [event for event in self._past(key).events if not _is_update(event)]
        if not events:
            return self._upload(number, key, now)
        return self._dice.choice(events)._replace(timestamp=now)

    def _slow(self, number: int, _key: bytes, now: int) -> Message:
        """An upload that is worked on later: its worker may be killed while it waits for the source.

        Another upload may follow, or an update of the same bytes, and a person's edit.
        """
        key, dice = f"{SLOW}{number}".encode(), self._dice
        more = self._slow_upload if dice.random() < 0.6 else self._slow_update
        self._waiting.append([functools.partial(make, key) for make in (more, self._slow_edit)])
        return self._slow_upload(key, number, now)

    def _slow_again(self, number: int, key: bytes, now: int) -> Message:
        """What follows to a slow image's first upload, soon or late, in any order."""
        if not self._waiting:
            return self._upload(number, key, now)
        place = -1 - min(int(self._dice.expovariate(0.5)), len(self._waiting) - 1)
        makers = self._waiting[place]
        make = makers.pop(self._dice.randrange(len(makers)))
        if not makers:
            del self._waiting[place]
        return make(number, now)

    def _slow_upload(self, key: bytes, number: int, now: int) -> Message:
        dice = self._dice
        host = (
            f"{self._photo_host}%s" if dice.random() < 0.8 else f"{dice.choice(self._busy_hosts)}%s?{number}"
        )
        version = dice.choice((None, None, 1, 2, 3))
        at = now - dice.choice((0, 0, 1, 10, 30, -10, -30)) * 60_000
        url = host % photo_path(self._photo())
        return self._event(number, key, now, at=at, url=url, tenant=None, version=version)

    def _slow_update(self, key: bytes, number: int, now: int) -> Message:
        return self._event(number, key, now, at=now, type="image.update", url=None, tenant=None)

    def _slow_edit(self, key: bytes, number: int, now: int) -> Message:
        return self._edit(number, key, now, tenant=None)

    def _edit(self, number: int, key: bytes, now: int, **given: Any) -> Message:  # noqa: ANN401
        """A person's edit, now or as it comes late; it may contradict another one, or the tagger."""
        dice = self._dice
        tags = dice.sample(TAGS[:12] if dice.random() < 0.8 else TAGS, dice.randint(1, 4))
        added = dice.randint(0, len(tags))
        edit = {"added": tags[:added] or None, "removed": tags[added:] or None}
        edit["by"] = f"editor-{dice.randint(0, 3)}" if dice.random() < 0.8 else None
        at = now - dice.choice((0, 0, 1, 60, 600)) * 60_000
        kind = {"type": "image.tags-edited", "url": None, "at": at}
        return self._event(number, key, now, **(kind | edit | given))

    def _retag(self, number: int, key: bytes, now: int) -> Message:
        """A re-tag that finds what is known already; it leaves time, owner and people's words alone."""
        mode = self._dice.choice(("rules", "model", None))
        return self._event(number, key, now, at=now, type="image.retag", url=None, retag=mode)

    def _event(self, number: int, key: bytes, now: int, *, at: int, **given: Any) -> Message:  # noqa: ANN401
        dice = self._dice
        data: dict[str, Any] = {
            "public_id": key.decode(),
            "url": self._url(),
            "uploaded_at": datetime.fromtimestamp(at / 1000, UTC).isoformat(),
            "auto_tagging": dice.choice((0.3, 0.5, "0.5", 0.9, None)),
            "categorization": dice.choice(ADD_ONS),
            "user_id": f"user-{int(dice.expovariate(0.05))}" if dice.random() < 0.8 else None,
            "tenant": "acme" if dice.random() < 0.15 else None,
            "tags": dice.sample(TAGS, dice.randint(0, 2)) if dice.random() < 0.2 else None,
            "version": self._next_version(key) if dice.random() < 0.2 else None,
            "keep_edits": False if dice.random() < 0.04 else None,
            **given,
        }
        if at == now and dice.random() < 0.3:
            del data["uploaded_at"]  # then the Kafka timestamp is the event time
        data = {name: value for name, value in data.items() if value is not None}
        past = self._past(key)
        past.version = data.get("version", past.version)
        message = self._enveloped(f"event-{number}", data)
        message = Message(key, *message, now)
        if "uploaded_at" in data and not key.startswith(
            SLOW.encode()
        ):  # the repeat of another one would have another event time
            past.events.append(message)
        return message

    def _enveloped(self, event_id: str, data: dict[str, Any]) -> tuple[bytes, Headers]:
        """The value and the headers in one of the three encodings."""
        encoding = self._dice.random()
        if encoding < 0.7:
            named = encoding < 0.65 or data["public_id"].startswith(SLOW)
            if not named:
                data.pop("uploaded_at", None)
            return orjson.dumps(data | ({"event_id": event_id} if named else {})), [
                ("trace", event_id.encode())
            ]
        kind = data.pop("type", "image.uploaded")
        if encoding < 0.85:
            envelope = {"specversion": "1.0", "id": event_id, "source": "/chaos", "type": kind, "data": data}
            return orjson.dumps(envelope), [("content-type", b"application/cloudevents+json")]
        attributes = {"specversion": "1.0", "id": event_id, "source": "/chaos", "type": kind}
        return orjson.dumps(data), [(f"ce_{name}", text.encode()) for name, text in attributes.items()]

    def _bad(self, number: int, _key: bytes, now: int) -> Message:
        key = f"bad-{number}".encode()
        good = {"public_id": key.decode(), "url": "data:,%7B%7D", "event_id": f"event-{number}"}
        values: list[tuple[bytes, Headers]] = [
            (b"{not json", []),
            (b"", []),
            (orjson.dumps({**good, "url": None}), [("trace", b"bad")]),
            (orjson.dumps({**good, "categorization": "no_such"}), []),
            (orjson.dumps({**good, "auto_tagging": 1.5}), []),
            (orjson.dumps({**good, "type": "image.painted"}), []),
            (orjson.dumps({**good, "type": "image.tags-edited"}), []),
            (orjson.dumps({**good, "type": "image.tags-edited", "added": ["x"], "removed": ["x"]}), []),
            (orjson.dumps({**good, "url": "data:text/plain,hello"}), []),
            (orjson.dumps({**good, "url": f"{self._photo_host}/none"}), []),
            (orjson.dumps({**good, "url": f"{self._photo_host}{photo_path(self._dice.randbytes(999))}"}), []),
            (orjson.dumps({**good, "url": "http://127.0.0.1:1/refused"}), []),
            (orjson.dumps({**good, "url": "http://169.254.169.254/latest/meta-data"}), []),
            (orjson.dumps({**good, "uploaded_at": "2999-12-31T23:59:59Z"}), []),
            (b"\xff" + self._dice.randbytes(99), []),
            (b"{}", [("ce_specversion", b"0.3"), ("ce_id", b"1")]),
            (b'{"specversion":"1.0","data":{}}', [("content-type", b"application/cloudevents+json")]),
        ]
        return Message(key, *self._dice.choice(values), now)

    def _published(self, message: Message) -> Message:
        """The record as one of several publishers sends it."""
        key, dice = message.key or b"", self._dice
        (publisher,) = dice.choices(PUBLISHERS, _OF_PUBLISHERS)
        if publisher == "java":
            return message._replace(partition=owner_of(key.decode(), self._partitions))
        if publisher == "librdkafka":
            return message._replace(partition=zlib.crc32(key) % self._partitions)
        if publisher == "sarama":
            return message._replace(partition=_fnv1a(key) % self._partitions)
        partition = dice.randrange(self._partitions)
        return message._replace(key=None if publisher == "no key" else b"the-user", partition=partition)

    def _next_version(self, key: bytes) -> int:
        return (self._past(key).version or 0) + 1

    def _past(self, key: bytes) -> _Past:
        return self._pasts.setdefault(key, _Past())

    def _url(self) -> str:
        return f"data:application/json,{urllib.parse.quote(self._photo())}"

    def _photo(self) -> bytes:
        chosen = {TAGS[min(int(self._dice.expovariate(0.08)), len(TAGS) - 1)] for _ in range(5)}
        return orjson.dumps({tag: self._dice.randint(1, 100) / 100 for tag in sorted(chosen)})


def _is_update(message: Message) -> bool:
    return b"image.update" in message.value or ("ce_type", b"image.update") in message.headers


def _fnv1a(key: bytes) -> int:
    found = 0x811C9DC5
    for byte in key:
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    return found


def photo_path(photo: bytes) -> str:
    """The path under which a server must answer with these bytes."""
    return f"/photo/{base64.urlsafe_b64encode(photo).decode()}"


def photo_at(path: str) -> bytes | None:
    """The bytes behind a path, or None where it is not there."""
    return base64.urlsafe_b64decode(path.removeprefix("/photo/")) if path.startswith("/photo/") else None
