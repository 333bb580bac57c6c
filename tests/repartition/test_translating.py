"""Messages of other programs on their way to the log of the state."""

import orjson
import pytest
from aiokafka import TopicPartition
from support.fakes import as_copied
from support.sources.samples import SAMPLES, topic_mapping

from schemas.errors import BadEventError
from schemas.origins import ROUTED_FROM, TRANSLATED_HEADER, UNTRANSLATED
from schemas.replays import original_headers
from schemas.sources.translate import Translator
from schemas.topics import TopicNames
from schemas.uploads import Record, UploadType, parse_upload
from streams.kafka.connection import KafkaConnection
from streams.kafka.partitioning import partition_for
from streams.repartition.input_partition import Repartitioning
from streams.repartition.purging import Purge
from streams.repartition.routing import RoutedRecord, route_translated
from streams.repartition.service import RepartitionService

NOW = 1_800_000_000_000
TRANSLATOR = Translator(topic_mapping({"source": "s3"}))
(SEVERAL,) = (sample for sample in SAMPLES if sample.name == "aws-several")


def routed(*records: Record) -> list[RoutedRecord]:
    return route_translated(records, TRANSLATOR, 12, NOW).records


def test_a_message_becomes_events_in_the_partitions_of_their_images() -> None:
    """Each tells the message's place, and a trace goes on; what changes no bytes makes none."""
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    copies = route_translated([SEVERAL.record(headers=[trace, ("x", b"y")])], TRANSLATOR, 12, NOW)
    first, bad, last = copies.records
    assert copies.made == {"event": 2, "refused": 1, "skipped": 1}
    assert [found.partition for found in (first, last)] == [
        partition_for("pictures/a.jpg", 12),
        partition_for("pictures/c.jpg", 12),
    ]
    for found in (first, last):
        assert (ROUTED_FROM, b"events/0/7") in found.headers
        assert TRANSLATED_HEADER in found.headers
        assert trace in found.headers
        assert ("x", b"y") not in found.headers
    uploads = [parse_upload(as_copied(found)) for found in (first, last)]
    assert [upload.type for upload in uploads] == [UploadType.UPLOADED, UploadType.DELETED]
    assert bad.partition == 0


def test_what_cannot_be_read_goes_as_it_is_and_says_why() -> None:
    """It becomes a dead letter there; published again, it is what it was."""
    record = SEVERAL.record(value=b"<html>", headers=[("x", b"y")])
    (found,) = routed(record)
    assert found.value == b"<html>"
    with pytest.raises(BadEventError, match="HTML") as caught:
        parse_upload(as_copied(found))
    assert caught.value.code == "invalid_json"
    assert any(name == UNTRANSLATED for name, _ in found.headers)
    assert original_headers(found.headers) == [("x", b"y")]


def test_a_message_that_the_log_has_no_room_for_is_left_out() -> None:
    """Else the partition would stand still before it: the dead letter tells how large it was."""
    (found,) = routed(SEVERAL.record(value=b"<" * 3_000_000))
    assert (found.key, found.value) == (None, b"")
    with pytest.raises(BadEventError, match="3000000 bytes, of which none are kept") as caught:
        parse_upload(as_copied(found))
    assert caught.value.code == "event_too_large"


def test_nothing_comes_of_what_is_passed_over() -> None:
    """How far the topic was read moves on all the same."""
    test = orjson.dumps({"Event": "s3:TestEvent"})
    assert routed(SEVERAL.record(value=test)) == []


async def test_only_copies_are_purged() -> None:
    """Where events of sources are put into the upload topic itself, nothing of that is deleted."""

    class Purges(Purge):
        ran = 0

        async def run(self) -> None:
            self.ran += 1

    for inputs, expected in (((), 0), (("web",), 1)):
        names = TopicNames("app", inputs=inputs, sources=("events",))
        shared = Repartitioning(KafkaConnection(), names, 4, 0.1, lambda *_: None)
        service = RepartitionService(shared, dict[int, int])
        purge = service._purge = Purges(KafkaConnection(), names.upload_log, dict[int, int])
        await service.take_turn()
        assert purge.ran == expected
        assert service.offsets == dict[TopicPartition, int]()
