"""The tables' rows, read from their changelogs by an independent client, against the oracle's."""

from collections import Counter, defaultdict
from typing import Any

import orjson
from support.cluster import Cluster
from support.judge.oracle import SLOW, Partition, Trend
from support.judge.oracle_images import MODEL, RULES, Image, ranked
from support.judge.recent import settled

from schemas.topics import TABLES
from streams.fold.rows import ImageKey, InterestKey, TrendKey
from streams.fold.trend_rows.uploaders import RELATIVE_STANDARD_ERROR, count_uploaders

_SIGMAS = 5
REMEMBERED_EVENTS = 1000
_INNER = {"told", "behind", "unversioned"}  # what the fold needs to have the state that it has
_ON_THE_WAY = {"o", "history"}  # how a state came about
Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]  # by table and key; "#" is the row's own changelog offset


class Findings:
    """Differences by kind, and how many things of each kind were compared."""

    def __init__(self) -> None:
        self.differences: dict[str, list[str]] = defaultdict(list)
        self.checked: Counter[str] = Counter()

    def check(self, kind: str, what: str, must: object, is_: object) -> None:
        """Compare two rows, or two values."""
        self.checked[kind] += 1
        if must == is_:
            return
        if isinstance(must, dict) and isinstance(is_, dict):
            self.differences[kind].append(f"{what}: {differing(must, is_)}")
        else:
            self.differences[kind].append(f"{what} is {is_!r:.500}, must be {must!r:.500}")


def differing(must: dict[str, Any], is_: dict[str, Any]) -> str:
    """In which fields two rows differ."""
    names = sorted(name for name in must.keys() | is_.keys() if must.get(name) != is_.get(name))
    return "; ".join(f"{name} is {is_.get(name)!r:.300}, must be {must.get(name)!r:.300}" for name in names)


async def read_tables(cluster: Cluster, partition: int) -> Rows:
    """The rows of a partition."""
    found: Rows = {table: {} for table in TABLES}
    for table, rows in found.items():
        encoded: dict[str, tuple[int, bytes]] = {}
        async for record in cluster.records(cluster.names.changelog(table), [partition]):
            key = record.key.decode()
            encoded.pop(key, None)
            if record.value is not None:
                encoded[key] = (record.offset, record.value)
        rows |= {key: orjson.loads(value) | {"#": offset} for key, (offset, value) in encoded.items()}
    found["trends"] = settled(found["trends"])
    return found


def compare_tables(
    partition: int, expected: Partition, rows: Rows, findings: Findings, *, swept: bool
) -> None:
    """Compare one partition's rows.

    Args:
        partition: Its number.
        expected: What the oracle says of it.
        rows: What its changelogs say.
        findings: Takes the differences.
        swept: Whether rows of expired buckets must be gone; otherwise they are left aside.
    """
    where = f"partition {partition}"
    must = {"next": expected.next, "mark": expected.stream_time, "at": expected.at}
    position = {name: rows["meta"]["@offset"].get(name, 0) for name in (*must, "late")}
    late, most = position.pop("late"), expected.late.most(expected.kept, expected.stream_time)
    findings.check("positions", where, must, position)
    if not expected.late.least <= late <= most:
        findings.check("late counts", where, f"{expected.late.least} to {most}", late)
    for table in ("images", "trends", "interests"):
        for key, row in rows[table].items():
            if row["o"] >= expected.next:
                findings.check("positions", f"{where}: {table} {key!r} ahead", f"< {expected.next}", row["o"])
    findings.check("waiting retries", where, [], list(rows["retries"]))
    _compare_images(where, expected, rows["images"], findings)
    _compare_trends(where, expected, _kept_trends(expected, rows["trends"], swept=swept), findings)
    _compare_interests(where, expected, _kept_interests(expected, rows["interests"], swept=swept), findings)


def _compare_images(where: str, expected: Partition, rows: dict[str, Row], findings: Findings) -> None:
    images = {ImageKey(*key).encode(): (key[0], image) for key, image in expected.images.items()}
    for key in images.keys() | rows.keys():
        must = _image_row(*images[key]) if key in images else None
        row = dict(rows[key]) if key in rows else None
        what = f"{where}, {key!r} at {row.pop('#') if row else 'no offset'}"
        if row is not None:
            row["ids"] = len(row["ids"])
            row.setdefault("placed", row["o"])
            if "ids" in row.get("people", {}):
                row["people"] = row["people"] | {"ids": len(row["people"]["ids"])}
            for name in _INNER & row.keys():
                del row[name]
        if ImageKey.decode(key).public_id.startswith(SLOW):
            must, row = (
                each and {name: each[name] for name in each.keys() - _ON_THE_WAY} for each in (must, row)
            )
        findings.check("images", what, must, row)


