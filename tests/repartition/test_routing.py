"""Where a record of an upload topic goes, and as what."""

import orjson
from support.fakes import as_copied

from schemas.dead_letters import Fault, dead_letter_headers
from schemas.origins import ROUTED_FROM, TopicPartitionOffset, read_origin
from schemas.replays import failed_place, original_headers
from schemas.uploads import Record, parse_upload
from streams.kafka.partitioning import partition_for
from streams.repartition.routing import RoutedRecord, route

NOW = 1_800_000_000_000
EVENT = orjson.dumps({"public_id": "koala", "url": "data:,", "tenant": "acme"})


def published(**changed: object) -> Record:
    fields = {"topic": "web", "partition": 7, "offset": 41, "timestamp": NOW - 5, "key": b"k", "value": EVENT}
    return Record(**{**fields, **changed})  # type: ignore[arg-type]


def routed(record: Record, partitions: int = 4) -> RoutedRecord:
    (found,) = route([record], partitions, NOW).records
    return found


def test_an_event_goes_to_the_partition_of_its_image() -> None:
    """By its public id, whatever its key and partition are; key, value and time stay."""
    found = routed(published(), 12)
    assert found.partition == partition_for("koala", 12)
    assert (found.key, found.value, found.timestamp) == (b"k", EVENT, NOW - 5)


def test_what_is_no_event_goes_by_its_own_partition() -> None:
    """It becomes a dead letter there, which tells the place where it was published."""
    found = routed(published(value=b"{", partition=7))
    assert found.partition == 7 % 4
    headers = dead_letter_headers(as_copied(found), Fault("invalid_event", "parse", False, "E", "no"))
    assert failed_place(headers) == TopicPartitionOffset("web", 7, 41)
    assert original_headers(headers) == []


def test_a_copy_is_the_event_that_was_published() -> None:
    """It has the identity and the time that it would have where it was published."""
    record = published()
    first, copy = parse_upload(record), parse_upload(as_copied(routed(record)))
    assert (copy.source, copy.id, copy.at) == (first.source, first.id, first.at)
    assert copy.id == "web/7/41"


def test_a_replay_stays_the_event_that_it_replays() -> None:
    """What it was first is not overwritten by where it was published again; what others claim is."""
    headers = [
        ("tagstream.replay-of", b"old/0/3"),
        ("tagstream.replay-time", b"1000"),
        (ROUTED_FROM, b"somewhere/else/9"),
    ]
    copy = as_copied(routed(published(headers=headers)))
    origin = read_origin(copy.headers)
    assert origin is not None
    assert (str(origin.place), origin.at) == ("old/0/3", 1000)
    assert copy.place == TopicPartitionOffset("web", 7, 41)


def test_times_that_no_broker_takes_are_told_by_headers() -> None:
    """A copy must be taken: it bears our time where the record's is far ahead, or none."""
    far = as_copied(routed(published(timestamp=NOW + 10**9)))
    assert far.timestamp == NOW
    assert parse_upload(published(timestamp=5)).at == 5
    assert as_copied(routed(published(timestamp=-1))).timestamp == NOW
    origin = read_origin(far.headers)
    assert origin is not None
    assert origin.at == NOW + 10**9
