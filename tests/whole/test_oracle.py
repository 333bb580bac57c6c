"""The judge is judged: by hand-made cases, by the code that it judges, and by faults that it must find."""

from collections import Counter
from datetime import UTC, datetime
from functools import partial

import orjson
import pytest
from support.fakes import NAMES
from support.judge.audit_tables import Findings, Rows, compare_tables
from support.judge.oracle import KEPT_MINUTES, Partition
from support.judge.oracle_events import BadEvent, Source, look_at
from support.judge.oracle_images import DAY_MS
from support.judge.workload import Workload

from schemas.results import ModelInfo
from schemas.uploads import Record
from streams.fetch.errors import SourceGoneError
from streams.fetch.fetcher import Fetched
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy
from streams.fold.rows import ImageKey
from streams.state.partition import PartitionState
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.order import Turn

HOST = "http://photos.test:80"
BUSY_HOST = "http://busy.test:80"
NOW = 1_790_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
LOOK = partial(look_at, photo_host=HOST)


def event(partition: Partition, event_id: str, at: int = NOW, timestamp: int = NOW, **given: object) -> None:
    """Apply an event of image `i`."""
    photo = orjson.dumps(given.pop("photo", {"koala": 0.9})).decode()
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat()
    data = {"url": f"data:,{photo}", "auto_tagging": 0.5, "event_id": event_id, "uploaded_at": moment}
    partition.apply(Source("t", 0, partition.next, timestamp, b"i", orjson.dumps(data | given), ()))


def counts(partition: Partition, window: str = "all") -> dict[str, int]:
    return {key[3]: trend.n for key, trend in partition.trends().items() if key[1] == window}


def test_an_image_counts_once_in_each_window() -> None:
    """A tag strictly above the threshold counts in minute, hour, day and all; one at it does not."""
    partition = Partition(LOOK)
    event(partition, "a", photo={"koala": 0.9, "tree": 0.5})
    for window in ("minute", "hour", "day", "all"):
        assert counts(partition, window) == {"koala": 1}


def test_the_last_state_counts() -> None:
    """A re-tag replaces, a delete withdraws, an older event and a repeat change nothing."""
    partition = Partition(LOOK)
    event(partition, "a")
    event(partition, "b", at=NOW + 1000, photo={"sky": 0.8})
    event(partition, "late", at=NOW - 1000, photo={"sea": 0.8})
    event(partition, "b", at=NOW + 1000, photo={"sky": 0.8})
    assert counts(partition) == {"sky": 1}
    assert [result.cause[1] for result in partition.results] == ["a", "b", "late"]
    assert [(update.added, update.removed) for update in partition.updates] == [
        (["koala"], []),
        (["sky"], ["koala"]),
    ]
    event(partition, "c", at=NOW + 2000, type="image.deleted")
    assert counts(partition) == {}
    assert partition.updates[-1].removed == ["sky"]


def test_a_higher_version_wins_over_a_later_time() -> None:
    """Versions order events where both have one."""
    partition = Partition(LOOK)
    event(partition, "a", version=2)
    event(partition, "b", version=1, at=NOW + 1000, photo={"sky": 0.8})
    assert counts(partition) == {"koala": 1}
    event(partition, "c", version=3, at=NOW - 1000, photo={"sea": 0.8})
    assert counts(partition) == {"sea": 1}


def test_expired_buckets_do_not_count() -> None:
    """What the partition's clock has left behind is gone; what arrives for it is late, the total stays."""
    partition = Partition(LOOK)
    event(partition, "a")
    event(partition, "b", at=NOW - 2 * DAY_MS, timestamp=NOW + 2 * DAY_MS, public_id="other")
    assert counts(partition, "minute") == {}
    assert counts(partition, "hour") == counts(partition, "day") == counts(partition) | {"koala": 1}
    assert partition.late.least == 1


def test_bad_events_become_dead_letters_with_their_reason() -> None:
    """Each kind of bad event that a workload has is told apart."""
    partition = Partition(LOOK)
    event(partition, "a", type="image.painted")
    event(partition, "b", url=None)
    event(partition, "c", url=f"{HOST}/none")
    event(partition, "d", url=None, type="image.update")
    assert [letter.reason for letter in partition.letters] == [
        "unknown_type",
        "invalid_event",
        "http_404",
        "unknown_image",
    ]


def run(size: int = 3000) -> tuple[list[Source], Partition]:
    """A workload as one partition's log, and what must come of it."""
    log = [
        Source("t", 0, offset, message.timestamp, message.key, message.value, tuple(message.headers))
        for offset, message in enumerate(Workload(3, size, HOST, NOW, [BUSY_HOST]))
    ]
    partition = Partition(LOOK)
    for source in log:
        partition.apply(source)
    return log, partition


