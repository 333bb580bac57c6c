"""Rises of tags computed offline, by plain arithmetic on `tag.counts`: what `image.trends` must say."""

import base64
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import datasketches
import orjson
from aiokafka import ConsumerRecord

HOUR, MINUTE = 3600, 60
FLOOR_USES, FLOOR_UPLOADERS, FLOOR_SCORE, END_SCORE, PEAKED = 5, 3, 16.0, 4.0, 0.8
Place = tuple[str, str]  # tenant and tag


@dataclass
class _Counts:
    """What records before some offsets say: by bucket, then tenant and tag, each partition's share."""

    shares: dict[tuple[str, int], dict[Place, dict[int, tuple[int, str | None]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    def take(self, record: ConsumerRecord) -> None:
        key = orjson.loads(record.key)
        if key["add_on"] != "*":
            return
        bucket, place = (key["window"], _seconds(key["start"])), (key["tenant"], key["tag"])
        if record.value is None:
            self.shares[bucket][place].pop(record.partition, None)
        else:
            value = orjson.loads(record.value)
            self.shares[bucket][place][record.partition] = (value["count"], value.get("uploaders"))

    def total(self, window: str, starts: Iterable[int], place: Place) -> int:
        return sum(
            count
            for start in starts
            for count, _ in self.shares.get((window, start), {}).get(place, {}).values()
        )

    def uploaders(self, starts: Iterable[int], place: Place) -> int:
        union = datasketches.hll_union(10)
        for start in starts:
            for _, sketch in self.shares.get(("minute", start), {}).get(place, {}).values():
                if sketch is not None:
                    union.update(datasketches.hll_sketch.deserialize(base64.b64decode(sketch)))
        return round(union.get_estimate())

    def first(self, tenant: str) -> int | None:
        """When the first image was, by the hour as long as its counts by hour are kept, else by the day."""
        days, hours = self._starts("day", tenant), self._starts("hour", tenant)
        if not days:
            return min(hours, default=None)
        return min((hour for hour in hours if hour < min(days) + 24 * HOUR), default=min(days))

    def _starts(self, window: str, tenant: str) -> list[int]:
        return [
            start
            for (length, start), places in self.shares.items()
            if length == window
            for (whose, _), shares in places.items()
            if whose == tenant and shares
        ]

    @property
    def tenants(self) -> set[str]:
        return {tenant for places in self.shares.values() for tenant, _ in places}

    def places(self, window: str, starts: Iterable[int]) -> set[Place]:
        return {place for start in starts for place in self.shares.get((window, start), ())}


def expected_trends(
    counts: Sequence[ConsumerRecord], progress: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What must have been told, in this order: by step, tenant and tag.

    Args:
        counts: All records of `tag.counts`.
        progress: The transactions of judging, one after the other, as the changelog of rises has them.
    """
    known, waiting, rises = (
        _Counts(),
        sorted(counts, key=lambda each: each.offset),
        dict[Place, dict[str, Any]](),
    )
    told: list[dict[str, Any]] = []
    for transaction in progress:
        before = {int(partition): offset for partition, offset in transaction["offsets"].items()}
        if not before:
            continue
        left = []
        for record in waiting:
            (known.take if record.offset < before[record.partition] else left.append)(record)
        waiting = left
        begins = {tenant: known.first(tenant) for tenant in known.tenants}
        for moment in range(transaction["first"], transaction["judged"] + 1, MINUTE):
            told += _step(known, rises, moment, begins)
    return told


def _step(
    known: _Counts, rises: dict[Place, dict[str, Any]], moment: int, begins: Mapping[str, int | None]
) -> Iterator[dict[str, Any]]:
    minutes = range(moment - HOUR, moment, MINUTE)
    end = (moment - HOUR) // HOUR * HOUR
    for place in sorted(known.places("minute", minutes) | rises.keys()):
        first = begins.get(place[0])
        start = min(max(end - 24 * HOUR, end if first is None else first), end)
        past = known.total("hour", range(start // HOUR * HOUR, end, HOUR), place)
        expected = round(past * (HOUR / (end - start) if end > start else 0.0) + 1, 4)
        observed = known.total("minute", minutes, place)
        score = (observed - expected) ** 2 / expected if observed > expected else 0.0
        uploaders = min(known.uploaders(minutes, place), observed)
        now = {"observed": observed, "expected": expected, "score": round(score, 4), "uploaders": uploaders}
        base = {"tenant": place[0], "tag": place[1]}
        rise = rises.get(place)
        if rise is None:
            known_enough = end - start >= HOUR
            if (
                known_enough
                and score >= FLOOR_SCORE
                and observed >= FLOOR_USES
                and not 0 < uploaders < FLOOR_UPLOADERS
            ):
                rises[place] = {"began": moment, "peak": now, "at": moment, "peaked": False}
                yield base | now | {"phase": "trend.began", "at": _text(moment), "told_at": _text(moment)}
            continue
        if not rise["peaked"] and observed > rise["peak"]["observed"]:
            rise |= {"peak": now, "at": moment}
        ended = round(score, 4) < END_SCORE
        if not rise["peaked"] and (ended or observed <= PEAKED * rise["peak"]["observed"]):
            rise["peaked"] = True
            times = {"at": _text(rise["at"]), "told_at": _text(moment)}
            yield base | rise["peak"] | {"phase": "trend.peaked"} | times
        if ended:
            del rises[place]
            yield base | now | {"phase": "trend.ended", "at": _text(moment), "told_at": _text(moment)}


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.lru_cache(maxsize=100_000)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