def _image_row(tenant: str, image: Image) -> Row:
    shown = image.shown
    photo, event = shown.photo, shown.event
    row = {
        "o": image.offset,
        "placed": shown.offset,
        "at": event.at,
        "version": image.version,
        "user": image.user,
        "tenant": tenant,
        "url": shown.url,
        "ids": min(image.looks, REMEMBERED_EVENTS),
        "cause": image.cause,
        "own": image.own,
        "tags": list(image.sources),
        "by": list(image.sources.values()),
        "scores": dict.fromkeys(event.add_ons, ranked(photo)) if photo is not None else {},
        "model": MODEL if photo is not None else None,
        "rules": RULES if photo is not None else None,
        "history": image.history,
    }
    people = _people(image)
    if not image.deleted:
        row["asked"] = event.threshold
    if image.own and image.own_cause != image.cause:
        row["own_from"] = image.own_cause
    return row | ({"deleted": True} if image.deleted else {}) | ({"people": people} if people else {})


def _people(image: Image) -> Row:
    """What an image's row has of what people said, as far as there is anything."""
    said = {tag: ["+" if said.wanted else "-", *said[1:4], *said.id] for tag, said in image.said.items()}
    unwanted = {} if image.deleted else image.unwanted
    hidden = {tag: names for tag, names in image.found.items() if tag in unwanted}
    given = {"tags": said, "ids": min(image.edits, REMEMBERED_EVENTS), "hidden": hidden}
    since = {} if image.said_since is None else dict(zip(("since", "since_o"), image.said_since, strict=True))
    return {name: content for name, content in given.items() if content} | since


def _kept_trends(expected: Partition, rows: dict[str, Row], *, swept: bool) -> dict[str, Row]:
    if swept:
        return rows
    decoded = {key: TrendKey.decode(key) for key in rows}
    return {
        key: rows[key]
        for key, place in decoded.items()
        if expected.kept.window(place.window, place.start, expected.stream_time)
    }


def _kept_interests(expected: Partition, rows: dict[str, Row], *, swept: bool) -> dict[str, Row]:
    if swept:
        return rows
    return {
        key: row
        for key, row in rows.items()
        if expected.kept.interest(InterestKey.decode(key).day, expected.stream_time)
    }


def _compare_trends(where: str, expected: Partition, rows: dict[str, Row], findings: Findings) -> None:
    trends = {
        TrendKey(*key).encode(): (trend, expected.ever[key]) for key, trend in expected.trends().items()
    }
    for key in trends.keys() | rows.keys():
        now = trends[key][0] if key in trends else None
        row = rows.get(key)
        what = f"{where}, {key!r} at {row['#'] if row else 'no offset'}"
        must = {"n": now.n, "by": dict(now.by)} if now else None
        is_ = {"n": row["n"], "by": row["by"]} if row else None
        findings.check("counts", what, must, is_)
        if key in trends and row is not None:
            _compare_extremes(what, *trends[key], row, findings)


def _compare_extremes(what: str, now: Trend, ever: Trend, row: Row, findings: Findings) -> None:
    """Compare what withdrawn images may have left behind: bounds are now and ever."""
    estimate = count_uploaders([row["u"]]) if "u" in row else 0
    margin = _SIGMAS * RELATIVE_STANDARD_ERROR * len(ever.users)
    if not len(now.users) - margin <= estimate <= len(ever.users) + margin:
        findings.check("uploaders", what, f"{len(now.users)} to {len(ever.users)}", estimate)
    findings.checked["uploaders"] += 1
    if "first" in row or "last" in row:
        first = ever.first <= row["first"] <= now.first
        last = now.last <= row["last"] <= ever.last
        bounds = f"first {ever.first} to {now.first}, last {now.last} to {ever.last}"
        if not first or not last:
            findings.check("first and last", what, bounds, (row["first"], row["last"]))
        findings.checked["first and last"] += 1


def _compare_interests(where: str, expected: Partition, rows: dict[str, Row], findings: Findings) -> None:
    interests = {InterestKey(*key).encode(): counts for key, counts in expected.interests().items()}
    for key in interests.keys() | rows.keys():
        row = rows.get(key)
        what = f"{where}, {key!r} at {row['#'] if row else 'no offset'}"
        must = dict(interests[key]) if key in interests else None
        findings.check("interests", what, must, row and row["t"])