def test_a_workload_has_everything_that_may_go_wrong() -> None:
    """The chaos tests are worth their time: each reason, repeats, deletes, tenants, late counts are in it."""
    log, partition = run()
    assert {letter.reason for letter in partition.letters} == {
        "invalid_json",
        "empty_value",
        "invalid_event",
        "unknown_add_on",
        "invalid_auto_tagging",
        "unknown_type",
        "not_an_image",
        "http_404",
        "refused_address",
        "invalid_cloudevent",
        "unknown_image",
    }
    images = partition.images.values()
    assert any(image.deleted for image in images)
    assert any(image.shown.url for image in images)
    assert any(len(image.history) > 2 for image in images)
    assert {tenant for tenant, _ in partition.images} == {"", "acme"}
    assert partition.late.least > 10
    ids = Counter(source.value for source in log)
    assert sum(number > 1 and b"event" in value for value, number in ids.items()) > 100


def test_a_workload_is_the_same_for_the_same_seed() -> None:
    """A fault can be looked for again."""
    assert list(Workload(1, 300, HOST, NOW, [BUSY_HOST])) == list(Workload(1, 300, HOST, NOW, [BUSY_HOST]))
    assert list(Workload(1, 300, HOST, NOW, [BUSY_HOST])) != list(Workload(2, 300, HOST, NOW, [BUSY_HOST]))


class Photos:
    """The fetcher's part in a chaos test, without a network."""

    async def fetch(self, url: str, _tenant: str, /) -> Fetched:
        try:
            return Fetched(orjson.dumps(LOOK(url)), 0.0)
        except BadEvent as bad:
            if bad.reason == "not_an_image":
                return Fetched(b"hello", 0.0)
            raise SourceGoneError(bad.reason, "gone") from None


async def _predecessors() -> None:
    """Every record before is folded in: they come one by one."""


async def fold_all(log: list[Source]) -> PartitionState:
    """The rows that the product makes of a log, without Kafka."""
    state = PartitionState(0)
    models = dict.fromkeys(("imagga_tagging", "tagstream"), ModelInfo("stub", "1"))
    categorizer = Categorizer(Photos(), StubTagger(), Offer(models, ("imagga_tagging",)))
    fold_rules = FoldRules(NAMES, Retention(KEPT_MINUTES, 31, 800, 365, 30), RetryPolicy())
    for source in log:
        record = Record(**source._asdict())
        outcome = await categorizer.outcome(record, state.rows, _predecessors, Turn())
        changes = Changes(state.rows)
        fold(changes, Done(record, outcome), fold_rules)
        meta = changes.get("meta", "@offset") or {}
        changes.put("meta", "@offset", {**meta, "next": source.offset + 1})
        for table, key, row in list(changes.encoded()):
            state.apply(table, key, row)
    return state


def decoded(state: PartitionState) -> Rows:
    return {
        table: {key: orjson.loads(row) | {"#": 0} for key, row in rows.items()}
        for table, rows in state.rows.items()
    }


@pytest.mark.slow
async def test_oracle_and_product_agree_without_any_fault() -> None:
    """Two independent computations of the same log give the same rows."""
    log, partition = run()
    findings = Findings()
    compare_tables(0, partition, decoded(await fold_all(log)), findings, swept=False)
    assert not any(findings.differences.values()), dict(findings.differences)
    assert min(findings.checked[kind] for kind in ("images", "counts", "interests", "uploaders")) > 100


@pytest.mark.parametrize("place", range(3))
async def test_a_lost_event_is_found(place: int) -> None:
    """A product that loses the event behind an image's state does not pass, and the image is named."""
    log, partition = run(300)
    (tenant, name), image = list(partition.images.items())[place * 10]
    rows = decoded(await fold_all([source for source in log if source.offset != image.offset]))
    findings = Findings()
    compare_tables(0, partition, rows, findings, swept=False)
    key = ImageKey(tenant, name).encode()
    assert [line for line in findings.differences["images"] if repr(key) in line]


@pytest.mark.parametrize("table", ["images", "trends", "interests"])
@pytest.mark.parametrize("fault", ["missing", "invented", "changed"])
async def test_a_wrong_row_is_found(table: str, fault: str) -> None:
    """A row too few, a row too many, a row with another content: each is told, with its key."""
    log, partition = run(300)
    rows = decoded(await fold_all(log))
    key, row = next(
        iter((key, row) for key, row in rows[table].items() if "all:" in key or table != "trends")
    )
    if fault == "missing":
        del rows[table][key]
    elif fault == "invented":
        key = key.replace(":", ":9", 1) if table != "images" else "nobody"
        rows[table][key] = row
    else:
        rows[table][key] = {**row, "at": 1, "n": 10**6, "t": {"koala": 10**6}}
    findings = Findings()
    compare_tables(0, partition, rows, findings, swept=True)
    (line,) = [line for lines in findings.differences.values() for line in lines if repr(key) in line]
    assert line.startswith("partition 0")
