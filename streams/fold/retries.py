"""Events whose source was busy: kept as rows, tried again when they are due, given up in the end.

The row is written in the transaction that takes the event off the log, and removed in the one that holds
its outcome. So a retry is as exact as everything else, and no partition waits for a slow source.
"""

import base64
import hashlib
from dataclasses import dataclass

import orjson

from schemas.topics import TopicNames
from schemas.uploads import Record
from streams.fold.changes import Changes, PartitionRows, Row
from streams.fold.outcomes import Deferred, Done, Parked
from streams.fold.outputs import dead_letter_output
from streams.fold.rows import AWAITED, ImageKey

_MAX_ASKED = 3600.0  # seconds that a source may make us wait
_NO_ATTEMPTS = {"circuit_open", "memory_busy"}  # the source was not asked: the next wait is no longer
_SLOW = "slow"
_OURS = "internal_error"
_NOT_OF_THE_SOURCE = {
    _OURS,
    "memory_busy",
    "decoding_busy",
    "upload_waits",
    "unknown_image",
}  # last: of an edit
_MOST_FAULTS = 4  # of ours, before people decide; a fault that passes has passed by then


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter, inside a budget. All in seconds.

    Attributes:
        first: About how long the first wait is; each next one is twice as long.
        longest: No wait is longer, unless the source asks for it.
        budget: How long an event waits, all waits together, before it is given up. Not from clock to clock:
            one that jumps must not end the patience.
        budget_over_limit: The same while more would wait than may. An event that does not wait yet is given
            up then.
    """

    first: float = 1.0
    longest: float = 60.0
    budget: float = 86_400.0
    budget_over_limit: float = 900.0

    def wait(self, offset: int, attempt: int) -> float:
        """Seconds to wait after so many failures: half of it fixed, half by chance.

        The chance is drawn from offset and attempt, so that a replay decides alike.
        """
        whole = min(self.first * 2.0 ** min(attempt - 1, 32), self.longest)
        digest = hashlib.sha256(f"{offset}/{attempt}".encode()).digest()
        return whole * (0.5 + digest[0] / 512)

    def gives_up(self, row: Row, *, over_limit: bool) -> bool:
        """Whether an event has waited for long enough."""
        if row["faults"] >= _MOST_FAULTS or (over_limit and not row["waited"]):
            return True
        budget = min(self.budget, self.budget_over_limit) if over_limit else self.budget
        return bool(row["waited"] > budget * 1000)


def defer(changes: Changes, done: Done, deferred: Deferred, policy: RetryPolicy, names: TopicNames) -> None:
    """Keep an event for later, or give it up when its budget is spent."""
    record, reason = done.record, deferred.fault.reason
    key = str(record.offset)
    kept = changes.get("retries", key)
    row = {"waited": 0, "faults": 0} | (kept or _row_of(record, deferred, reason))
    row["faults"] += reason == _OURS
    over_limit = done.over_hard_limit or (done.over_limit and reason not in _NOT_OF_THE_SOURCE)
    if policy.gives_up(row, over_limit=over_limit):
        end_retry(changes, record)
        changes.emit(dead_letter_output(record, deferred.fault, names))
        return
    if kept is None:
        _note_awaited(changes, row, 1)
    attempt = row["attempt"] + (reason not in _NO_ATTEMPTS)
    wait = max(policy.wait(record.offset, attempt), min(deferred.retry_after or 0, _MAX_ASKED))
    wait_ms = int(wait * 1000)
    again = {"due": deferred.at + wait_ms, "wait": wait_ms, "waited": row["waited"] + wait_ms}
    changes.put("retries", key, row | again | {"attempt": attempt, "reason": reason})


def park(changes: Changes, record: Record, parked: Parked) -> None:
    """Keep an event that is still in work, so that it is not lost if this process ends before it is done."""
    row = _row_of(record, parked, _SLOW)
    _note_awaited(changes, row, 1)
    changes.put("retries", str(record.offset), row)


def end_retry(changes: Changes, record: Record) -> None:
    """Let go of an event that has its outcome, if it was kept for later."""
    row = changes.get("retries", str(record.offset))
    if row is not None:
        changes.put("retries", str(record.offset), None)
        _note_awaited(changes, row, -1)


def drop_retry(changes: Changes, key: str) -> None:
    """Let go of an event that waits, by the key of its row: it is not wanted any more."""
    row = changes.get("retries", key)
    if row is not None:
        changes.put("retries", key, None)
        _note_awaited(changes, row, -1)


def is_awaited(changes: Changes, image: str) -> bool:
    """Whether an upload of an image, by the key of its row, is kept for later."""
    return changes.get("meta", AWAITED + image) is not None


def waits_before(rows: PartitionRows, image: str, offset: int) -> bool:
    """Whether an upload of an image that came before an offset is kept for later."""
    if AWAITED + image not in rows["meta"]:
        return False
    told = orjson.dumps(image)  # few rows hold these bytes; to unpack all of them would take a second
    return any(
        int(key) < offset and told in row and orjson.loads(row).get("image") == image
        for key, row in rows["retries"].items()
    )


def _note_awaited(changes: Changes, row: Row, difference: int) -> None:
    if row.get("image") is None:
        return
    key = AWAITED + row["image"]
    count = (changes.get("meta", key) or {"n": 0})["n"] + difference
    changes.put("meta", key, {"n": count} if count else None)


def _row_of(record: Record, waiting: Deferred | Parked, reason: str) -> Row:
    upload = waiting.upload
    image = None if upload is None else ImageKey.of(upload).encode()
    return {
        "o": record.offset,
        "due": waiting.at,
        "wait": 0,
        "attempt": 0,
        "since": waiting.at,
        "reason": reason,
        "image": image,
        "topic": record.topic,
        "ts": record.timestamp,
        "key": _encode(record.key),
        "value": _encode(record.value),
        "headers": [[name, _encode(content)] for name, content in record.headers],
    }


def record_of(encoded: bytes, partition: int) -> Record:
    """The record that a row was made of."""
    row = orjson.loads(encoded)
    return Record(
        topic=row["topic"],
        partition=partition,
        offset=row["o"],
        timestamp=row["ts"],
        key=_decode(row["key"]),
        value=_decode(row["value"]),
        headers=[(name, _decode(content)) for name, content in row["headers"]],
    )


def _encode(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
